"""What is read from the store."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.errors import NotFound
from service.lifecycle import Desired, Status
from service.store.tables import Cell, Pack, Replicate, Study
from studies.columns import Score

ROWS_AT_ONCE = 10_000
"""Rows that are fetched together where there may be a million."""


def find_study(session: Session, study_id: str, lock: bool = False) -> Study:
    """The study of that id; with `lock`, nobody else changes it before the transaction ends.

    Raises:
        NotFound: there is none, or it has been deleted.
    """
    query = sa.select(Study).where(Study.id == study_id, Study.desired != Desired.DELETE)
    query = query.with_for_update() if lock else query
    study = session.scalar(query) if study_id.isalnum() else None  # PostgreSQL cannot be asked for every text
    if study is None:
        raise NotFound(f"there is no study {study_id[:40]!r}")
    return study


def list_studies(session: Session, limit: int, before: int | None, fingerprint: str | None) -> Sequence[Study]:
    """Studies from the newest on, at most `limit`, those older than ordinal `before` only."""
    query = sa.select(Study).where(Study.desired != Desired.DELETE).order_by(Study.ordinal.desc()).limit(limit)
    if before is not None:
        query = query.where(Study.ordinal < before)
    if fingerprint is not None:
        query = query.where(Study.fingerprint == fingerprint)
    return session.scalars(query).all()


_ENDED = [Status.COMPLETED, Status.CANCELLED, Status.FAILED]
_GOES_ON = sa.or_(Study.status.not_in(_ENDED), sa.and_(Study.status == Status.COMPLETED, Study.done < Study.total))
_UNSETTLED = (
    sa.select(Study)
    .where(sa.or_(_GOES_ON, Study.desired == Desired.DELETE))
    .order_by(Study.priority.desc(), Study.ordinal)
)
"""Asked ten times a second, so it is put together once."""


def unsettled_studies(session: Session) -> Sequence[Study]:
    """Studies that the dispatcher may have something to do for, the most urgent first."""
    return session.scalars(_UNSETTLED).all()


def count_going_on(session: Session, token: str) -> int:
    """How many studies that a token (empty: nobody's) submitted have not ended."""
    mine = sa.and_(Study.token == (token or None), Study.desired.in_([Desired.RUN, Desired.PAUSE]), _GOES_ON)
    return session.scalar(sa.select(sa.func.count()).select_from(Study).where(mine)) or 0


def study_cells(session: Session, study_id: str) -> Sequence[Cell]:
    """The cells of an opened study in order; none before it is opened."""
    return session.scalars(sa.select(Cell).where(Cell.study_id == study_id).order_by(Cell.cell)).all()


def dropped_cells(session: Session, study_id: str) -> dict[int, int]:
    """Cells that a race dropped, with the runs that they have."""
    query = sa.select(Cell.cell, Cell.dropped_after).where(Cell.study_id == study_id, Cell.dropped_after.is_not(None))
    return {cell: runs for cell, runs in session.execute(query) if runs is not None}


def study_packs(session: Session, study_id: str, states: Sequence[str] | None = None) -> Sequence[Pack]:
    """The packs of a study, oldest first."""
    query = sa.select(Pack).where(Pack.study_id == study_id).order_by(Pack.ordinal)
    return session.scalars(query if states is None else query.where(Pack.state.in_(states))).all()


def stored_keys(session: Session, study_id: str) -> Iterator[tuple[int, int, int]]:
    """(cell, fold, run) of every stored replicate."""
    query = sa.select(Replicate.cell, Replicate.fold, Replicate.run).where(Replicate.study_id == study_id)
    rows = session.execute(query, execution_options={"yield_per": ROWS_AT_ONCE})
    yield from ((cell, fold, run) for cell, fold, run in rows)


def open_runs(session: Session, study: Study) -> list[int]:
    """Runs per fold that each cell of an opened study may have by now, in order of the cells."""
    rows = session.scalars(sa.select(Cell.dropped_after).where(Cell.study_id == study.id).order_by(Cell.cell))
    return [(study.race_runs or study.runs) if dropped_after is None else dropped_after for dropped_after in rows]


def waiting_pack(session: Session, study_id: str) -> Pack | None:
    """The oldest pack of a study that waits for a slot."""
    query = sa.select(Pack).where(Pack.study_id == study_id, Pack.state == "waiting")
    return session.scalar(query.order_by(Pack.ordinal).limit(1))


def waiting_trainings(session: Session, study_ids: Collection[str]) -> dict[str, int]:
    """How many trainings of studies are in packs that wait for a slot; without those that have none."""
    if not study_ids:
        return {}
    query = sa.select(Pack.study_id, sa.func.sum(sa.func.json_array_length(Pack.members)))
    query = query.where(Pack.study_id.in_(study_ids), Pack.state == "waiting").group_by(Pack.study_id)
    return {study_id: int(trainings) for study_id, trainings in session.execute(query)}


def replicate_page(
    session: Session, study_id: str, limit: int | None, after: tuple[int, int, int] | None
) -> Sequence[Replicate]:
    """Replicates in the order (cell, fold, run), from behind `after`; all of them if `limit` is None."""
    key = sa.tuple_(Replicate.cell, Replicate.fold, Replicate.run)
    query = sa.select(Replicate).where(Replicate.study_id == study_id)
    query = query.order_by(Replicate.cell, Replicate.fold, Replicate.run)
    if after is not None:
        query = query.where(key > sa.tuple_(*(sa.literal(value) for value in after)))
    return session.scalars(query if limit is None else query.limit(limit)).all()


def scores(session: Session, study_id: str, of: Collection[int] | None = None) -> list[Score]:
    """The scores of a study, or of some of its cells, in the order (cell, fold, run), without curves."""
    columns = (
        Replicate.cell,
        Replicate.fold,
        Replicate.run,
        Replicate.outcome,
        Replicate.accuracy,
        Replicate.brier,
        Replicate.train_loss,
    )
    query = sa.select(*columns).where(Replicate.study_id == study_id)
    query = query if of is None else query.where(Replicate.cell.in_(of))
    rows = session.execute(query.order_by(Replicate.cell, Replicate.fold, Replicate.run))
    return [Score(*row) for row in rows]


def failed_columns(session: Session, study_id: str) -> int:
    """How many (fold, run) a failed replicate has spoilt."""
    failed = sa.select(Replicate.fold, Replicate.run).where(
        Replicate.study_id == study_id, Replicate.outcome == "failed"
    )
    return session.scalar(sa.select(sa.func.count()).select_from(failed.distinct().subquery())) or 0


@dataclass(frozen=True)
class Pace:
    """How fast a study goes."""

    seconds_per_replicate: float | None
    """Slot-seconds, from the packs that are done; None before the first."""
    running_packs: int
    epochs_in_flight: int
    """Network-epochs that running packs have behind them."""


def paces(session: Session, study_ids: Sequence[str]) -> dict[str, Pace]:
    """Measure the pace of studies from their packs and replicates, in two queries for all of them."""
    running = Pack.state == "running"
    query = sa.select(
        Pack.study_id,
        sa.func.count().filter(running),
        sa.func.coalesce(sa.func.sum(Pack.epochs_done).filter(running), 0),
        sa.func.sum(Pack.seconds).filter(Pack.state == "done"),
    )
    packs = {row[0]: row for row in session.execute(query.where(Pack.study_id.in_(study_ids)).group_by(Pack.study_id))}
    found = {}
    for study_id, done in session.execute(sa.select(Study.id, Study.done).where(Study.id.in_(study_ids))):
        _, count, epochs, seconds = packs.get(study_id, (study_id, 0, 0, None))
        found[study_id] = Pace(seconds / done if seconds and done else None, int(count), int(epochs))
    return found


def cell_accuracies(session: Session, study_id: str) -> dict[int, list[float]]:
    """The accuracies of each cell that has some, in the order of run and fold, in which they were asked for."""
    query = sa.select(Replicate.cell, Replicate.accuracy).where(
        Replicate.study_id == study_id, Replicate.accuracy.is_not(None), Replicate.outcome != "failed"
    )
    found: dict[int, list[float]] = {}
    for cell, accuracy in session.execute(query.order_by(Replicate.cell, Replicate.run, Replicate.fold)):
        assert accuracy is not None  # by the query, which its type does not say
        found.setdefault(cell, []).append(accuracy)
    return found


def cell_statistics(session: Session, study_id: str) -> dict[int, tuple[float | None, float | None]]:
    """Mean and standard deviation (n - 1) of the accuracy of each cell that has a score.

    The squares are taken around the study's mean, so that nearly equal accuracies lose no digits.
    """
    scored = (Replicate.study_id == study_id, Replicate.accuracy.is_not(None), Replicate.outcome != "failed")
    centre = session.scalar(sa.select(sa.func.avg(Replicate.accuracy)).where(*scored)) or 0.0
    offset = sa.func.coalesce(Replicate.accuracy, centre) - centre  # never null here, but typed so
    rows = session.execute(
        sa.select(Replicate.cell, sa.func.count(), sa.func.sum(offset), sa.func.sum(offset * offset))
        .where(*scored)
        .group_by(Replicate.cell)
    )
    found: dict[int, tuple[float | None, float | None]] = {}
    for cell, n, total, squares in rows:
        variance = max(0.0, squares - total * total / n) / (n - 1) if n > 1 else None
        found[cell] = (centre + total / n, None if variance is None else math.sqrt(variance))
    return found
