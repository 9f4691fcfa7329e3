"""Learning curves of a cell over its replicates: mean and spread after each epoch."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.store.tables import Replicate

LOW, HIGH = 0.1, 0.9
"""Quantiles between which a band lies: the middle 80 % of the replicates."""
Column = tuple[float | None, ...]


@dataclass(frozen=True)
class Band:
    """One cell's curves; every column has one value per epoch, None where no replicate has a value."""

    cell: int
    n: int
    """Replicates: finished and diverged."""
    diverged: int
    accuracy: Column
    """Mean test accuracy; a diverged training counts with its documented score, 1/classes."""
    accuracy_low: Column
    accuracy_high: Column
    train_loss: Column
    """Mean training loss of the replicates that had not diverged by then."""
    train_loss_low: Column
    train_loss_high: Column

    def __post_init__(self) -> None:
        accuracies = (self.accuracy, self.accuracy_low, self.accuracy_high)
        losses = (self.train_loss, self.train_loss_low, self.train_loss_high)
        lengths = {len(column) for column in (*accuracies, *losses)}
        if len(lengths) != 1:
            raise ValueError(f"a band has one value per epoch in each column, got {sorted(lengths)}")


def bands(session: Session, study_id: str, cells: Sequence[int]) -> dict[int, Band]:
    """The curves of some cells of a study, those without a finished or diverged training left out.

    Args:
        session: reads the store.
        study_id: the study.
        cells: indices; few, since every curve of theirs is read.
    """
    columns = (Replicate.cell, Replicate.outcome, Replicate.accuracy, Replicate.curve)
    wanted = (Replicate.study_id == study_id, Replicate.cell.in_(cells), Replicate.outcome != "failed")
    rows = session.execute(sa.select(*columns).where(*wanted).order_by(Replicate.cell, Replicate.fold, Replicate.run))
    found: dict[int, list[tuple[str, float, dict[str, Any]]]] = defaultdict(list)
    for cell, outcome, accuracy, curve in rows:
        found[cell].append((outcome, accuracy, curve))
    return {cell: _band(cell, trainings) for cell, trainings in found.items()}


def _band(cell: int, trainings: Sequence[tuple[str, float, dict[str, Any]]]) -> Band:
    scores = np.array([[accuracy] for _, accuracy, _ in trainings])
    accuracy = np.array([curve["accuracy"] for _, _, curve in trainings], dtype=float)  # [n, epochs], NaN for null
    losses = np.array([curve["train_loss"] for _, _, curve in trainings], dtype=float)
    diverged = sum(outcome == "diverged" for outcome, _, _ in trainings)
    columns = (*_summary(np.where(np.isnan(accuracy), scores, accuracy)), *_summary(losses))
    return Band(cell, len(trainings), diverged, *columns)


def _summary(values: "np.ndarray[Any, np.dtype[np.float64]]") -> tuple[Column, Column, Column]:
    """Mean, low and high of the values `[n, epochs]` of each epoch that are there."""
    mean: list[float | None] = []
    low: list[float | None] = []
    high: list[float | None] = []
    for column in values.T:
        there = column[~np.isnan(column)]
        mean.append(float(there.mean()) if there.size else None)
        low.append(float(np.quantile(there, LOW)) if there.size else None)
        high.append(float(np.quantile(there, HIGH)) if there.size else None)
    return tuple(mean), tuple(low), tuple(high)
