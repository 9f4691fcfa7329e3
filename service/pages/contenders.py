"""The cells that are shown in detail: the prescribed point, the best cell, the references, with their trainings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from service.api.context import Context
from service.curves import Band, bands
from service.pages import wording
from service.pages.drawings import Drawings
from service.pages.stamp import Counts
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


@dataclass(frozen=True)
class Trainings:
    """The stored trainings of one cell, which change only with its counts."""

    accuracy: FloatArray
    """[n] ascending"""
    band: Band | None
    """None without a training that has a score"""


def read_contenders(
    context: Context, drawings: Drawings, study_id: str, answer: ComparisonDocument, counts: Sequence[Counts]
) -> tuple[Contender, ...]:
    """The contenders of a comparison that have a training, each cell once, at most MOST_DRAWN.

    Args:
        context: the parts of the service.
        drawings: what has been read already: a pack changes few of these cells, and reading one takes milliseconds.
        study_id: whose.
        answer: the comparison.
        counts: of each cell.
    """
    names: dict[int, list[str]] = {}
    for one in scene.contenders(answer):
        name = str(answer["prescribed"]["label"]) if one.role == "prescribed" else one.name
        names.setdefault(one.cell, []).append(name)
    points = {one["cell"]: one for one in (answer["prescribed"], answer["best"], *answer["references"]) if one}
    found: list[Contender] = []
    for cell in list(names)[:MOST_DRAWN]:
        read = partial(_read, context, study_id, cell)
        trainings = drawings.of(f"trainings {study_id} {cell}", counts[cell], read)
        if trainings.band is not None:
            at = wording.point(points[cell]["learning_rate"], points[cell]["momentum"])
            found.append(Contender(", ".join(names[cell]), at, trainings.accuracy, trainings.band))
    return tuple(found)


def _read(context: Context, study_id: str, cell: int) -> Trainings:
    with context.store.read() as session:
        band = bands(session, study_id, [cell]).get(cell)
        accuracies = [one.accuracy for one in scores(session, study_id, {cell}) if one.accuracy is not None]
    return Trainings(np.sort(np.array(accuracies, dtype=np.float64)), band)
