"""What is pending of each study, kept in memory between leases.

The store is the truth: pending is what a study wants minus what is stored or in a live pack. Reading that for each
lease would cost as much as the study is large, so the one dispatcher that may lease keeps it. It forgets whenever a
transaction may or may not have gone through, and whenever packs are discarded or replicates become wanted otherwise.
"""

from itertools import chain

from sqlalchemy.orm import Session

from service.planner import Pending
from service.store.queries import open_runs, stored_keys, study_packs
from service.store.tables import Study


class Backlog:
    """Pending replicates by study."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[int, int | None], Pending]] = {}

    def of(self, session: Session, study: Study, folds: int) -> Pending:
        """What is pending of a study, read from the store if it is not known.

        Args:
            session: a transaction that holds the study's row.
            study: an opened study.
            folds: that its specification uses.
        """
        wanted = (study.runs, study.race_runs)
        known = self._kept.get(study.id)
        if known is not None and known[0] == wanted:
            return known[1]
        live = study_packs(session, study.id, ("waiting", "running"))
        leased = ((cell, fold, run) for pack in live for cell, fold, run in pack.members)
        pending = Pending(open_runs(session, study), folds, chain(stored_keys(session, study.id), leased))
        self._kept[study.id] = wanted, pending
        return pending

    def left(self, study: Study) -> int | None:
        """How many replicates are pending, as far as its runs or its race's rounds go by now; None if not known."""
        known = self._kept.get(study.id)
        return len(known[1]) if known is not None and known[0] == (study.runs, study.race_runs) else None

    def forget(self, study_id: str) -> None:
        """Read a study's pending replicates anew at the next lease."""
        self._kept.pop(study_id, None)

    def forget_all(self) -> None:
        """Read everything anew."""
        self._kept.clear()
