"""What this dispatcher's packs came to since its process began; any thread may ask."""

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from studies.results import TrainingResult

RECENT = 8
"""Packs of a worker over which its rate is taken."""
MOST_WORKERS = 1_000
"""Workers that are remembered, those that trained last: each start of one gives it a new name."""


class End(StrEnum):
    """How an attempt of a pack ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """Its result came too late: it had been discarded, or given to another attempt."""
    CHARGED = "charged"
    """It failed through the pack, or its worker died of it."""
    GIVEN_BACK = "given_back"
    """An outage, a drain or a lost worker ended it; uncharged."""
    STOPPED = "stopped"
    """Its study was paused, cancelled or deleted."""


@dataclass
class Trained:
    """What one worker has trained."""

    device: str
    outcomes: Counter[str] = field(default_factory=Counter)
    """Trainings by outcome."""
    seconds: float = 0.0
    """Wall time of its accepted packs."""
    recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    """(trainings, seconds) of its last accepted packs."""


@dataclass(frozen=True)
class Row:
    """One worker in a snapshot."""

    worker: str
    device: str
    outcomes: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class Snapshot:
    """Everything that was counted."""

    workers: tuple[Row, ...] = ()
    ends: dict[End, int] = field(default_factory=lambda: dict.fromkeys(End, 0))
    quarantined: int = 0
    """Trainings that were given up."""


class Tally:
    """Counts the ends of attempts, and what each worker trained."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: OrderedDict[str, Trained] = OrderedDict()
        self._ends: Counter[End] = Counter()
        self._quarantined = 0

    def accepted(self, worker: str, device: str, trainings: Sequence[TrainingResult], seconds: float) -> None:
        """A pack's results are stored; it took so many seconds of wall time."""
        with self._lock:
            self._ends[End.ACCEPTED] += 1
            trained = self._workers.setdefault(worker, Trained(device))
            self._workers.move_to_end(worker)
            trained.outcomes.update(training.outcome.value for training in trainings)
            trained.seconds += seconds
            trained.recent.append((len(trainings), seconds))
            while len(self._workers) > MOST_WORKERS:
                self._workers.popitem(last=False)

    def ended(self, end: End, quarantined: bool = False) -> None:
        """An attempt ended without results; `quarantined` if its training was given up."""
        with self._lock:
            self._ends[end] += 1
            self._quarantined += quarantined

    def rate(self, worker: str) -> float | None:
        """Trainings per second of a worker while it trains, over its last packs; None before the first."""
        with self._lock:
            trained = self._workers.get(worker)
            if trained is None:
                return None
            seconds = sum(taken for _, taken in trained.recent)
            return sum(count for count, _ in trained.recent) / seconds if seconds else None

    def snapshot(self) -> Snapshot:
        """Everything that was counted so far."""
        with self._lock:
            rows = (Row(name, one.device, dict(one.outcomes), one.seconds) for name, one in self._workers.items())
            return Snapshot(tuple(rows), {end: self._ends[end] for end in End}, self._quarantined)
