"""The confidence set of the best cell."""

from dataclasses import dataclass

import numpy as np

from studies.comparison.areas import cell_areas
from studies.comparison.standing import Standing
from studies.comparison.table import ScoreTable
from studies.statistics import BoolArray, FloatArray, IntArray, Moments, paired_moments, student_quantile

BLOCK_NUMBERS = 200_000
"""Numbers in each array that a block needs: 1.6 MB, which stays in the cache."""
ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""Relative error of a sum, per term, that the screening of pairs allows for."""


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
    point is never in the set. A cell that was never observed cannot be beaten. Two cells are compared on the
    replicates that both have, so a cell that is observed no more stays beaten while the table grows.

    Args:
        table: the scores.
        confidence: with which each truly best cell is in the set, in (0, 1).

    Returns:
        `[C]`.

    Assumes: paired differences of two cells are close to normal, or R is large.
    Speaks for: each best cell by itself, not all best cells jointly; new seeds on the same images and folds.
    Source: docs/method.md 5; in the manner of Gupta (1965), Technometrics 7, 225 (subset selection).
    """
    shared = (1.0 - confidence) / max(table.n_cells - 1, 1)
    stays = np.ones(table.n_cells, dtype=bool)
    block = max(1, BLOCK_NUMBERS // table.n_cells)
    for start in range(0, table.n_cells, block):
        rows = np.arange(start, min(start + block, table.n_cells))
        certain, doubtful = _screened(table, rows, 1 - shared)
        beaten = np.asarray(certain.any(axis=1))
        first, second = np.nonzero(doubtful & ~beaten[:, None])
        beaten[first[_beats(table, second, rows[first], 1 - shared)]] = True
        stays[rows] = ~beaten
    return stays


def _beats(table: ScoreTable, first: IntArray, second: IntArray, probability: float) -> BoolArray:
    """Whether one row beats another, `[M]`, for `[M]` pairs of rows."""
    result = np.zeros(len(first), dtype=bool)
    block = max(1, BLOCK_NUMBERS // table.n_replicates)
    for start in range(0, len(first), block):
        one, other = first[start : start + block], second[start : start + block]
        both = table.observed[one] & table.observed[other]
        moments = paired_moments(table.scores[one] - table.scores[other], both, table.folds)
        bar = student_quantile(probability, moments.df) * moments.standard_error(table.score_floor, table.scale)
        result[start : start + block] = moments.mean > bar
    return result


def _screened(table: ScoreTable, rows: IntArray, probability: float) -> tuple[BoolArray, BoolArray]:
    """Which pairs matrix products decide: the moments of all pairs at once, with a bound of their rounding.

    Args:
        table: the scores.
        rows: `[B]` that may be beaten.
        probability: of the quantile.

    Returns:
        (`[B, C]` the second row beats the first for certain, `[B, C]` too close to say).
    """
    seen = table.observed.astype(np.float64)
    # Taking off means of columns, then of rows, changes no variance of a difference and keeps the sums small.
    middle = (table.scores * seen).sum(axis=0) / np.maximum(seen.sum(axis=0), 1.0)
    centred = (table.scores - middle) * seen
    level = centred.sum(axis=1) / np.maximum(seen.sum(axis=1), 1.0)
    centred = (centred - level[:, None]) * seen
    squares = centred**2
    count, total, square, within, used = (np.zeros((len(rows), table.n_cells)) for _ in range(5))
    for fold in range(table.n_folds):
        here = table.folds == fold
        x, x2, m = centred[:, here], squares[:, here], seen[:, here]
        n = m[rows] @ m.T
        sums = m[rows] @ x.T - x[rows] @ m.T
        products = m[rows] @ x2.T + x2[rows] @ m.T - 2 * (x[rows] @ x.T)
        count += n
        total += sums
        square += products
        within += products - sums**2 / np.maximum(n, 1.0)
        used += n > 0
    whole = np.maximum(count, 1.0)
    folded = (count >= 2 * used) & (used > 0)
    df = np.maximum(np.where(folded, count - used, count - 1), 0).astype(np.int64)
    sizes = squares.sum(axis=1)
    doubt = ROUNDING * table.n_replicates * (sizes[rows, None] + sizes[None, :])
    spread = np.where(folded, within, square - total**2 / whole)
    mean = total / whole + level[None, :] - level[rows, None]
    slack = ROUNDING * table.n_replicates * table.scale
    quantile = student_quantile(probability, df)

    def bar(sum_of_squares: FloatArray) -> FloatArray:
        variance = np.where(df > 0, np.maximum(sum_of_squares, 0.0) / np.maximum(df, 1), np.inf)
        moments = Moments(count.astype(np.int64), mean, variance, df)
        return np.asarray(quantile * moments.standard_error(table.score_floor, table.scale))

    certain = mean - slack > bar(spread + doubt)
    return certain, ~certain & (mean + slack > bar(spread - doubt))


def confidence_set(table: ScoreTable, place: Standing, confidence: float) -> ConfidenceSet:
    """The unbeaten cells and the share of the box that they cover; see `unbeaten`.

    Args:
        table: the scores.
        place: their means on one footing; the best stays where gaps let every cell be beaten by another.
        confidence: with which each truly best cell is in the set, in (0, 1).

    Returns:
        The set, never empty.
    """
    stays = unbeaten(table, confidence)
    if not stays.any():
        stays[place.best] = True
    areas = cell_areas(table.logarithms, table.grid)
    share = min(1.0, float(areas[stays].sum()))
    return ConfidenceSet(tuple(int(row) for row in np.flatnonzero(stays)), share)
