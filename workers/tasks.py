"""What a Dask worker runs: one pack, the arrival of a data set, the word of a cancellation, an announcement.

Imported by the dispatcher too, so torch and distributed are imported inside the functions.
"""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies.datasets.errors import DatasetCorrupt
from workers.capacity import Offer

if TYPE_CHECKING:
    from studies.datasets.load import PreparedDataset

VERSION = version("goldenbench")
PROGRESS_TOPIC = "goldenbench-progress"
LEAVING_TOPIC = "goldenbench-leaving"
"""Of the events about workers that were told to stop, each with the worker's address."""
PROGRESS_SECONDS = 0.5
"""Least time between two progress events of one pack."""
CACHE_VARIABLE = "GOLDENBENCH_CACHE"
DEVICE_VARIABLE = "GOLDENBENCH_DEVICE"

_cancelled: set[str] = set()
_cancelled_lock = threading.Lock()


class DatasetMissing(Exception):
    """The worker does not hold the data set of this pack."""


@dataclass(frozen=True)
class Announcement:
    """What a worker says of itself before it gets work."""

    device: str
    device_name: str
    threads: int
    offers: dict[str, Offer]
    """`model/engine/precision/bn_statistics` to what the worker would give; missing where it cannot train."""
    models: dict[str, str]
    """Every model that is registered on the worker's machine, with what its code comes from (`code_of`)."""
    problems: tuple[str, ...]
    """Entry points of models that are broken there."""
    pid: int
    version: str
    """Of goldenbench; a service takes only its own."""


def announce(wanted: Sequence[tuple[str, str, str, str]]) -> Announcement:
    """Say what this worker is.

    Args:
        wanted: (model, engine, precision, bn_statistics) combinations that studies ask for.
    """
    from studies.models.registry import MODELS, code_of
    from workers.devices import available_threads, device_name
    from workers.train import offer_of

    device = worker_device()
    return Announcement(
        device=device,
        device_name=device_name(device),
        threads=available_threads(),
        offers={"/".join(w): found for w in wanted if (found := offer_of(*w, device)) is not None},
        models={name: code_of(name) for name in MODELS},
        problems=tuple(MODELS.problems.values()),
        pid=os.getpid(),
        version=VERSION,
    )


def run_pack(pack: str, attempt: int, dataset: str, engine: str, configs: list[dict[str, Any]]) -> dict[str, Any]:
    """Train one pack.

    Args:
        pack, attempt: name this run in progress events and cancellations.
        dataset: sha256 of the prepared data set.
        engine: `auto` or an engine's name.
        configs: the members, as `TrainingConfig.to_json` wrote them.

    Returns:
        `results`: one document per member, in order; `seconds` of wall time, data set in memory.

    Raises:
        DatasetMissing: `put_dataset` has to come first.
        Cancelled, DoesNotFit: see `workers.engine`.
    """
    from studies.training import TrainingConfig
    from workers.engine import Hooks
    from workers.train import train_pack

    data = _load(dataset)
    label = f"{pack}/{attempt}"
    hooks = Hooks(_Progress(pack, attempt).add, lambda: label in _cancelled)
    began = time.monotonic()
    members = [TrainingConfig.from_json(config) for config in configs]
    try:
        results = train_pack(members, data, worker_device(), engine=engine, hooks=hooks)
    finally:
        with _cancelled_lock:
            _cancelled.discard(label)
    return {"results": [result.to_json() for result in results], "seconds": time.monotonic() - began}


def cancel_pack(pack: str, attempt: int) -> None:
    """Ask a running pack to end within one epoch; without effect if it does not run here."""
    with _cancelled_lock:
        _cancelled.add(f"{pack}/{attempt}")


def has_dataset(sha256: str) -> bool:
    """Whether this worker's cache holds the data set."""
    return _cached(sha256).exists()


def put_dataset(sha256: str, content: bytes) -> None:
    """Store a prepared data set in this worker's cache; a reader never sees half of it."""
    path = _cached(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(content)
    partial.replace(path)


def worker_device() -> str:
    """The device this worker was started for."""
    from workers.devices import default_device

    chosen = os.environ.get(DEVICE_VARIABLE, "auto")
    return default_device() if chosen in ("", "auto") else chosen


def _cached(sha256: str) -> Path:
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "goldenbench") / f"{sha256}.npz"


@lru_cache(maxsize=2)
def _load(sha256: str) -> "PreparedDataset":
    from studies.datasets.load import load

    path = _cached(sha256)
    if not path.exists():
        raise DatasetMissing(sha256)
    try:
        return load(path, sha256)
    except DatasetCorrupt as error:
        path.unlink(missing_ok=True)
        raise DatasetMissing(sha256) from error


class _Progress:
    """Counts network-epochs over the threads of a pack and tells the scheduler now and then."""

    def __init__(self, pack: str, attempt: int) -> None:
        from distributed import get_worker

        self._worker = get_worker()
        self._pack = pack
        self._attempt = attempt
        self._lock = threading.Lock()
        self._epochs = 0
        self._told = 0.0

    def add(self, epochs: int) -> None:
        with self._lock:
            self._epochs += epochs
            now = time.monotonic()
            due = now - self._told >= PROGRESS_SECONDS
            if due:
                self._told = now
            message = {"pack": self._pack, "attempt": self._attempt, "epochs": self._epochs}
        if due:
            self._worker.log_event(PROGRESS_TOPIC, message)
