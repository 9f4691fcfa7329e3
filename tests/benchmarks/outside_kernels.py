"""`python tests/benchmarks/outside_kernels.py`: what share of a study's time the compiled library does not take.

Trains a study of real digits as `python -m workers.run` does, from a prepared data set to results on disk, with a clock
around every call of the library. Two shares are printed: of processor time, which a busy machine hardly moves, and of
wall time times threads, which includes all waiting and so needs an idle machine.
"""

import argparse
import functools
import json
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from studies.datasets.load import load
from studies.datasets.prepare import prepare
from studies.spec import StudySpec
from workers.devices import available_threads, device_name
from workers.native import library
from workers.run import run

KERNELS = ("train_epoch", "infer", "patch_sums", "exchange_weights", "parameter_floats", "workspace_bytes")


class Clock:
    """Seconds that threads spend in functions, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.processor: dict[str, float] = dict.fromkeys(KERNELS, 0.0)
        self.wall: dict[str, float] = dict.fromkeys(KERNELS, 0.0)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed; returning from it waits for the interpreter's lock, which counts as wall time."""

        @functools.wraps(function)
        def timed(*arguments: Any) -> Any:
            wall, processor = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments)
            finally:
                processor, wall = time.thread_time() - processor, time.perf_counter() - wall
                with self._lock:
                    self.processor[name] += processor
                    self.wall[name] += wall

        return timed


@dataclass(frozen=True)
class Shares:
    """Where the time went."""

    trainings: int
    epochs: int
    threads: int
    wall_seconds: float
    processor_seconds: float
    """Of the whole process."""
    outside_of_processor_time: float
    """Share of them that no call of the library took."""
    outside_of_wall_time: float
    """Share of wall time times threads that no call of the library took."""
    kernels: dict[str, float]
    """Processor seconds of each function of the library."""


def measure(epochs: int) -> Shares:
    """Train 36 networks: the nine cells around the derived point, two folds, two runs.

    Args:
        epochs: of each.
    """
    document = {
        "dataset": "rotated-digits",
        "loss": "cross-entropy",
        "grid": {axis: {"factor": 1.6, "steps": 1} for axis in ("learning_rate", "momentum")},
        "references": [],
        "folds_used": 2,
        "runs": 2,
        "epochs": epochs,
        "engine": "packed-cpu",
    }
    spec, clock = StudySpec.from_json_text(json.dumps(document)), Clock()
    native = library.variant(library.usable_isas()[0])
    around: dict[str, Any] = {name: clock.around(name, getattr(native, name)) for name in KERNELS}
    timed = replace(native, **around)
    with tempfile.TemporaryDirectory() as folder, patch.object(library, "variant", return_value=timed):
        file = prepare(spec.dataset, spec.folds, folder)
        wall, processor = time.perf_counter(), time.process_time()
        with redirect_stdout(StringIO()):
            run(spec, load(file.path), Path(folder) / "out", "cpu", pack_size=36)
        processor, wall = time.process_time() - processor, time.perf_counter() - wall
    threads = available_threads()
    return Shares(
        trainings=9 * spec.replicates_per_cell,
        epochs=epochs,
        threads=threads,
        wall_seconds=wall,
        processor_seconds=processor,
        outside_of_processor_time=1 - sum(clock.processor.values()) / processor,
        outside_of_wall_time=1 - sum(clock.wall.values()) / (wall * threads),
        kernels=clock.processor,
    )


def main() -> int:
    """Print one figure a line, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=30, help="of each of 36 trainings (default: 30)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    figures = asdict(measure(options.epochs)) | {
        "device": device_name("cpu"),
        "versions": {"python": platform.python_version(), "torch": version("torch")},
    }
    if options.json:
        print(json.dumps(figures, indent=2))
        return 0
    kernels = figures.pop("kernels")
    for name, value in (figures | kernels).items():
        print(f"{name:26} {value:.4g}" if isinstance(value, float) else f"{name:26} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
