"""What a service costs that has nothing to do: `python -m tests.benchmarks.waiting`."""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.acceptance.running import Service

SETTLED_SECONDS = 10
"""After it is ready: its first looks import what they need."""
MIB = 1 << 20


@dataclass(frozen=True)
class Cost:
    """Of one process."""

    name: str
    started: float
    """Seconds of processor time until it has settled."""
    share: float
    """Of one core, from then on."""
    memory: int
    """Resident bytes at the end."""


def measure(folder: Path, seconds: float) -> tuple[float, list[Cost]]:
    """Start a service with one worker and let it be.

    Args:
        folder: an empty one.
        seconds: how long.

    Returns:
        Seconds from the command until it is ready; the cost of each of its processes, the first one first.
    """
    began = time.monotonic()
    with Service(folder) as service:
        service.ready()
        ready = time.monotonic() - began
        time.sleep(SETTLED_SECONDS)
        processes = sorted(service.group(), key=lambda process: process.create_time())
        before = [_processor_seconds(process) for process in processes]
        time.sleep(seconds)
        costs = [
            Cost(_name(process), spent, (_processor_seconds(process) - spent) / seconds, process.memory_info().rss)
            for process, spent in zip(processes, before, strict=True)
        ]
    return ready, costs


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _name(process: psutil.Process) -> str:
    """What a process is: the service answers requests, its child dispatches, and that one's child trains."""
    if "resource_tracker" in " ".join(process.cmdline()):
        return "Python's resource tracker"
    above = sum("goldenbench" in " ".join(parent.cmdline()) or _is_spawned(parent) for parent in process.parents())
    return ("answers requests", "dispatches and records", "worker")[above]


def _is_spawned(process: psutil.Process) -> bool:
    return "multiprocessing.spawn" in " ".join(process.cmdline())


def main() -> int:
    """Print a row for each process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long to look (default: 60)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ready, costs = measure(Path(folder), options.seconds)
    print(f"ready after {ready:.1f} s")
    for cost in costs:
        print(f"{cost.name:26}  {cost.started:5.2f} s  {cost.share:6.2%}  {cost.memory / MIB:5.0f} MiB")
    print(f"{'together':26}  {sum(c.started for c in costs):5.2f} s  {sum(c.share for c in costs):6.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
