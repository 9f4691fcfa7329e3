"""Races: at the end of each round, cells that are out of the running get no more replicates.

A round ends when all its replicates are stored, and nothing of the next is leased before it is decided, so what it
decides depends on the stored scores alone: whoever decides it, once or again after a crash, decides the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from service.dispatch import accept
from service.dispatch.chores import Chores
from service.dispatch.leader import Leadership
from service.lifecycle import TERMINAL
from service.store.engine import Store
from service.store.queries import dropped_cells, scores, study_cells
from service.store.tables import Study
from studies.columns import Score, score_table_of
from studies.racing import Decision, decide, rounds

log = structlog.get_logger("goldenbench.race")


@dataclass(frozen=True)
class Round:
    """A round whose replicates are all stored."""

    study_id: str
    spec: str
    runs: int
    """Runs per cell at its end."""
    images: int | None
    dropped: dict[int, int]
    """Cells dropped before, with the runs that they have."""
    scores: Sequence[Score]


class Races:
    """Decides rounds in another thread, since a large one takes seconds."""

    def __init__(self, store: Store, leadership: Leadership, chores: Chores) -> None:
        self._store = store
        self._leadership = leadership
        self._chores = chores
        self._deciding: set[str] = set()

    def advance(self, studies: Sequence[Study]) -> None:
        """Decide the rounds that have ended."""
        for study in studies:
            if study.race_runs is not None and study.id not in self._deciding and self._has_ended(study):
                self._start(study.id)

    def _has_ended(self, study: Study) -> bool:
        with self._store.read() as session:
            return study.done < study.total and study.done == accept.open_replicates(session, study)

    def _start(self, study_id: str) -> None:
        self._deciding.add(study_id)

        def work() -> tuple[Round, Decision]:
            ended = self._read(study_id)
            return ended, decide_round(ended)

        def then(decided: tuple[Round, Decision]) -> None:
            ended, decision = decided
            with self._leadership.transaction("race") as session:
                enter_next_round(session, ended, decision)
            self._deciding.discard(study_id)
            log.info("round decided", study=study_id, runs=ended.runs, dropped=len(decision.dropped))

        def failed(error: Exception) -> None:
            self._deciding.discard(study_id)
            log.error("round not decided", study=study_id, exc_info=error)

        self._chores.start(work, then, failed)

    def _read(self, study_id: str) -> Round:
        with self._store.read() as session:
            study = session.scalars(sa.select(Study).where(Study.id == study_id)).one()
            assert study.race_runs is not None
            dropped = dropped_cells(session, study_id)
            return Round(study_id, study.spec, study.race_runs, study.images, dropped, scores(session, study_id))


def decide_round(ended: Round) -> Decision:
    """Which cells a round drops, and whether the study has its answer.

    While no column is complete (each had a failed training) nothing is dropped.
    """
    spec, grid = accept.plan(ended.spec)
    table = score_table_of(spec, grid, ended.scores, ended.dropped, ended.images)
    if table is None:
        return Decision((), "undecided")
    number = len(rounds(spec.folds_used, spec.runs))
    decision = decide(table, spec.claim.margin, spec.claim.confidence, number)
    return Decision(tuple(row for row in decision.dropped if row not in ended.dropped), decision.verdict)


def enter_next_round(session: Session, ended: Round, decision: Decision) -> None:
    """Open the next round for the cells that stay, or end the race; nothing if the round was decided before."""
    study = session.scalar(sa.select(Study).where(Study.id == ended.study_id).with_for_update())
    if study is None or study.race_runs != ended.runs or study.status in TERMINAL:
        return
    spec = accept.plan(study.spec)[0]
    cells = study_cells(session, study.id)
    for cell in cells:
        if cell.cell in decision.dropped:
            cell.dropped_after = ended.runs
    racing = sum(cell.dropped_after is None for cell in cells)
    if decision.verdict != "undecided" or racing < 2:
        study.total = study.done
    else:
        study.race_runs = next(runs for runs in rounds(spec.folds_used, spec.runs) if runs > ended.runs)
        study.total = spec.folds_used * sum(cell.dropped_after or study.runs for cell in cells)
    study.revision += 1
    accept.settle(session, study)
