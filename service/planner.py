"""Which replicates train together next: a pure function of what is pending and what the slot can take."""

from collections import Counter
from collections.abc import Sequence
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
    threads: int
    """Networks that train at the same time; a pack is a multiple of it where it can be."""
    slots: int
    """Slots that share this study's work, this one included."""


def next_pack(pending: Sequence[Key], capacity: Capacity) -> tuple[Key, ...]:
    """Choose the members of the next pack.

    Members that share (fold, run) share images and order, so the (fold, run) that are closest to their end go first,
    and columns complete early. Near the end packs shrink, so that all slots finish together.

    Args:
        pending: replicates that are neither stored nor in a live pack, in any order, without repetition.
        capacity: of the free slot.

    Returns:
        At least one key if anything is pending; sorted by (run, fold, cell).
    """
    left = Counter((run, fold) for _, fold, run in pending)
    ordered = sorted(pending, key=lambda key: (left[key[2], key[1]], key[2], key[1], key[0]))
    threads = min(capacity.threads, capacity.networks)
    share = -(-len(ordered) // (2 * capacity.slots)) if len(ordered) > threads else len(ordered)
    size = min(capacity.networks, capacity.networks_per_pack_time, share)
    size = max(size - size % threads, min(threads, len(ordered)), 1)
    return tuple(sorted(ordered[:size], key=lambda key: (key[2], key[1], key[0])))
