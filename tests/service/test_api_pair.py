"""Two studies side by side, over REST and on the command line."""

import dataclasses
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from rich.console import Console
from service_data import SHA256, Service, complete, insert_replicates, leader, opened, result, row, submit
from typer.testing import CliRunner

from service.cli import pairs
from service.cli.main import app
from service.cli.pairs import show_pair
from service.client import Client
from service.dispatch import accept
from service.dispatch.leader import Leadership
from service.store.tables import Study
from studies.results import Outcome

FIELDS = {"a", "b", "differs", "n", "folds", "confidence", "prescribed", "best", "sentence", "not_said", "warnings"}
FIELDS |= {"method", "data_note", "looks"}
CELLS, FOLDS, RUNS = 5, 2, 4


@pytest.fixture
def held(service: Service) -> Iterator[Leadership]:
    """The right to dispatch on the app's store."""
    leadership = leader(service.store)
    yield leadership
    leadership.release()


def scored(service: Service, held: Leadership, *, lift: float = 0.0, left_out: int = 0, **changes: Any) -> str:
    """A study of FOLDS x RUNS columns with made-up accuracies, `lift` higher; without its last trainings."""
    study_id = opened(service.store, held, runs=RUNS, **changes)
    given = []
    for run in range(RUNS):
        for fold in range(FOLDS):
            for cell in range(CELLS):
                accuracy = 0.8 + lift + cell / 100 + fold / 50 + (7 * run + 3 * cell * fold) % 5 / 1000
                given.append(dataclasses.replace(result(cell, fold, run), accuracy=accuracy))
    insert_replicates(service.store, study_id, given[: len(given) - left_out])
    return study_id


def pair_of(service: Service, one: str, other: str) -> Any:
    return service.client.get(f"/v1/studies/{one}/comparison/{other}")


def test_pair_has_the_difference_that_was_put_in(service: Service, held: Leadership) -> None:
    one, other = scored(service, held, lift=0.05), scored(service, held, loss="sse")
    answer = pair_of(service, one, other)
    assert answer.status_code == 200
    document = answer.json()
    assert set(document) == FIELDS
    assert document["a"] == {"study": one, "name": "small", "loss": "dual-process"}
    assert document["differs"] == ["loss"]
    assert (document["n"], document["folds"], document["confidence"]) == (FOLDS * RUNS, FOLDS, 0.95)
    there = document["prescribed"]
    assert there["difference"]["estimate"] == pytest.approx(0.05)
    assert there["difference"]["low"] <= 0.05 <= there["difference"]["high"]
    assert there["a"]["mean"] - there["b"]["mean"] == pytest.approx(0.05)
    assert there["a"]["labels"] == ["golden"]
    assert document["best"]["difference"]["estimate"] == pytest.approx(0.05)
    assert [one["selected_on"] for one in document["best"]["selections"]] == ["even", "odd"]
    assert {one[side]["cell"] for one in document["best"]["selections"] for side in "ab"} == {CELLS - 1}
    assert "A is ahead of B by 0.05" in document["sentence"]
    assert "also one of step lengths" in document["not_said"]
    assert {"stand-in", "edge"} <= {warning["code"] for warning in document["warnings"]}


def test_pair_when_exchanged_changes_signs_only(service: Service, held: Leadership) -> None:
    one, other = scored(service, held, lift=0.05), scored(service, held, epochs=3, batch_size=64)
    here, there = pair_of(service, one, other).json(), pair_of(service, other, one).json()
    for part in ("prescribed", "best"):
        first, second = here[part]["difference"], there[part]["difference"]
        assert first["estimate"] == pytest.approx(-second["estimate"])
        assert (first["low"], first["high"]) == pytest.approx((-second["high"], -second["low"]))
    assert "A is ahead of B by 0.05" in here["sentence"]
    assert "B is ahead of A by 0.05" in there["sentence"]
    assert here["differs"] == there["differs"] == ["epochs", "batch_size"]
    assert "cannot be put down to one of these" in here["not_said"]


