"""What becomes of a pack whose attempt failed: another try, two halves, or an end with its evidence."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.dispatch.accept import log, new_pack, running_pack, store_results
from service.store.tables import Pack, Study, now
from studies.results import Curve, Outcome, TrainingResult
from studies.spec import StudySpec

TRIES = 2
"""Charged attempts of a pack of several before it is halved."""
LONE_TRIES = 3
"""Charged attempts of a single training before it is quarantined."""


class Fate(StrEnum):
    """What happens next."""

    AGAIN = "again"
    HALVE = "halve"
    QUARANTINE = "quarantine"


def fate(members: int, charged: int, fits: bool) -> Fate:
    """Decide over a pack after a failed attempt.

    Args:
        members: trainings in the pack.
        charged: attempts that failed through the pack, this one included.
        fits: False if the device's memory was too small for it.
    """
    if not fits:
        return Fate.HALVE if members > 1 else Fate.QUARANTINE
    if members > 1:
        return Fate.HALVE if charged >= TRIES else Fate.AGAIN
    return Fate.QUARANTINE if charged >= LONE_TRIES else Fate.AGAIN


def charge(session: Session, pack_id: str, attempt: int, evidence: str, fits: bool = True) -> Fate | None:
    """Charge a failed attempt to its pack and carry out what follows.

    Args:
        session: a dispatcher's transaction.
        pack_id, attempt: who failed.
        evidence: the error, kept in the pack's log and in the reason of a quarantined replicate.
        fits: False if the device's memory was too small.

    Returns:
        What was done; None if the pack no longer runs in this attempt.
    """
    pack = running_pack(session, pack_id, attempt)
    if pack is None:
        return None
    pack.charged += 1
    log(pack, evidence)
    decided = fate(len(pack.members), pack.charged, fits)
    if decided is Fate.AGAIN:
        pack.state, pack.worker = "waiting", None
    elif decided is Fate.HALVE:
        _halve(session, pack)
    else:
        _quarantine(session, pack, "does not fit the device" if not fits else "quarantined")
    return decided


def _halve(session: Session, pack: Pack) -> None:
    """Two waiting packs take over, split in the middle, so that the tree is the same in every run."""
    middle = len(pack.members) // 2
    for members in (pack.members[:middle], pack.members[middle:]):
        new_pack(session, pack.study_id, members, f"half of pack {pack.id}\n")
    pack.state, pack.finished_at = "split", now()


def _quarantine(session: Session, pack: Pack, reason: str) -> None:
    study = session.scalars(sa.select(Study).where(Study.id == pack.study_id).with_for_update()).one()
    spec = StudySpec.from_json_text(study.spec)
    cell, fold, run = pack.members[0]
    nothing = (None,) * spec.epochs
    result = TrainingResult(
        cell=cell,
        fold=fold,
        run=run,
        outcome=Outcome.FAILED,
        accuracy=None,
        brier=None,
        loss=None,
        train_loss=None,
        curve=Curve(nothing, nothing, nothing),
        correct=None,
        seconds=0.0,
        engine=spec.engine,
        precision=spec.precision,
        device="",
        numeric_class=study.numeric_class or "",
        reason=f"{reason}\n{pack.log}",
    )
    pack.state, pack.finished_at = "quarantined", now()
    store_results(session, study, [(pack, [result])])
