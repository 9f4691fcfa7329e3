"""`/readyz` tells what has to come before studies can be stored and trained."""

from typing import Any

import pytest

from service.api.operations import _missing
from service.schemas.operations import ReadyChecks

READY: ReadyChecks = {"database": "ok", "schema": "ok", "dispatcher": "leading", "scheduler": "connected", "workers": 1}
CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"workers": 0}, ["no worker has joined"]),
    ({"scheduler": "away", "workers": 0}, ["the Dask scheduler is away"]),
    ({"dispatcher": "waiting", "scheduler": "not needed", "workers": 0}, []),
    (
        {"dispatcher": "starting", "scheduler": "away", "workers": 0},
        ["the dispatcher does not lead yet (starting)", "the Dask scheduler is away"],
    ),
    (
        {"database": "away: OperationalError", "schema": "unknown", "dispatcher": "database away"},
        ["the database does not answer (away: OperationalError)", "the dispatcher does not lead yet (database away)"],
    ),
    ({"schema": "0003, and this program works with 0004"}, ["the schema of the database is 0003, and this program"]),
    ({"database": "away: X", "schema": "unknown", "dispatcher": "waiting"}, ["the database does not answer (away: X)"]),
]


@pytest.mark.parametrize(("changes", "missing"), CASES)
def test_what_is_missing_is_told_thing_by_thing(changes: dict[str, Any], missing: list[str]) -> None:
    found = _missing(READY | changes)  # type: ignore[arg-type]  # a TypedDict with some of its values replaced
    assert len(found) == len(missing)
    assert all(told.startswith(expected) for told, expected in zip(found, missing, strict=True))
