"""How long trainings take, measured as packs end, and so how many of them make a pack."""

from collections.abc import Callable

from service.dispatch.accept import Lease
from service.dispatch.cluster import Slot
from service.planner import Capacity
from studies.spec import StudySpec

KEEP = 0.5
"""Weight of the newest measurement."""


class Pace:
    """Slot-seconds per network-epoch, by numeric class, model and data set."""

    def __init__(self, pack_seconds: float) -> None:
        self._pack_seconds = pack_seconds
        self._seconds_per_epoch: dict[tuple[str, str, str], float] = {}

    def capacity(self, slot: Slot, spec: StudySpec, numeric_class: str, slots: int) -> Capacity:
        """What a slot can take of a study; a first pack is as small as the slot's threads, to measure with."""
        threads = slot.announcement.threads
        seconds = self._seconds_per_epoch.get((numeric_class, spec.model, spec.dataset))
        wanted = threads if seconds is None else max(1, int(self._pack_seconds / (seconds * spec.epochs)))
        return Capacity(slot.announcement.networks, wanted, threads, slots)

    def measured(self, lease: Lease, spec: StudySpec, numeric_class: str) -> Callable[[float], None]:
        """What to call with the seconds that a pack took."""
        key = (numeric_class, spec.model, spec.dataset)

        def learn(seconds: float) -> None:
            new = seconds / (len(lease.members) * spec.epochs)
            old = self._seconds_per_epoch.get(key, new)
            self._seconds_per_epoch[key] = KEEP * new + (1 - KEEP) * old

        return learn
