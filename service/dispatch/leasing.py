"""Which free slot gets a pack of which study."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from service.dispatch import accept
from service.dispatch.allotment import Allotment, allot
from service.dispatch.backlog import Backlog
from service.dispatch.cluster import Slot
from service.dispatch.leader import Leadership
from service.dispatch.opening import Opening
from service.dispatch.pace import Pace
from service.dispatch.runs import MOST_TOGETHER, Runs
from service.dispatch.sharing import Sharing
from service.dispatch.slots import Slots
from service.store.queries import waiting_trainings
from service.store.tables import Study


@dataclass(frozen=True)
class _Given:
    """A lease, and to which study's allotment it belongs."""

    lease: accept.Lease
    allotment: Allotment


class Leasing:
    """Leases packs to slots; what it knows of studies and slots is that of the last look."""

    def __init__(self, leadership: Leadership, opening: Opening, backlog: Backlog, pack_seconds: float) -> None:
        self._leadership = leadership
        self._opening = opening
        self._backlog = backlog
        self._pace = Pace(pack_seconds)
        self._sharing = Sharing()
        self._studies: list[Study] = []
        """Those that share the slots."""
        self._waiting: dict[str, int] = {}
        """Trainings in packs that are to be tried again, of those studies that have some."""
        self._allotments: dict[str, Allotment] = {}

    def look(self, session: Session, servable: Sequence[Study], slots: Slots) -> None:
        """Notice which studies could use a slot, and which slots there are.

        Args:
            session: to read with.
            servable: opened studies that go on and that some slot can train, the most urgent first.
            slots: that are present.
        """
        self._studies = self._sharing.admit(servable)
        self._waiting = waiting_trainings(session, [study.id for study in self._studies])
        self._allotments = allot(self._wanting(), slots.open(), self._pace, slots.complete())

    def fill(self, slots: Slots, runs: Runs) -> None:
        """Give each free slot a pack, of the study whose turn it is; several in one transaction."""
        busy = runs.busy()
        free = [slot for slot in slots.open() if slot.address not in busy]
        if not free:
            return
        wanting = self._wanting()
        servable = [
            (slot, fitting) for slot in free if (fitting := [s for s in wanting if self._can_serve(slots, s, slot)])
        ]
        running = runs.per_study()
        for first in range(0, len(servable), MOST_TOGETHER):
            together = servable[first : first + MOST_TOGETHER]
            with self._leadership.transaction("lease") as session:
                leased = [self._lease(session, fitting, slot, running) for slot, fitting in together]
            for (slot, _), given in zip(together, leased, strict=True):
                if given is not None:
                    allotment, members = given.allotment, len(given.lease.members)
                    offer = allotment.offers[slot.name]
                    runs.start(given.lease, slot, self._pace.measured(slot.name, offer, allotment.cost, members))

    def _wanting(self) -> list[Study]:
        return [s for s in self._studies if s.id in self._waiting or self._backlog.left(s) != 0]

    def _can_serve(self, slots: Slots, study: Study, slot: Slot) -> bool:
        """Whether a slot should train a study now; if only the data set is missing there, it is brought."""
        path, sha256 = self._opening.path(study), study.dataset_sha256
        allotment = self._allotments.get(study.id)
        if path is None or sha256 is None or allotment is None or slot.name not in allotment.offers:
            return False
        left = self._backlog.left(study)
        waiting = self._waiting.get(study.id, 0)
        if left is not None and left + waiting <= allotment.sparing.get(slot.name, 0):
            return False
        return slots.holds(slot, sha256, path)

    def _lease(self, session: Session, studies: Sequence[Study], slot: Slot, running: Counter[str]) -> "_Given | None":
        """A pack for a slot, of the first study in turn that has one."""
        for study in self._sharing.in_turn(studies, running):
            allotment = self._allotments[study.id]
            capacity = allotment.capacity(slot.name)
            waiting = self._waiting.get(study.id, 0)
            lease = accept.lease(
                session, study.id, capacity, slot.name, allotment.numeric_class, self._backlog, waiting
            )
            if lease is not None:
                running[study.id] += 1
                self._sharing.serve(study)
                return _Given(lease, allotment)
        return None
