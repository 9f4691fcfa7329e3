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
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.fuzz.hooks import TOKEN, URL
from tests.fuzz.target import Target, target

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).absolute().parent / "st"
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
    hooks["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [str(COMMAND), "run", f"{where.url}/openapi.json", *flags],
        cwd=folder,  # where it leaves files of its own
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
    """Fuzz until there were as many cases as asked for, or something is found; then the exit code is 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    began, cases, seed = time.monotonic(), 0, chosen.seed
    failures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="goldenbench-fuzz-") as folder, target(Path(folder)) as where:
        while cases < chosen.cases and not failures:  # operations that take nothing have few requests of their own
            each = -(-(chosen.cases - cases) // operations(where))
            outcome = fuzz(where, Path(folder), "--seed", str(seed), "--max-examples", str(each))
            print(outcome.printed[-20_000:], flush=True)
            cases, failures, seed = cases + outcome.cases, failures + outcome.failures, seed + 1
    seconds = time.monotonic() - began
    print(f"{cases:,} cases, {len(failures)} failures, seeds {chosen.seed} to {seed - 1}, {seconds:,.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