def test_pair_counts_only_columns_that_both_have(service: Service, held: Leadership) -> None:
    whole, part = scored(service, held), scored(service, held, loss="sse", left_out=CELLS + 1)
    assert pair_of(service, whole, part).json()["n"] == FOLDS * RUNS - 2
    spoilt = opened(service.store, held, loss="energy")
    given = [result(cell, fold, 0) for cell in range(CELLS) for fold in range(FOLDS)]
    lost = {"outcome": Outcome.FAILED, "accuracy": None, "brier": None, "loss": None, "train_loss": None}
    given[0] = dataclasses.replace(given[0], correct=None, reason="quarantined", **lost)
    insert_replicates(service.store, spoilt, given)
    document = pair_of(service, whole, spoilt).json()
    assert document["n"] == 1
    assert document["prescribed"]["difference"]["low"] is None
    assert document["best"] is None
    assert "too few for an interval" in document["sentence"]


def test_pair_counts_a_divergence_with_its_documented_score(service: Service, held: Leadership) -> None:
    plain = opened(service.store, held)
    complete(held, plain)
    broken = opened(service.store, held, loss="sse")
    given = [result(cell, fold, 0) for cell in range(CELLS) for fold in range(FOLDS)]
    lost = {"outcome": Outcome.DIVERGED, "accuracy": 0.1, "brier": 0.9, "loss": None, "train_loss": None}
    given[0] = dataclasses.replace(given[0], correct=None, **lost)
    insert_replicates(service.store, broken, given)
    there = pair_of(service, plain, broken).json()["prescribed"]
    assert (there["a"]["diverged"], there["b"]["diverged"]) == (0, 1)
    assert there["difference"]["estimate"] == pytest.approx((0.9 - 0.1) / 2)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("folds", {"folds": 4}),
        ("folds_used", {"folds_used": 3}),
        ("seed", {"seed": 1}),
        ("dataset", {"dataset": "mnist"}),
    ],
)
def test_pair_that_shares_too_little_is_refused_by_field(
    service: Service, held: Leadership, field: str, changes: dict[str, Any]
) -> None:
    one, other = opened(service.store, held), opened(service.store, held, **changes)
    answer = pair_of(service, one, other)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [broken["field"] for broken in answer.json()["errors"]] == [field]
    assert "must be the same in both studies" in answer.json()["detail"]


def test_pair_on_other_data_of_the_same_name_is_refused(service: Service, held: Leadership) -> None:
    one, other = opened(service.store, held), submit(service.store, loss="sse")
    with held.transaction() as session:
        accept.open_study(session, other, "6" * 64, images=10_000)
    assert row(service.store, one).dataset_sha256 == SHA256
    answer = pair_of(service, one, other)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "dataset_sha256")


def test_pair_pays_for_every_look_at_either_study(service: Service, held: Leadership) -> None:
    one, other = scored(service, held), scored(service, held, loss="sse")
    first = pair_of(service, one, other).json()
    with held.transaction() as session:
        for study_id in (one, other):
            session.execute(sa.update(Study).where(Study.id == study_id).values(looks=2))
    later = pair_of(service, one, other).json()
    assert (first["looks"], later["looks"]) == (1, 3)
    assert later["confidence"] > first["confidence"] == 0.95
    assert later["prescribed"]["difference"]["high"] > first["prescribed"]["difference"]["high"]


def test_pair_that_cannot_be_had_yet_or_at_all_says_why(service: Service, held: Leadership) -> None:
    one, other = scored(service, held), submit(service.store, loss="sse")
    early = pair_of(service, one, other)
    assert (early.status_code, early.json()["title"]) == (409, "Conflict")
    assert "every cell of both studies" in early.json()["detail"]
    assert pair_of(service, one, "0123456789ab").status_code == 404
    same = pair_of(service, one, one)
    assert (same.status_code, same.json()["errors"]) == (422, [{"field": "other", "rule": "must be another study"}])


class Attached(Client):
    """The client, answered by the app without a network."""

    service: Service

    def __init__(self, _url: str | None) -> None:
        self.url, self._http = "", self.service.client

    def close(self) -> None:
        """Leave the app running."""


def test_command_prints_both_differences(service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = scored(service, held, lift=0.05), scored(service, held, name="[b]ther", loss="sse")
    monkeypatch.setattr(Attached, "service", service, raising=False)
    monkeypatch.setattr(pairs, "Client", Attached)
    told = CliRunner().invoke(app, ["compare", one, other, "--json"])
    assert told.exit_code == 0
    document = json.loads(told.stdout)
    assert document == pair_of(service, one, other).json()
    page = io.StringIO()
    show_pair(document, Console(file=page, width=80))
    text = page.getvalue()
    assert "B: [b]ther, loss sse" in text
    assert "best, both" in text
    assert "+5.00 [" in text
    assert "What this does not say." in text
    assert max(map(len, text.splitlines())) <= 80
