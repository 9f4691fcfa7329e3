"""Fuzzing in small; `make fuzz` runs the count of docs/security.md."""

import json
from pathlib import Path

from tests.fuzz.__main__ import fuzz
from tests.fuzz.target import target

SECONDS = 20


def test_no_request_breaks_the_service_or_gets_an_answer_that_is_not_described(tmp_path: Path) -> None:
    with target(tmp_path) as where:
        outcome = fuzz(where, tmp_path, "--max-time", str(SECONDS), "--max-examples", "10")
    assert not outcome.failures, json.dumps(outcome.failures, indent=1)[:5_000]
    assert outcome.cases > 10, "a loaded machine sends fewer, but not none"
