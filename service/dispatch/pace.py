"""How fast each worker trains, measured as packs end.

Kept for each worker: two of one numeric class may differ as 2 cores and 64 do, or as a busy machine and an idle one.
And for each cost: a training with batches of 16 takes fifty times as long as one with 128.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from studies.spec import StudySpec
from workers.capacity import Offer

KEEP = 0.5
"""Weight of the newest measurement."""
MOST_WORKERS = 1_000
"""Workers that are remembered for a cost: each start of one gives it a new name."""
MOST_COSTS = 1_000

Cost = tuple[str, str, int, str, int, str, int]
Kept = TypeVar("Kept")
Of = TypeVar("Of")


def cost(spec: StudySpec) -> Cost:
    """What of a specification sets how long one of its trainings takes on a given worker."""
    size = spec.dataset, spec.folds
    return (spec.model, *size, spec.loss, spec.batch_size, spec.bn_statistics, spec.epochs)


class Pace:
    """Trainings per second of workers.

    Args:
        pack_seconds: how long a pack should last.
    """

    def __init__(self, pack_seconds: float) -> None:
        self._pack_seconds = pack_seconds
        self._lanes: dict[tuple[str, Cost], dict[str, float]] = {}
        """By numeric class and cost, then worker: trainings per second for each network that it trains at once."""
        self._speeds: dict[tuple[str, str], float] = {}
        """By numeric class and worker: how its lanes compare with the mean of all workers that were measured too."""

    def knows(self, numeric_class: str, cost: Cost) -> bool:
        """Whether any worker has been measured."""
        return (numeric_class, cost) in self._lanes

    def rates(self, offers: Mapping[str, Offer], numeric_class: str, cost: Cost) -> dict[str, float]:
        """Trainings per second of workers, comparable with each other.

        Args:
            offers: of workers by name, all of this numeric class.
            numeric_class: of the trainings.
            cost: of a training.

        Returns:
            What was measured; of a worker that was not, what others say, or its announcement before anything is known.
        """
        lanes = self._lanes.get((numeric_class, cost), {})
        usual = sum(lane / self._speed(numeric_class, name) for name, lane in lanes.items()) / max(1, len(lanes))

        def rate(name: str, offer: Offer) -> float:
            if name in lanes:
                return lanes[name] * offer.at_once
            return self._speed(numeric_class, name) * (usual * offer.at_once if lanes else offer.rate)

        return {name: rate(name, offer) for name, offer in offers.items()}

    def pack_networks(self, name: str, offer: Offer, cost: Cost, rate: float) -> int:
        """How many networks make a pack of the wanted length.

        A worker that was neither measured nor can be compared gets the smallest pack, to be measured with.

        Args:
            name, offer: of the worker.
            cost: of a training.
            rate: of the worker, by `rates`.
        """
        key = offer.numeric_class, cost
        compared = key in self._lanes and (offer.numeric_class, name) in self._speeds
        if compared or name in self._lanes.get(key, {}):
            return max(1, round(self._pack_seconds * rate))
        return offer.at_once

    def measured(self, name: str, offer: Offer, cost: Cost, members: int) -> Callable[[float], None]:
        """What to call with the seconds that a worker took for a pack of so many members."""

        def learn(seconds: float) -> None:
            lanes = self._lanes.get((offer.numeric_class, cost), {})
            if members < offer.at_once and name in lanes:
                return  # it left a part of the device idle, so it says little
            new = -(-members // offer.at_once) / max(seconds, 1e-6)
            lane = KEEP * new + (1 - KEEP) * lanes.get(name, new)
            _keep(lanes, name, lane, MOST_WORKERS)
            _keep(self._lanes, (offer.numeric_class, cost), lanes, MOST_COSTS)
            if len(lanes) > 1:
                speed = lane / (sum(lanes.values()) / len(lanes))
                old = self._speeds.get((offer.numeric_class, name), speed)
                _keep(self._speeds, (offer.numeric_class, name), KEEP * speed + (1 - KEEP) * old, MOST_WORKERS)

        return learn

    def _speed(self, numeric_class: str, name: str) -> float:
        return self._speeds.get((numeric_class, name), 1.0)


def _keep(known: dict[Of, Kept], key: Of, value: Kept, most: int) -> None:
    """Remember something as the newest of at most so many."""
    known.pop(key, None)
    known[key] = value
    if len(known) > most:
        del known[next(iter(known))]
