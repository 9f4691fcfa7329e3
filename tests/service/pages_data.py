"""Documents of a made-up study, as the API gives them, and what stands in a page."""

import math
import time
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import numpy as np
from service_data import TestClient

from service.pages.form import filled
from studies.answer import answer
from studies.catalog import presets
from studies.columns import Score
from studies.golden import effective_learning_rate
from studies.grid import cells
from studies.spec import StudySpec

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
SECONDS = 30
"""For an answer to be computed."""
EMPTY = frozenset({"meta", "link", "input", "br", "img"})
"""Elements of HTML without an end."""
SHAPES = frozenset({"path", "rect", "circle", "polyline", "polygon"})


def study_spec(**changes: Any) -> StudySpec:
    """A grid of 3 x 3 with two references, 2 folds, 3 runs."""
    document = {
        "name": "made up",
        "dataset": "rotated-digits",
        "loss": "dual-process",
        "grid": {"learning_rate": {"factor": 2, "steps": 1}, "momentum": {"factor": 2, "steps": 1}},
        "references": ["matlab", "plain"],
        "folds": 5,
        "folds_used": 2,
        "runs": 3,
        "epochs": 4,
    }
    return StudySpec.from_json(document | changes)


def accuracy(learning_rate: float, momentum: float, fold: int, run: int) -> float:
    """A made-up accuracy: best at an effective rate of 0.25, with a little of fold and run."""
    distance = math.log10(effective_learning_rate(learning_rate, momentum) / 0.25)
    return 0.98 - 0.05 * distance**2 + 0.001 * fold + 0.0005 * math.sin(7 * run + 100 * momentum)


def documents(spec: StudySpec, diverged: frozenset[int] = frozenset()) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Cell documents and the comparison; cells in `diverged` diverged in their first training."""
    grid = cells(spec)
    columns = [(fold, run) for run in range(spec.runs) for fold in range(spec.folds_used)]
    values = np.array([[accuracy(cell.learning_rate, cell.momentum, *at) for at in columns] for cell in grid])
    scores = []
    for cell in grid:
        for at, (fold, run) in enumerate(columns):
            lost = cell.index in diverged and at == 0
            values[cell.index, at] = 0.1 if lost else values[cell.index, at]
            value = float(values[cell.index, at])
            outcome = "diverged" if lost else "finished"
            loss = None if lost else 1 - value
            scores.append(Score(cell.index, fold, run, outcome, value, 2 - 2 * value, loss))
    found = [
        {
            "cell": cell.index,
            "learning_rate": cell.learning_rate,
            "momentum": cell.momentum,
            "effective_learning_rate": cell.effective_learning_rate,
            "labels": list(cell.labels),
            "in_grid": cell.in_grid,
            "n": len(columns),
            "diverged": int(cell.index in diverged),
            "failed": 0,
            "dropped_after": None,
            "mean": float(values[cell.index].mean()),
            "std": float(values[cell.index].std(ddof=1)),
        }
        for cell in grid
    ]
    return found, answer(spec, grid, scores, spec.runs, "completed", 10_000)


class Page(HTMLParser):
    """A page taken apart; `wrong` says what is not well-formed or not allowed.

    Args:
        text: of the page.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.wrong: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.wrong += [f"<{tag}> is not closed" for tag in self._open]
        ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        self.wrong += [f"id {name} is given twice" for name in {*ids} if ids.count(name) > 1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and what a strict policy forbids."""
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in EMPTY:
            self._open.append(tag)
        self.wrong += [f"{name} on <{tag}>" for name in attributes if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in attributes):
            self.wrong.append(f"inline <{tag}>")
        for name in ("src", "href", "action", "formaction"):
            address = attributes.get(name)
            if address is not None and not (address.startswith(("/", "#")) and not address.startswith("//")):
                self.wrong.append(f"{name} {address} is not of this service")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that closes itself, as shapes do."""
        self.handle_starttag(tag, attrs)
        if tag not in EMPTY:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Elements end in the order in which they began."""
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        """Gather the text."""
        self.text += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [
            found
            for name, found in self.tags
            if name == tag and all(found.get(key.replace("_", "-")) == value for key, value in attributes.items())
        ]


def get(client: TestClient, path: str) -> Page:
    """A page, which has to be in order."""
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Page(answer.text)
    assert page.wrong == []
    return page


def answered(client: TestClient, path: str, sign: str = "Verdict:") -> Page:
    """The page once its answer is there."""
    end = time.monotonic() + SECONDS
    while sign not in (page := get(client, path)).text:
        assert time.monotonic() < end, f"{path} never shows {sign}"
        time.sleep(0.05)
    return page


def post(client: TestClient, path: str, fields: dict[str, Any], **headers: str) -> Any:
    """Send a form as a browser does, without following where it leads."""
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://127.0.0.1:8765"}
    content = urlencode(fields, doseq=True)
    return client.post(path, content=content, headers=HTML | form | headers, follow_redirects=False)


def demo(**changes: str) -> dict[str, list[str]]:
    """The form as it is filled for the preset `demo`."""
    return filled(presets()["demo"].spec.to_json()) | {name: [value] for name, value in changes.items()}
