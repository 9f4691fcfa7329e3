"""The commands that talk to a running service."""

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from service.client import ENDED, Client
from service.errors import GoldenbenchError
from service.names import prescribed_name
from studies.catalog import presets, suites

LOOK_SECONDS = 3.0
"""Least time between two looks at the cells of a study that is watched."""


class NoSuchStudySpec(GoldenbenchError):
    """There is no such preset or file."""


def submit(spec: dict[str, Any], wait: bool, url: str | None) -> int:
    """Queue a study; exit code as `watch` if it waits."""
    with Client(url) as client:
        study = client.submit(spec)
        print(study["id"])
        if not wait:
            return 0
        ended = follow(client, study["id"])
        show_comparison(client, study["id"], Console())
    return exit_code(ended)


def watch(study_id: str, url: str | None) -> int:
    """Follow a study; exit code 0 if it completed, 3 if it ended otherwise."""
    with Client(url) as client:
        ended = follow(client, study_id)
    print(ended["status"])
    return exit_code(ended)


def exit_code(ended: dict[str, Any]) -> int:
    """0 for what completed, 3 for what ended otherwise."""
    return 0 if ended["status"] == "completed" else 3


def compare(study_id: str, as_json: bool, url: str | None) -> None:
    """Print a study's answer."""
    with Client(url) as client:
        if as_json:
            print(json.dumps(client.comparison(study_id), indent=2))
        else:
            show_comparison(client, study_id, Console())


def read_spec(what: str, quick: bool) -> dict[str, Any]:
    """The document of a preset, a file, or standard input: a study's, or a suite's if it has `studies`.

    Args:
        what: which.
        quick: whether the quick version of a suite is wanted.

    Raises:
        NoSuchStudySpec: neither a preset nor a readable JSON file, or nothing that has a quick version.
    """
    known, known_suites = presets(), suites()
    if what in known_suites:
        return (known_suites[what].quick if quick else known_suites[what].spec).to_json()
    if quick:
        raise NoSuchStudySpec(f"{what} has no quick version; {', '.join(known_suites)} has one")
    if what in known:
        return known[what].spec.to_json()
    try:
        text = sys.stdin.read() if what == "-" else Path(what).read_text(encoding="utf-8")
        document = json.loads(text)
    except (OSError, ValueError) as error:
        raise NoSuchStudySpec(
            f"{what} is neither a preset ({', '.join([*known, *known_suites])}) nor a JSON file: {error}"
        ) from error
    return document  # type: ignore[no-any-return]  # the service checks it


def follow(client: Client, study_id: str, console: Console | None = None) -> dict[str, Any]:
    """Show a progress bar and the best cell so far until a study ends; return its last document."""
    ended = show_progress(lambda seen: client.wait(study_id, seen), console, BestSoFar(client))
    if ended["reason"]:
        print(ended["reason"], file=sys.stderr)
    return ended


def show_progress(
    wait: Callable[[Callable[[dict[str, Any]], None]], dict[str, Any]],
    console: Console | None = None,
    remark: Callable[[dict[str, Any]], str] = lambda document: "",
) -> dict[str, Any]:
    """Show a progress bar while something is waited for.

    Args:
        wait: tells the function that it is given the document now and then, and returns the last one.
        console: where.
        remark: a line below the bar.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trainings,"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[eta]}"),
    )
    bar = Progress(*columns, console=console)
    task = bar.add_task("queued", total=None, eta="")
    with Live(bar, console=console) as live:

        def seen(study: dict[str, Any]) -> None:
            total = study["progress"]["total"]
            bar.update(
                task,
                description=study["status"],
                total=total,
                completed=round(study["progress"]["fraction"] * total),
                eta=_eta(study["eta_seconds"]),
            )
            told = remark(study)
            live.update(Group(bar, Text(told)) if told else bar)

        return wait(seen)


class BestSoFar:
    """Says, at most every LOOK_SECONDS, which cell of a running study has the highest mean.

    Args:
        client: asks the service.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._looked = -math.inf
        self._told = ""

    def __call__(self, study: dict[str, Any]) -> str:
        """The line; empty before the first training, and again at the end, when there is an answer."""
        if study["status"] in ENDED:
            return ""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            scored = [cell for cell in self._client.cells(study["id"]) if cell["mean"] is not None]
            self._told = self._line(max(scored, key=lambda cell: cell["mean"])) if scored else ""
        return self._told

    @staticmethod
    def _line(cell: dict[str, Any]) -> str:
        point = f"learning rate {cell['learning_rate']:.3g}, momentum {cell['momentum']:.3g}"
        return f"best so far: {_points(cell['mean'])} % at {point} (n = {cell['n']})"


def show_comparison(client: Client, study_id: str, console: Console) -> dict[str, Any]:
    """Print the answer as a table with its verdict."""
    answer = client.comparison(study_id)
    console.print(_table(answer))
    regret = answer["regret"]
    console.print(f"[bold]verdict: {answer['verdict']}[/bold], at a margin of {_points(answer['margin'])} points")
    console.print(
        f"regret of the prescribed point, in points of accuracy: {_points(regret['estimate'])} as it stands (biased "
        f"upwards), {_points(regret['cross_fitted'])} cross-fitted, {100 * answer['confidence']:g} % interval "
        f"{_points(regret['low'])} to {_points(regret['high'])}",
        highlight=False,
    )
    console.print(f"\n{answer['sentence']}", highlight=False)
    console.print(f"\n[bold]What this does not say.[/bold] {answer['not_said']}\n", highlight=False)
    for warning in answer["warnings"]:
        console.print(f"[bold]{warning['code']}[/bold]: {warning['text']}", highlight=False)
    return answer


def _table(answer: dict[str, Any]) -> Table:
    """The prescribed point, the best cell and the references, narrow enough for 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("", "rate", "mom.", "acc. %", "std", "n", "div.", "minus prescribed"):
        table.add_column(heading, no_wrap=True, justify="left" if not heading else "right")
    prescribed, best = answer["prescribed"], answer["best"]
    rows = [(prescribed_name(prescribed["label"]), prescribed)]
    rows += [("best cell", best)] if best else []
    rows += [(reference["label"], reference) for reference in answer["references"]]
    for name, row in rows:
        table.add_row(escape(name), f"{row['learning_rate']:.3g}", f"{row['momentum']:.3g}", *map(escape, _scores(row)))
    return table


def _scores(row: dict[str, Any]) -> list[str]:
    difference = row.get("difference")
    against = ""
    if difference and difference["estimate"] is not None:
        against = f"{_signed(difference['estimate'])} [{_signed(difference['low'])}, {_signed(difference['high'])}]"
    return [_points(row["mean"]), _points(row["std"]), str(row["n"]), str(row["diverged"]), against]


def _points(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"


def _signed(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:+.1f}"


def _eta(seconds: float | None) -> str:
    if seconds is None or seconds <= 0:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes} min {rest} s left" if minutes else f"about {rest} s left"
