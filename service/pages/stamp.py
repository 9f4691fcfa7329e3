"""What the results on a study's page are drawn from, in a few numbers that are quickly read."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.api.data import pack_totals
from service.lifecycle import Desired
from service.schemas.data import ManifestPacks
from service.store.tables import Cell, Study

LOOKED_AT = 200
"""Newest studies among which those are sought that a study can be compared with."""
Counts = tuple[int, int, int, int | None]
"""(n, diverged, failed, dropped_after) of a cell."""


@dataclass(frozen=True)
class Stamp:
    """The state of a study in the store, as far as its page shows it and its document does not tell it."""

    cells: tuple[Counts, ...]
    """Replicates are only ever added, in the transaction that counts them here: equal counts, equal replicates."""
    packs: ManifestPacks
    others: tuple[str, ...]
    """the newest studies that have trainings"""


def read_stamp(session: Session, study_id: str) -> Stamp:
    """The present stamp of a study.

    Args:
        session: reads the store.
        study_id: the study.
    """
    counts = sa.select(Cell.n, Cell.diverged, Cell.failed, Cell.dropped_after).where(Cell.study_id == study_id)
    newest = sa.select(Study.id, Study.done).where(Study.desired != Desired.DELETE)
    newest = newest.order_by(Study.ordinal.desc()).limit(LOOKED_AT)
    return Stamp(
        cells=tuple((n, lost, failed, after) for n, lost, failed, after in session.execute(counts.order_by(Cell.cell))),
        packs=pack_totals(session, study_id),
        others=tuple(other for other, done in session.execute(newest) if done),
    )
