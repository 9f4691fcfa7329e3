"""The slots that the cluster offers, and which data sets each of them holds."""

import time
from pathlib import Path

import structlog

from service.dispatch.chores import Chores
from service.dispatch.cluster import Cluster, Slot
from workers.tasks import VERSION

RETRY_SECONDS = 5.0
"""Pause before a data set that a worker could not take, or lost, is brought there again."""
ASK_SECONDS = 1.0
"""How often the list of workers is asked for."""
JOIN_SECONDS = 3.0
"""From the first worker that joins to the last of those that were started with it, as a rule."""
LEAVE_SECONDS = 30.0
"""Within which a worker that was told to stop is gone."""

log = structlog.get_logger("goldenbench.slots")


class Slots:
    """Workers that have announced themselves; all state is rebuilt from the cluster when it is lost."""

    def __init__(self, cluster: Cluster, chores: Chores) -> None:
        self._cluster = cluster
        self._chores = chores
        self._known: dict[str, Slot] = {}
        self._greeting: set[str] = set()
        self._placed: set[tuple[str, str]] = set()
        self._placing: set[tuple[str, str]] = set()
        self._not_before: dict[tuple[str, str], float] = {}
        self._asked = 0.0
        self._leaving: dict[str, float] = {}
        """When workers told that they would leave, by address; kept beyond their end, of which a run may learn late."""
        self._first_joined: float | None = None
        cluster.on_leaving(lambda address: chores.enqueue(lambda: self._leave(address)))

    def all(self) -> list[Slot]:
        """Every slot, in order of its worker's name."""
        return sorted(self._known.values(), key=lambda slot: slot.name)

    def complete(self) -> bool:
        """Whether those workers are there that were started together; what a study begins with is chosen among them.

        How many to expect is known of a cluster of the service's own. Elsewhere they get a moment from the first on.
        """
        expected = self._cluster.own_workers
        if expected is not None and len(self._known) >= expected:
            return True
        return self._first_joined is not None and time.monotonic() - self._first_joined >= JOIN_SECONDS

    def open(self) -> list[Slot]:
        """Those that may be given packs."""
        return [slot for slot in self.all() if not self.leaves(slot)]

    def leaves(self, slot: Slot) -> bool:
        """Whether a worker was told to stop, by whoever runs it."""
        since = self._leaving.get(slot.address)
        # After so long another has been started at the same address.
        return since is not None and time.monotonic() - since < LEAVE_SECONDS

    def __contains__(self, address: str) -> bool:
        return address in self._known

    def refresh(self) -> None:
        """Notice workers that joined or left."""
        if time.monotonic() - self._asked < ASK_SECONDS:
            return
        self._asked = time.monotonic()
        live = self._cluster.workers()
        for address in set(self._known) - set(live):
            self.lose(self._known[address])
        for address, name in live.items():
            if address not in self._known and address not in self._greeting:
                self._greet(address, name)

    def holds(self, slot: Slot, sha256: str, path: Path) -> bool:
        """Whether a slot holds a data set; if not, it is brought there, and a later call says so."""
        pair = (slot.address, sha256)
        if pair in self._placed:
            return True
        if pair not in self._placing and time.monotonic() >= self._not_before.get(pair, 0.0):
            self._placing.add(pair)

            def placed(_nothing: None) -> None:
                self._placing.discard(pair)
                self._placed.add(pair)

            def failed(error: Exception) -> None:
                self._placing.discard(pair)
                self._not_before[pair] = time.monotonic() + RETRY_SECONDS
                log.warning("data set not placed", worker=slot.name, error=str(error)[:300])

            self._chores.start(lambda: self._cluster.place(slot.address, sha256, path), placed, failed)
        return False

    def forget(self, slot: Slot, sha256: str) -> None:
        """A worker said that it does not hold a data set after all."""
        self._placed.discard((slot.address, sha256))
        self._not_before[slot.address, sha256] = time.monotonic() + RETRY_SECONDS

    def lose(self, slot: Slot) -> None:
        """A worker is gone; nothing more goes to its address."""
        if self._known.pop(slot.address, None) is not None:
            log.info("worker left", worker=slot.name)
        self._placed = {(at, sha256) for at, sha256 in self._placed if at != slot.address}

    def _leave(self, address: str) -> None:
        told = time.monotonic()
        self._leaving = {at: since for at, since in self._leaving.items() if told - since < LEAVE_SECONDS}
        self._leaving[address] = told
        if address in self._known:
            log.info("worker is told to stop", worker=self._known[address].name)

    def _greet(self, address: str, name: str) -> None:
        self._greeting.add(address)
        self._leaving.pop(address, None)  # of another worker, which was there before

        def welcome(slot: Slot) -> None:
            if slot.announcement.version != VERSION:  # stays among the greeted, so it is refused once
                log.error("worker refused", worker=name, its_version=slot.announcement.version, ours=VERSION)
                return
            self._greeting.discard(address)
            self._known[address] = slot
            self._first_joined = self._first_joined or time.monotonic()
            log.info("worker joined", worker=name, device=slot.announcement.device_name)

        def failed(error: Exception) -> None:
            self._greeting.discard(address)
            log.warning("worker does not answer", worker=name, error=str(error)[:300])

        self._chores.start(lambda: self._cluster.greet(address, name), welcome, failed)
