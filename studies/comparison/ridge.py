"""Does the momentum matter at a fixed effective learning rate?"""

from dataclasses import dataclass

import numpy as np

from studies.comparison.standing import Standing
from studies.comparison.table import ScoreTable
from studies.statistics import FloatArray, IntArray, Moments, paired_moments, student_quantile

SAME_RATE = 1e-9
"""Relative difference below which two effective rates are one: rounding of eta f^k / ((1 - alpha) f^k)."""


@dataclass(frozen=True)
class Slope:
    """Change of the score per decade of 1 - momentum at one effective rate, with two-sided limits."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Diagonal:
    """Cells of one effective learning rate, in the order of their momentum."""

    effective_learning_rate: float
    cells: tuple[int, ...]
    """rows, grid cells and references, none of which diverged"""
    left_out: tuple[int, ...]
    """rows of this effective rate that diverged at least once or were not observed"""
    momentum: tuple[float, ...]
    mean: tuple[float, ...]
    p_value: float | None
    """of `all means are equal`, corrected for all pairs; None where no variance can be had"""
    slope: Slope | None
    """None with fewer than two distinct momenta or no variance"""


@dataclass(frozen=True)
class Ridge:
    """The answer along the prescribed point's diagonal, and all diagonals."""

    question: str
    matters: bool | None
    """whether momentum matters on the prescribed point's diagonal at this confidence; None: no test
    possible"""
    p_value: float | None
    prescribed: Diagonal | None
    """None where no other usable cell has the prescribed point's effective rate"""
    diagonals: tuple[Diagonal, ...]
    """every diagonal with at least two usable cells, by effective rate"""
    joint_p_value: float | None
    """of `momentum matters on no diagonal`, corrected for their number"""


def ridge(table: ScoreTable, place: Standing, confidence: float) -> Ridge:
    """Paired tests along exact diagonals of one effective learning rate.

    Args:
        table: the scores.
        place: their means on one footing, for show; tests pair the replicates that both cells have, slopes those that
            all cells of a diagonal have.
        confidence: of the test and of the slopes' limits, in [0.5, 1).

    Returns:
        The test on the prescribed point's diagonal, and one for each diagonal with two or more usable cells.

    Assumes: paired differences of two cells are close to normal, or R is large; Bonferroni over pairs, so
        that unequal variances and any correlation are allowed for.
    Speaks for: these cells; new seeds on the same images and folds. No effect found is not no effect.
    """
    rates = table.effective_rates
    usable = np.asarray(~table.diverged.any(axis=1) & table.observed.any(axis=1))
    diagonals = [
        _diagonal(table, place, rows[usable[rows]], rows[~usable[rows]], confidence)
        for rows in _groups(rates)
        if usable[rows].sum() >= 2
    ]
    here = next((d for d in diagonals if table.derived in d.cells), None)
    tested = [d.p_value for d in diagonals if d.p_value is not None]
    p_value = here.p_value if here else None
    return Ridge(
        question="does momentum matter at a fixed effective learning rate?",
        matters=None if p_value is None else p_value < 1 - confidence,
        p_value=p_value,
        prescribed=here,
        diagonals=tuple(diagonals),
        joint_p_value=min(1.0, len(tested) * min(tested)) if tested else None,
    )


def _groups(rates: FloatArray) -> list[IntArray]:
    """Rows of equal effective rate, by rate."""
    order = np.argsort(rates, kind="stable")
    gaps = np.diff(np.log(rates[order])) > SAME_RATE
    return [np.asarray(group, dtype=np.int64) for group in np.split(order, np.flatnonzero(gaps) + 1)]


def _diagonal(table: ScoreTable, place: Standing, rows: IntArray, left_out: IntArray, confidence: float) -> Diagonal:
    rows = rows[np.argsort(table.cells[rows, 1], kind="stable")]
    return Diagonal(
        effective_learning_rate=float(table.effective_rates[rows[0]]),
        cells=tuple(int(row) for row in rows),
        left_out=tuple(int(row) for row in np.sort(left_out)),
        momentum=tuple(float(m) for m in table.cells[rows, 1]),
        mean=tuple(float(m) for m in place.means[rows]),
        p_value=_omnibus(table, rows),
        slope=_slope(table, rows, confidence),
    )


def _omnibus(table: ScoreTable, rows: IntArray) -> float | None:
    """Smallest two-sided paired p-value over all pairs, times their number."""
    from scipy import stats

    first, second = np.triu_indices(len(rows), 1)
    first, second = rows[first], rows[second]
    both = table.observed[first] & table.observed[second]
    moments = paired_moments(table.scores[first] - table.scores[second], both, table.folds)
    tested = moments.df > 0
    if not tested.any():
        return None
    spread = moments.standard_error(table.score_floor, table.scale)[tested]
    ratio = np.abs(moments.mean[tested]) / np.where(spread > 0, spread, 1.0)
    p_values = 2 * np.asarray(stats.t.sf(ratio, moments.df[tested]))
    return min(1.0, float(len(first) * p_values.min()))


def _slope(table: ScoreTable, rows: IntArray, confidence: float) -> Slope | None:
    """Least-squares slope of each replicate over log10(1 - momentum), then its mean with t limits."""
    position = table.logarithms[rows, 1]
    centred = position - position.mean()
    norm = float((centred**2).sum())
    whole = np.asarray(table.observed[rows].all(axis=0))
    if norm <= SAME_RATE or not whole.any():
        return None
    slopes = (centred @ table.scores[rows]) / norm
    moments: Moments = paired_moments(slopes[None, :], whole[None, :], table.folds)
    if not moments.df[0]:
        return None
    floor = table.score_floor / np.sqrt(norm)
    spread = moments.standard_error(floor, table.scale)
    reach = student_quantile(1 - (1 - confidence) / 2, moments.df) * spread
    mean = float(moments.mean[0])
    return Slope(mean, mean - float(reach[0]), mean + float(reach[0]))
