"""Fuzzing in small; `make fuzz` runs the count of docs/security.md."""

import json
from pathlib import Path

from tests.fuzz.__main__ import fuzz
from tests.fuzz.target import target

SECONDS = (20, 60, 180)
"""The first is enough but where the machine is busy with something else."""
ENOUGH = 10


def test_no_request_breaks_the_service_or_gets_an_answer_that_is_not_described(tmp_path: Path) -> None:
    with target(tmp_path) as where:
        for seconds in SECONDS:
            outcome = fuzz(where, tmp_path, "--max-time", str(seconds), "--max-examples", "10")
            assert not outcome.failures, json.dumps(outcome.failures, indent=1)[:5_000]
            if outcome.cases > ENOUGH:
                return
    raise AssertionError(f"{outcome.cases} requests in {SECONDS[-1]} s")
