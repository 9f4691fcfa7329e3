"""What was done to a deployment and what came of it, in a file that says how to repeat it."""

import json
import platform
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil


class Violation(AssertionError):
    """An invariant does not hold."""


@dataclass
class FaultLog:
    """One run of a scenario.

    Args:
        scenario, database, seed, count: repeat it, as far as the machine's own timing allows.
    """

    scenario: str
    database: str
    seed: int
    count: int
    events: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def note(self, event: str, **details: Any) -> None:
        """Add an event with the seconds since the start."""
        self.events.append({"seconds": round(time.monotonic() - self._began, 3), "event": event} | details)

    def count_up(self, figure: str, by: int = 1) -> None:
        """Count something that is reported."""
        self.figures[figure] = self.figures.get(figure, 0) + by

    def measured(self, figure: str, seconds: float) -> None:
        """Keep a duration that is reported as median and maximum."""
        self.figures.setdefault(figure, []).append(round(seconds, 2))

    def broken(self, invariant: str, told: str) -> None:
        """Note that an invariant does not hold."""
        self.violations.append(f"{invariant}: {told}")
        self.note("violation", invariant=invariant, told=told)

    def summary(self) -> str:
        """One line for a person."""
        told = []
        for figure, value in self.figures.items():
            if isinstance(value, list):
                middle = sorted(value)[len(value) // 2]
                told.append(f"{figure} n={len(value)} median={middle:g} max={max(value):g}")
            else:
                told.append(f"{figure}={value}")
        end = "; ".join(self.violations) or "invariants hold"
        return f"{self.scenario} {self.database} seed {self.seed}: {', '.join(told)}: {end}"

    def write(self, folder: Path) -> Path:
        """Store everything as JSON; the file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.scenario}-{self.database}-{self.seed}.json"
        machine = {
            "processor": platform.machine(),
            "cores": psutil.cpu_count(),
            "load": psutil.getloadavg()[1],
            "python": platform.python_version(),
            **{name: version(name) for name in ("goldenbench", "distributed", "sqlalchemy", "torch", "optuna")},
        }
        command = f"python -m tests.chaos {self.scenario} --database {self.database} --seed {self.seed}"
        document = {
            "command": f"{command} --count {self.count}",
            "machine": machine,
            "seconds": round(time.monotonic() - self._began, 1),
            "figures": self.figures,
            "violations": self.violations,
            "events": self.events,
        }
        path.write_text(json.dumps(document, indent=1))
        return path
