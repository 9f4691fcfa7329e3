"""Devices that only pretend to train: real Dask workers, many in one process, whose packs last as long as they should.

`python -m tests.benchmarks.simulated SCHEDULER --devices 64 --rate 8 --cache FOLDER` runs until it is told to stop.
"""

import argparse
import asyncio
import hashlib
import os
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import workers.train
from service.dispatch.cluster import configure_dask, worker_environment, worker_options
from studies.results import Curve, Outcome, TrainingResult
from studies.training import TrainingConfig
from workers.devices import device_name
from workers.engine import SILENT, Cancelled, Hooks
from workers.tasks import DEVICE_VARIABLE

TEST_IMAGES = 1_000
POLL_SECONDS = 0.25
"""How often a pretended pack looks whether it is cancelled."""


def made_up(config: TrainingConfig, numeric_class: str) -> TrainingResult:
    """A result of the size that a real one has; its scores follow from the key alone."""
    digest = hashlib.sha256(repr(config.key).encode()).digest()
    accuracy = 0.9 + digest[0] / 2_560 - config.cell / 100_000
    steps = [epoch / config.epochs for epoch in range(1, config.epochs + 1)]
    curve = Curve(
        tuple(accuracy * step for step in steps),
        tuple(2.0 - step - digest[1] / 1_000 for step in steps),
        tuple(2.1 - step - digest[2] / 1_000 for step in steps),
    )
    return TrainingResult(
        *config.key,
        outcome=Outcome.FINISHED,
        accuracy=accuracy,
        brier=0.2 - digest[3] / 2_560,
        loss=curve.loss[-1],
        train_loss=curve.train_loss[-1],
        curve=curve,
        correct=(digest * 4)[: TEST_IMAGES // 8],
        seconds=0.1,
        engine="packed-cpu",
        precision=config.precision,
        device=device_name("cpu"),
        numeric_class=numeric_class,
    )


def pretend(
    rate: float, configs: Sequence[TrainingConfig], *_data: Any, hooks: Hooks = SILENT, **_flags: Any
) -> list[TrainingResult]:
    """`train_pack` without training: it takes len(configs) / rate seconds."""
    first = configs[0]
    numeric_class = workers.train.numeric_class_of(first.model, "auto", first.precision, first.bn_statistics, "cpu")
    assert numeric_class is not None
    end = time.monotonic() + len(configs) / rate
    results = [made_up(config, numeric_class) for config in configs]
    while (left := end - time.monotonic()) > 0:
        if hooks.cancelled():
            raise Cancelled
        time.sleep(min(left, POLL_SECONDS))
    return results


async def run(scheduler: str, devices: int, cache: Path) -> None:
    """Offer so many slots until SIGTERM."""
    from distributed import Worker

    options = worker_options(cache)
    os.environ.update(options.pop("env") | worker_environment() | {DEVICE_VARIABLE: "cpu"})
    started = [
        Worker(scheduler, name=f"device-{os.getpid()}-{i:03}", host="127.0.0.1", **options) for i in range(devices)
    ]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await asyncio.gather(*started)
    await stop.wait()
    await asyncio.gather(*(worker.close(timeout=5) for worker in started))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.simulated", description=__doc__)
    parser.add_argument("scheduler")
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="trainings per second and device")
    parser.add_argument("--cache", type=Path, required=True)
    chosen = parser.parse_args()
    configure_dask()
    workers.train.train_pack = partial(pretend, chosen.rate)
    asyncio.run(run(chosen.scheduler, chosen.devices, chosen.cache))


if __name__ == "__main__":
    main()
