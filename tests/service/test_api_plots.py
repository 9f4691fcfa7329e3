"""The pictures of a study over REST."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

import pytest
from service_data import Service, TestClient, complete, leader, lease, opened, result, size, submit, take_in, wish

from service.dispatch.leader import Leadership
from studies.results import Curve, Outcome

KINDS = ("heatmap", "curves", "ridge")
PNG = b"\x89PNG\r\n\x1a\n"
SVG = "{http://www.w3.org/2000/svg}"
SQUARE: dict[str, Any] = {
    "grid": {"learning_rate": {"factor": 2, "steps": 1}, "momentum": {"factor": 2, "steps": 1}},
    "references": ["matlab"],
}
"""Nine grid points, so that diagonals share an effective rate."""


@pytest.fixture
def held(service: Service) -> Iterator[Leadership]:
    """The right to dispatch on the app's store."""
    leadership = leader(service.store)
    yield leadership
    leadership.release()


@pytest.fixture
def study(service: Service, held: Leadership) -> str:
    """A completed study."""
    study_id = opened(service.store, held, **SQUARE)
    complete(held, study_id)
    wish(service.store, study_id, "run")
    return study_id


def words(svg: bytes) -> list[str]:
    """Every text of a picture."""
    return ["".join(element.itertext()).strip() for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def path(study: str, picture: str) -> str:
    return f"/v1/studies/{study}/plots/{picture}"


@pytest.mark.parametrize("kind", KINDS)
def test_picture_comes_in_both_forms(client: TestClient, study: str, kind: str) -> None:
    svg, png = (client.get(path(study, f"{kind}.{form}")) for form in ("svg", "png"))
    assert (svg.status_code, svg.headers["content-type"]) == (200, "image/svg+xml")
    assert (png.status_code, png.headers["content-type"]) == (200, "image/png")
    assert png.content.startswith(PNG)
    assert any(text.startswith("small: ") for text in words(svg.content))
    assert any("n = 2" in text for text in words(svg.content)), "every picture says how much stands behind it"


@pytest.mark.parametrize("kind", KINDS)
def test_picture_is_the_same_each_time_and_runs_nothing(client: TestClient, study: str, kind: str) -> None:
    first, second = (client.get(path(study, f"{kind}.svg")) for _ in range(2))
    assert first.content == second.content
    assert b"<dc:date>" not in first.content
    assert b"<script" not in first.content
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
    assert first.headers["content-security-policy"] == policy


def test_heatmap_numbers_each_cell_and_names_the_contenders(client: TestClient, study: str) -> None:
    texts = words(client.get(path(study, "heatmap.svg")).content)
    cells = client.get(f"/v1/studies/{study}/cells").json()["items"]
    expected = sorted(f"{100 * cell['mean']:.1f}" for cell in cells if cell["in_grid"])
    assert len(set(expected)) == 9
    assert sorted(text for text in texts if text in expected) == expected
    for name in ("golden (prescribed)", "best cell", "matlab"):
        assert name in texts


def test_ridge_shows_the_prescribed_diagonal(client: TestClient, study: str) -> None:
    texts = words(client.get(path(study, "ridge.svg")).content)
    assert any("at the prescribed effective rate, 0.126" in text for text in texts)
    assert any("momentum matters" in text for text in texts)


def test_curves_tell_of_divergence(client: TestClient, service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    for _ in range(2):
        found = lease(held, study_id)
        lost: dict[str, Any] = {"outcome": Outcome.DIVERGED, "accuracy": 0.1, "brier": 0.9, "loss": None}
        lost |= {"train_loss": None, "correct": None, "curve": Curve((0.5, None), (1.0, None), (1.0, None))}
        take_in(held, found, [result(*m.key, **(lost if m.key == (0, 0, 0) else {})) for m in found.members])
    texts = words(client.get(path(study_id, "curves.svg")).content)
    assert "golden (prescribed): n = 2, 1 diverged" in texts


def test_picture_grows_with_the_study(client: TestClient, service: Service, held: Leadership) -> None:
    study_id = submit(service.store, **SQUARE)
    waiting = client.get(path(study_id, "heatmap.svg"))
    assert waiting.status_code == 409
    assert "once its data set is prepared" in waiting.json()["detail"]
    study_id = opened(service.store, held, **SQUARE)
    for kind, needed in (("heatmap", "training"), ("curves", "training"), ("ridge", "complete column")):
        early = client.get(path(study_id, f"{kind}.svg"))
        assert early.status_code == 409
        assert needed in early.json()["detail"]
    take_in(held, lease(held, study_id, size(1)))
    assert client.get(path(study_id, "heatmap.svg")).status_code == 200
    assert client.get(path(study_id, "ridge.svg")).status_code == 409


def test_picture_that_is_at_hand_is_not_drawn_again(
    client: TestClient, service: Service, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = client.get(path(study, "heatmap.svg")).headers["etag"]
    monkeypatch.setattr("service.api.plots.draw", None)  # would fail if it were drawn
    again = client.get(path(study, "heatmap.svg"), headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    monkeypatch.undo()
    wish(service.store, study, "run")  # counts the revision up
    assert client.get(path(study, "heatmap.svg"), headers={"If-None-Match": tag}).status_code == 200


def test_unknown_pictures_are_refused_by_the_rule(client: TestClient, study: str) -> None:
    wrong = client.get(path(study, "surface.svg"))
    assert wrong.status_code == 422
    assert wrong.json()["errors"] == [{"field": "kind", "rule": "Input should be 'heatmap', 'curves' or 'ridge'"}]
    assert client.get(path(study, "heatmap.pdf")).json()["errors"][0]["field"] == "form"
    assert client.get(path("nonsense", "heatmap.svg")).status_code == 404


def test_name_is_shown_as_it_is(client: TestClient, service: Service, held: Leadership) -> None:
    name = "$x^2$ <script>alert(1)</script> & 金 🙂"
    study_id = opened(service.store, held, **SQUARE, name=name)
    complete(held, study_id)
    svg = client.get(path(study_id, "heatmap.svg")).content
    assert f"{name}: the landscape" in words(svg)
    assert client.get(path(study_id, "heatmap.png")).content.startswith(PNG)


def test_process_that_answers_requests_does_without_matplotlib() -> None:
    look = "import sys, service.app; print('matplotlib' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout == "False\n"
