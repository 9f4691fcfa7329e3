"""Negative controls: `python -m tests.chaos.defects` plants each defect in a copy of the tree and expects to catch it.

A storm that was never seen to fail proves nothing. The patches lie in `tests/chaos/defects`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent / "defects"
CARRIED = ("service", "workers", "studies", "tests", "pyproject.toml")
PATIENCE = "60"
"""Seconds after which a study that does not end counts as lost."""


@dataclass(frozen=True)
class Control:
    """How a defect is to be caught."""

    arguments: tuple[str, ...]
    """Of `python -m tests.chaos`."""
    caught_by: str
    """The invariant that it breaks."""


def _control(scenario: str, database: str, count: int, caught_by: str, *more: str) -> Control:
    return Control((scenario, "--database", database, "--count", str(count), *more), caught_by)


CONTROLS = {
    "attempt-check-off": _control("late-results", "sqlite", 6, "I"),
    "discarded-pack-accepted": _control("late-results", "sqlite", 6, "I"),
    "no-unique-key": _control("late-results", "sqlite", 1, "I1"),
    "requeue-in-two-transactions": _control("crash-points", "sqlite", 1, "I", "--point", "charge:after-commit:die"),
    "result-and-pack-in-two-transactions": _control(
        "crash-points", "sqlite", 1, "I", "--point", "accept:after-commit:die"
    ),
    "record-noted-first": _control("crash-points", "sqlite", 1, "I", "--point", "record:after-commit:die"),
    "unknown-leases-kept": _control("crash-points", "sqlite", 1, "I3", "--point", "lease:after-commit:lose-answer"),
    "commit-after-reply": _control("submissions", "sqlite", 100, "I4"),
    "idempotency-off": _control("submissions", "sqlite", 100, "I4"),
    "epoch-check-off": _control("takeovers", "postgresql", 1, "I"),
    "recovery-off": _control("service-kills", "sqlite", 1, "I3"),
    "deaths-uncharged": _control("poison", "sqlite", 1, "I3"),
    "seed-depends-on-attempt": _control("worker-kills", "sqlite", 4, "I2"),
    "stops-charged": _control("stops", "sqlite", 1, "I1"),
    "streams-hold-the-end": _control("stops", "sqlite", 1, "I3"),
    "frozen-workers-kept": _control("freezes", "sqlite", 1, "I3"),
}


def plant(name: str, folder: Path) -> None:
    """Copy the tree into `folder`, the defect in it.

    Raises:
        subprocess.CalledProcessError: the patch does not apply any more; the code has changed, so has it to.
    """
    for part in CARRIED:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    command = ["git", "apply", str(PATCHES / f"{name}.patch")]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)


def is_caught(name: str) -> bool:
    """Plant a defect, run its scenario, and say whether that failed as it should."""
    control = CONTROLS[name]
    with tempfile.TemporaryDirectory(prefix="goldenbench-defect-") as folder:
        plant(name, Path(folder))
        environment = os.environ | {"CHAOS_STUDY_SECONDS": PATIENCE, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "tests.chaos", *control.arguments, "--logs", str(Path(folder) / "logs")]
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    lines = [line for line in done.stdout.splitlines() if " seed 1: " in line]
    caught = done.returncode == 1 and bool(lines) and f": {control.caught_by}" in lines[-1]
    print(
        f"{'caught' if caught else 'MISSED'} {name}: {lines[-1][:400] if lines else done.stdout[-2_000:]}", flush=True
    )
    return caught


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named controls, or all; the exit code: 1 if a defect was not caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.defects", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CONTROLS)}")
    names = parser.parse_args(arguments).names or list(CONTROLS)
    missed = [name for name in names if not is_caught(name)]
    print(f"{len(names) - len(missed)} of {len(names)} defects caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
