"""The cells that are shown in detail: the prescribed point, the best cell, the references, with their trainings."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from service.curves import Band, bands
from service.pages import wording
from service.plots import scene
from service.schemas.studies import ComparisonDocument
from service.store.queries import scores

MOST_DRAWN = 8
"""As many as colours and dashes that can be told apart. The table has all of them."""

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Contender:
    """One cell with its stored trainings."""

    who: str
    """every name it goes by"""
    at: str
    """(learning rate, momentum)"""
    accuracy: FloatArray
    """[n] ascending, after the last epoch; a diverged training has its documented score"""
    band: Band


def read_contenders(session: Session, study_id: str, answer: ComparisonDocument) -> tuple[Contender, ...]:
    """The contenders of a comparison that have a training, each cell once, at most MOST_DRAWN.

    Args:
        session: reads the store.
        study_id: whose.
        answer: the comparison.
    """
    names: dict[int, list[str]] = {}
    for one in scene.contenders(answer):
        name = str(answer["prescribed"]["label"]) if one.role == "prescribed" else one.name
        names.setdefault(one.cell, []).append(name)
    shown = list(names)[:MOST_DRAWN]
    points = {one["cell"]: one for one in (answer["prescribed"], answer["best"], *answer["references"]) if one}
    found = bands(session, study_id, shown)
    accuracies: dict[int, list[float]] = {cell: [] for cell in shown}
    for score in scores(session, study_id, set(shown)):
        if score.accuracy is not None:
            accuracies[score.cell].append(score.accuracy)
    return tuple(
        Contender(
            ", ".join(names[cell]),
            wording.point(points[cell]["learning_rate"], points[cell]["momentum"]),
            np.sort(np.array(accuracies[cell], dtype=np.float64)),
            found[cell],
        )
        for cell in shown
        if cell in found
    )
