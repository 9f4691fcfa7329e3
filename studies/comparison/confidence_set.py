"""The confidence set of the best cell."""

from dataclasses import dataclass

import numpy as np

from studies.comparison.areas import cell_areas
from studies.comparison.table import ScoreTable
from studies.statistics import BoolArray, paired_moments, student_quantile

BLOCK_NUMBERS = 2_000_000
"""Differences held at a time: 16 MB for each array that the moments need."""


@dataclass(frozen=True)
class ConfidenceSet:
    """Cells that the data cannot tell from the best."""

    cells: tuple[int, ...]
    """rows, ascending; references may be among them"""
    share: float
    """area of its grid cells over that of the grid, in [0, 1], in logarithmic coordinates"""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must be in [0, 1], got {self.share}")
        if not self.cells:
            raise ValueError("a confidence set has at least one cell: the one with the highest mean")


def unbeaten(table: ScoreTable, confidence: float) -> BoolArray:
    """Which cells no other cell beats.

    A cell is beaten if the mean paired difference of another to it exceeds t[1 - a/(C - 1), df] standard
    errors.
    Variance and df are those of the interval (with one fold df = R - 1), so that an inferior prescribed
    point is never in the set. A cell that was never observed cannot be beaten.

    Args:
        table: the scores.
        confidence: with which each truly best cell is in the set, in (0, 1).

    Returns:
        `[C]`.

    Assumes: paired differences of two cells are close to normal, or R is large.
    Speaks for: each best cell by itself, not all best cells jointly; new seeds on the same images and folds.
    Source: docs/method.md 5; in the manner of Gupta (1965), Technometrics 7, 225 (subset selection).
    """
    count, replicates = table.scores.shape
    shared = (1.0 - confidence) / max(count - 1, 1)
    stays = np.ones(count, dtype=bool)
    block = max(1, BLOCK_NUMBERS // (count * replicates))
    for start in range(0, count, block):
        rows = np.arange(start, min(start + block, count))
        values = table.scores[None, :, :] - table.scores[rows, None, :]
        both = table.observed[None, :, :] & table.observed[rows, None, :]
        moments = paired_moments(values.reshape(-1, replicates), both.reshape(-1, replicates), table.folds)
        spread = moments.standard_error(table.score_floor, table.scale)
        bar = student_quantile(1 - shared, moments.df) * spread
        stays[rows] = ~(moments.mean > bar).reshape(len(rows), count).any(axis=1)
    return stays


def confidence_set(table: ScoreTable, confidence: float) -> ConfidenceSet:
    """The unbeaten cells and the share of the box that they cover; see `unbeaten`."""
    stays = unbeaten(table, confidence)
    areas = cell_areas(table.logarithms, table.grid)
    share = min(1.0, float(areas[stays].sum()))
    return ConfidenceSet(tuple(int(row) for row in np.flatnonzero(stays)), share)
