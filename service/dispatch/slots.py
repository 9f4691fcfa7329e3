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

    def all(self) -> list[Slot]:
        """Every slot, in order of its worker's name."""
        return sorted(self._known.values(), key=lambda slot: slot.name)

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

    def _greet(self, address: str, name: str) -> None:
        self._greeting.add(address)

        def welcome(slot: Slot) -> None:
            if slot.announcement.version != VERSION:  # stays among the greeted, so it is refused once
                log.error("worker refused", worker=name, its_version=slot.announcement.version, ours=VERSION)
                return
            self._greeting.discard(address)
            self._known[address] = slot
            log.info("worker joined", worker=name, device=slot.announcement.device_name)

        def failed(error: Exception) -> None:
            self._greeting.discard(address)
            log.warning("worker does not answer", worker=name, error=str(error)[:300])

        self._chores.start(lambda: self._cluster.greet(address, name), welcome, failed)
