"""A study's stored scores as the table that a comparison is computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.compare import ScoreTable, score_table
from studies.datasets import registry
from studies.grid import Cell
from studies.spec import StudySpec


@dataclass(frozen=True)
class Score:
    """One stored replicate, as far as the answer needs it."""

    cell: int
    fold: int
    run: int
    outcome: str
    accuracy: float | None
    brier: float | None
    train_loss: float | None


def complete_columns(scores: Sequence[Score], cells: int, dropped: Mapping[int, int]) -> list[tuple[int, int]]:
    """(fold, run) for which every cell that was not dropped before has a score, in order of run, then fold."""
    count: dict[tuple[int, int], int] = {}
    for score in scores:
        if score.outcome != "failed":
            count[score.run, score.fold] = count.get((score.run, score.fold), 0) + 1
    gone = {run: sum(run >= end for end in dropped.values()) for run, _ in count}
    return [(fold, run) for (run, fold), number in sorted(count.items()) if number == cells - gone[run]]


def score_table_of(
    spec: StudySpec, grid: Sequence[Cell], scores: Sequence[Score], dropped: Mapping[int, int], images: int | None
) -> ScoreTable | None:
    """The accuracies of a study's complete columns; None while there are none. Arguments as for `answer`."""
    columns = complete_columns(scores, len(grid), dropped)
    if not columns:
        return None
    found = Columns(spec, grid, scores, columns, images or registry.get(spec.dataset).images)
    return score_table(**found.arguments(found.values("accuracy"), with_images=True))


class Columns:
    """Scores of the complete columns as arrays `[C, R]`.

    Args:
        spec: the study.
        grid: its cells.
        scores: stored replicates.
        columns: (fold, run) from `complete_columns`, at least one.
        images: of the data set, if they are known.
    """

    def __init__(
        self,
        spec: StudySpec,
        grid: Sequence[Cell],
        scores: Sequence[Score],
        columns: Sequence[tuple[int, int]],
        images: int | None,
    ) -> None:
        self._spec, self._grid, self._images = spec, grid, images
        self._folds = [fold for fold, _ in columns]
        self._place = {column: at for at, column in enumerate(columns)}
        self._shape = (len(grid), len(columns))
        self._scores = [score for score in scores if (score.fold, score.run) in self._place]
        self._diverged = np.zeros(self._shape, dtype=bool)
        for score in self._scores:
            self._diverged[self._at(score)] = score.outcome == "diverged"

    def values(self, name: str) -> np.ndarray:
        """One score of every replicate, `[C, R]`; NaN where there is none (a loss that diverged, a dropped cell)."""
        values = np.full(self._shape, np.nan)
        for score in self._scores:
            value = getattr(score, name)
            values[self._at(score)] = np.nan if value is None else value
        return values

    def arguments(self, values: np.ndarray, with_images: bool) -> dict[str, Any]:
        """What `compare` and `score_table` take in common.

        Args:
            values: `[C, R]`, higher is better, NaN where not observed.
            with_images: whether a value is a share of the test images, which sets its least standard error.
        """
        images = self._images if with_images else None
        n_test = None if images is None else images // self._spec.folds
        sizes = {} if images is None or n_test is None else {"n_test": n_test, "n_train": images - n_test}
        return sizes | {
            "scores": np.nan_to_num(values),
            "cells": [(cell.learning_rate, cell.momentum) for cell in self._grid],
            "derived": 0,
            "folds": self._folds,
            "diverged": self._diverged,
            "observed": ~np.isnan(values),
            "references": _references(self._grid),
            "grid": [cell.in_grid for cell in self._grid],
        }

    def _at(self, score: Score) -> tuple[int, int]:
        return score.cell, self._place[score.fold, score.run]


def _references(grid: Sequence[Cell]) -> dict[str, int]:
    own = grid[0].labels[0]
    return {label: cell.index for cell in grid for label in cell.labels if label != own}
