"""What has to hold after every storm (I1 to I5 of docs/reliability.md), read from the database alone."""

import json
import math
from collections import Counter
from collections.abc import Iterable

import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import IntegrityError

from service.store.tables import Cell, Pack, Replicate, Study
from tests.chaos.deployment import Deployment
from tests.chaos.fault_log import Violation
from tests.chaos.forked import eventually

SCORES = ("outcome", "accuracy", "brier", "loss", "train_loss", "curve", "engine", "precision", "device")
"""What a calm run gives as well; time, worker, pack and attempt may differ."""
RECORD_SECONDS = 90
"""Within which Optuna's record has to be complete: it looks for what is missing once a minute."""


def table(deployment: Deployment, study: str) -> list[str]:
    """The replicates in the order (cell, fold, run); equal text is equality to the bit."""
    query = sa.select(Replicate).where(Replicate.study_id == study)
    with deployment.store.read() as session:
        rows = session.scalars(query.order_by(Replicate.cell, Replicate.fold, Replicate.run)).all()
    told = []
    for row in rows:
        scores = {name: getattr(row, name) for name in SCORES} | {"correct": (row.correct or b"").hex()}
        told.append(json.dumps([row.cell, row.fold, row.run, scores, row.numeric_class]))
    return told


def check(deployment: Deployment, study: str, calm: list[str], failed: Iterable[tuple[int, int, int]] = ()) -> None:
    """Hold a study that has ended against every invariant.

    Args:
        deployment: where it ran.
        study: its id.
        calm: the table of a calm run.
        failed: the (cell, fold, run) that are to have failed; those rows are not compared.

    Raises:
        Violation: with the first one that does not hold.
    """
    _check_rows(deployment, study, set(failed))
    own = table(deployment, study)
    expected = {tuple(json.loads(line)[:3]): line for line in calm}
    for line in own:
        key = tuple(json.loads(line)[:3])
        if key not in set(failed) and expected.get(key) != line:
            raise Violation(f"I2: the result of {key} differs from the calm run's:\n{line}\n{expected.get(key)}")
    eventually(lambda: not _record_problem(deployment, study), RECORD_SECONDS, "the record is complete (I5)")


def _check_rows(deployment: Deployment, study_id: str, failed: set[tuple[int, int, int]]) -> None:
    """I1, and that every count agrees with the rows."""
    with deployment.store.read() as session:
        study = session.scalars(sa.select(Study).where(Study.id == study_id)).one_or_none()
        if study is None:
            raise Violation(f"I4: study {study_id} is gone")
        rows = session.scalars(sa.select(Replicate).where(Replicate.study_id == study_id)).all()
        packs = session.scalars(sa.select(Pack).where(Pack.study_id == study_id)).all()
        counted = session.scalars(sa.select(Cell).where(Cell.study_id == study_id).order_by(Cell.cell)).all()
    if study.status != "completed":
        raise Violation(f"I1: study {study_id} is {study.status}: {study.reason}")
    folds = json.loads(study.spec)["folds_used"]  # the specification's model is not installed in this process
    wanted = {(cell.cell, f, r) for cell in counted for f in range(folds) for r in range(study.runs)}
    found = Counter((row.cell, row.fold, row.run) for row in rows)
    if found != Counter(wanted):
        raise Violation(f"I1: lost {sorted(wanted - set(found))}, twice {[k for k, n in found.items() if n > 1]}")
    if study.done != study.total or study.total != len(rows):
        raise Violation(f"I1: {study.done} of {study.total} are said to be done, {len(rows)} are stored")
    sources = Counter(tuple(key) for pack in packs if pack.state in ("done", "quarantined") for key in pack.members)
    if sources != Counter(wanted):
        raise Violation("I1: a training was accepted from no pack or from two")
    if live := [pack.id for pack in packs if pack.state in ("waiting", "running")]:
        raise Violation(f"I1: packs {live} outlive their study")
    lost = {(row.cell, row.fold, row.run): row.reason for row in rows if row.outcome == "failed"}
    if set(lost) != failed or not all(lost.values()):
        raise Violation(f"I1: failed are {lost}, to fail were {sorted(failed)}")
    for cell in counted:
        own = [row.outcome for row in rows if row.cell == cell.cell]
        if (cell.n, cell.failed) != (len(own) - own.count("failed"), own.count("failed")):
            raise Violation(f"I1: cell {cell.cell} counts {cell.n} and {cell.failed} failed of {len(own)}")


def _record_problem(deployment: Deployment, study_id: str) -> str | None:
    """What Optuna's record says otherwise than the store (I5); None if they agree."""
    with deployment.store.read() as session:
        study = session.scalars(sa.select(Study).where(Study.id == study_id)).one()
        rows = session.scalars(sa.select(Replicate).where(Replicate.study_id == study_id)).all()
        points = session.scalars(sa.select(Cell).where(Cell.study_id == study_id).order_by(Cell.cell)).all()
    storage = RDBStorage(deployment.url)
    try:
        trials = optuna.load_study(study_name=study.optuna_name, storage=storage).get_trials()
    except KeyError:
        return "no such study"
    finally:
        storage.engine.dispose()
    if len(trials) != len(points):
        return f"{len(trials)} trials for {len(points)} cells"
    for cell, trial in zip(points, trials, strict=True):
        scores = [r.accuracy for r in rows if r.cell == cell.cell and r.outcome != "failed" and r.accuracy is not None]
        mean = math.fsum(scores) / len(scores) if scores else None
        state = TrialState.FAIL if mean is None else TrialState.COMPLETE
        same = trial.params == {"learning_rate": cell.learning_rate, "momentum": cell.momentum}
        near = trial.value is None if mean is None else trial.value is not None and math.isclose(trial.value, mean)
        if trial.state is not state or not same or not near or trial.user_attrs.get("n") != cell.n:
            return f"trial {trial.number} says {trial.state}, {trial.value}, {trial.user_attrs}"
    return None


def check_unique(deployment: Deployment, study: str) -> None:
    """The store itself refuses a second row for a training (I1 where every other check fails)."""
    names = [column.name for column in Replicate.__table__.columns]
    copy = f"INSERT INTO gb_replicates ({', '.join(names)}) SELECT {', '.join(names)} FROM gb_replicates"
    first = "WHERE study_id = :id AND cell = 0 AND fold = 0 AND run = 0"
    try:
        with deployment.store.write() as session:
            session.execute(sa.text(f"{copy} {first}"), {"id": study})
            raise Violation("I1: the store takes a second row for one training")
    except IntegrityError:
        return
