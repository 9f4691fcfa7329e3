"""Which replicates train together next: a pure function of what is pending and what the slot can take."""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Key = tuple[int, int, int]
"""(cell, fold, run)"""


@dataclass(frozen=True)
class Capacity:
    """What a free slot can take."""

    networks: int
    """The most networks in one pack."""
    networks_per_pack_time: int
    """How many networks make a pack of the wanted length, by the rate measured so far."""
    at_once: int
    """Networks that train at the same time; a pack is a multiple of it where it can be."""
    share: float = 1.0
    """This slot's rate, of the rates of all slots as far as they serve this study."""
    spared: int = 0
    """So many pending replicates, or fewer, are left to faster slots: they will have trained them before this one could
    end its smallest pack."""


def pack_size(pending: int, capacity: Capacity) -> int:
    """How many members the next pack gets; near the end packs shrink, so that all slots finish together.

    A pack takes half of the time that the slots together need for what is pending.

    Returns:
        At least 1 and at most `pending`, or 0 if the slot had better take none.
    """
    if pending <= capacity.spared:
        return 0
    at_once = min(capacity.at_once, capacity.networks)
    share = math.ceil(pending * capacity.share / 2) if pending > at_once else pending
    size = min(capacity.networks, capacity.networks_per_pack_time, share)
    return min(pending, max(size - size % at_once, min(at_once, pending), 1))


class Pending:
    """Replicates of a study that are neither stored nor in a live pack.

    Kept as one integer of bits (bit c: cell c) for each column (fold, run), so that a million of them take little
    memory, and a pack is taken in time that depends on the pack alone.

    Args:
        runs: how many runs per fold each cell may have by now, in order of the cells.
        folds: folds that are used.
        taken: what is stored or in a live pack.
    """

    def __init__(self, runs: Sequence[int], folds: int, taken: Iterable[Key]) -> None:
        self._columns: dict[tuple[int, int], int] = {}
        for run in range(max(runs, default=0)):
            cells = sum(1 << cell for cell, open_runs in enumerate(runs) if run < open_runs)
            self._columns.update({(run, fold): cells for fold in range(folds)})
        for cell, fold, run in taken:
            if (run, fold) in self._columns:
                self._columns[run, fold] &= ~(1 << cell)
        self._columns = {column: cells for column, cells in self._columns.items() if cells}
        self._count = sum(cells.bit_count() for cells in self._columns.values())
        self._order = [(cells.bit_count(), *column) for column, cells in self._columns.items()]
        heapq.heapify(self._order)

    def __len__(self) -> int:
        return self._count

    def next_pack(self, capacity: Capacity) -> tuple[Key, ...]:
        """Take the members of the next pack.

        Members that share (fold, run) share images and order, so the columns that are closest to their end go first,
        and columns complete early.

        Returns:
            As many keys as `pack_size` says; sorted by (run, fold, cell).
        """
        size = pack_size(self._count, capacity)
        members: list[Key] = []
        while len(members) < size:
            _, run, fold = heapq.heappop(self._order)
            members += self._take(run, fold, size - len(members))
        self._count -= size
        return tuple(sorted(members, key=lambda key: (key[2], key[1], key[0])))

    def _take(self, run: int, fold: int, most: int) -> list[Key]:
        """The first cells of a column, at most so many."""
        left = self._columns.pop((run, fold))
        keys: list[Key] = []
        while left and len(keys) < most:
            lowest = left & -left
            left ^= lowest
            keys.append((lowest.bit_length() - 1, fold, run))
        if left:
            self._columns[run, fold] = left
            heapq.heappush(self._order, (left.bit_count(), run, fold))
        return keys
