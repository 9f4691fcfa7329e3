"""`python -m tests.fuzz --cases 10000 --seed 1`: requests of every kind that the OpenAPI description allows or forbids.

Schemathesis makes them up, in sequences too, and holds each answer to the description: no server error, no status, kind
of content or document that is not described, nothing accepted that the description forbids.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.fuzz.hooks import TOKEN, URL
from tests.fuzz.target import Target, target

COMMAND = Path(sys.executable).parent / "st"
LEFT_OUT = "positive_data_acceptance"
"""The check that everything the description allows is accepted: rules between fields are not in it."""


@dataclass(frozen=True)
class Outcome:
    """What a run found."""

    cases: int
    failures: list[dict[str, Any]]
    printed: str


def fuzz(where: Target, folder: Path, *more: str) -> Outcome:
    """Run schemathesis against a service.

    Args:
        where: the service.
        folder: for the report.
        more: further flags of `st run`.
    """
    report = folder / "report.json"
    flags = ["--header", f"Authorization: Bearer {where.token}", "--exclude-checks", LEFT_OUT, "--continue-on-failure"]
    flags += ["--report", "json", "--report-json-path", str(report), "--suppress-health-check", "all", *more]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", URL: where.url, TOKEN: where.token, "NO_COLOR": "1"}
    done = subprocess.run(
        [str(COMMAND), "run", f"{where.url}/openapi.json", *flags],
        env=os.environ | hooks,
        capture_output=True,
        text=True,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(
            f"schemathesis ended with code {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    told = json.loads(report.read_text())
    return Outcome(told["test_cases"]["generated"], told["failures"] + told["errors"], done.stdout)


def operations(where: Target) -> int:
    """How many operations the description has."""
    headers = {"Authorization": f"Bearer {where.token}"}
    description = httpx.get(f"{where.url}/openapi.json", headers=headers, trust_env=False).json()
    return sum(len(methods) for methods in description["paths"].values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz; the exit code: 1 if something was found or there were fewer cases than asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="goldenbench-fuzz-") as folder, target(Path(folder)) as where:
        per_operation = -(-chosen.cases // operations(where))
        outcome = fuzz(where, Path(folder), "--seed", str(chosen.seed), "--max-examples", str(per_operation))
    print(outcome.printed[-20_000:])
    print(f"{outcome.cases:,} cases, {len(outcome.failures)} failures, seed {chosen.seed}")
    return 1 if outcome.failures or outcome.cases < chosen.cases else 0


if __name__ == "__main__":
    sys.exit(main())
