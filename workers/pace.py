"""How many trainings a pack has when it is to take about a minute."""

import math

MINUTE = 60.0
"""In seconds, between two writes to disk: whatever ends a run loses no more, and a pack's start is little beside it."""
GROWTH = 4
"""Of a pack over the last one, at most: one of trainings that diverged early says little of the others."""


class Pace:
    """The size of packs, by what the last one took.

    Args:
        first: members of the first pack.
        at_once: how many train at the same time; packs are whole multiples, or a part of the device idles.
        most: members of any pack, at least `at_once`.
    """

    def __init__(self, first: int, at_once: int, most: int) -> None:
        self.members = first
        """Of the next pack."""
        self._at_once, self._most = at_once, most

    @classmethod
    def fixed(cls, members: int) -> "Pace":
        """Every pack has that many."""
        return cls(members, members, members)

    def took(self, members: int, seconds: float) -> None:
        """Take note of a pack: its members and how long they trained, above 0."""
        rounds = math.ceil(members / self._at_once)
        wanted = round(min(rounds * MINUTE / seconds, GROWTH * rounds))
        self.members = min(max(1, wanted) * self._at_once, self._most)
