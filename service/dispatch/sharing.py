"""Whose turn it is when a slot is free."""

import itertools
from collections.abc import Mapping, Sequence

from service.store.tables import Study

MOST = 100
"""How many studies share the slots at a time: those of the highest priority, the oldest first."""


class Sharing:
    """Shares slots fairly among studies of one priority; a higher priority goes first always.

    The next slot goes to the study with the fewest packs running, and among those to the one that was served longest
    ago. Packs last about equally long, so each gets the same share of the devices' time.
    """

    def __init__(self) -> None:
        self._turns = itertools.count(1)
        self._served: dict[str, int] = {}

    def admit(self, studies: Sequence[Study]) -> list[Study]:
        """Those that share the slots.

        Args:
            studies: that could use a slot, the most urgent first.
        """
        admitted = list(studies[:MOST])
        self._served = {study.id: self._served.get(study.id, 0) for study in admitted}
        return admitted

    def in_turn(self, studies: Sequence[Study], running: Mapping[str, int]) -> list[Study]:
        """Admitted studies in the order in which they are offered a free slot.

        Args:
            studies: the admitted ones that have something pending.
            running: how many packs of each run.
        """
        return sorted(studies, key=lambda s: (-s.priority, running.get(s.id, 0), self._served[s.id], s.ordinal))

    def serve(self, study: Study) -> None:
        """Note that a study got a slot."""
        self._served[study.id] = next(self._turns)
