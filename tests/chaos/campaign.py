"""All scenarios in the counts that docs/reliability.md reports, and every seed that once failed, some at a time."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

AT_ONCE = 3
"""Most of them wait for time-outs most of the time; two cores carry three."""
CORPUS = Path(__file__).parent / "corpus.json"
"""Seeds that once failed, each with what it found."""


@dataclass(frozen=True)
class Job:
    """One run of a scenario."""

    scenario: str
    database: str
    count: int
    seed: int = 1
    point: str = ""

    def command(self, logs: Path) -> list[str]:
        """How to run it."""
        flags = ["--database", self.database, "--count", str(self.count), "--seed", str(self.seed)]
        flags += ["--point", self.point] if self.point else []
        return [sys.executable, "-m", "tests.chaos", self.scenario, *flags, "--logs", str(logs)]


JOBS = (
    Job("worker-kills", "postgresql", 200),
    Job("database-restarts", "postgresql", 10),
    Job("worker-kills", "sqlite", 100),
    Job("freezes", "postgresql", 25),
    Job("service-kills", "postgresql", 25),
    Job("freezes", "sqlite", 25),
    Job("service-kills", "sqlite", 25),
    Job("database-restarts", "postgresql", 10, seed=2),
    Job("crash-points", "sqlite", 1_000),
    Job("crash-points", "postgresql", 1_000),
    Job("supervised", "sqlite", 10),
    Job("locked", "sqlite", 1),
    Job("submissions", "postgresql", 1_000),
    Job("submissions", "sqlite", 1_000),
    Job("poison", "postgresql", 5),
    Job("poison", "sqlite", 5),
    Job("stops", "sqlite", 3),
    Job("stops", "postgresql", 3),
    Job("takeovers", "postgresql", 3),
    Job("disk-full", "sqlite", 3),
    Job("scheduler-connection", "sqlite", 6),
    Job("scheduler-connection", "postgresql", 6),
    Job("late-results", "sqlite", 10),
    Job("late-results", "postgresql", 10),
)


def failed_once() -> tuple[Job, ...]:
    """The corpus."""
    known = Job.__dataclass_fields__
    return tuple(Job(**{k: v for k, v in entry.items() if k in known}) for entry in json.loads(CORPUS.read_text()))


def campaign(jobs: tuple[Job, ...], logs: Path) -> int:
    """Run jobs, some at a time; the exit code: 1 if one failed."""

    def run(job: Job) -> int:
        done = subprocess.run(job.command(logs), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print("\n".join(done.stdout.splitlines()[-2:] if done.returncode == 0 else [done.stdout]), flush=True)
        return done.returncode

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return max(pool.map(run, jobs))
