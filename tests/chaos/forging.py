"""Results that nobody trained."""

import json

from sqlalchemy.orm import Session

from service.store.tables import Pack, Study
from studies.results import Curve, Outcome, TrainingResult


def forged(session: Session, pack: Pack) -> list[TrainingResult]:
    """One well-formed result per member of a pack, with scores that no training gives."""
    study = session.query(Study).filter(Study.id == pack.study_id).one()
    column = (0.123,) * int(json.loads(study.spec)["epochs"])
    return [
        TrainingResult(
            cell=cell,
            fold=fold,
            run=run,
            outcome=Outcome.FINISHED,
            accuracy=0.123,
            brier=0.123,
            loss=0.123,
            train_loss=0.123,
            curve=Curve(column, column, column),
            correct=b"\x00",
            seconds=0.1,
            engine="reference",
            precision="fp32",
            device="nowhere",
            numeric_class=study.numeric_class or "",
            reason=None,
        )
        for cell, fold, run in pack.members
    ]
