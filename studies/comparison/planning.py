"""How many replicates a definite verdict takes."""

from dataclasses import dataclass

import numpy as np

from studies.comparison.candidates import candidates
from studies.comparison.cross_fit import half_means
from studies.comparison.interval import MIN_FINISHED
from studies.comparison.table import ScoreTable
from studies.statistics import BoolArray, FloatArray, IntArray, paired_moments, student_quantile

POWER = 0.8
"""Probability of a definite verdict that a study is planned for."""
HORIZON = 10
"""Plans beyond this many times the present replicates are not made."""
MIN_REPLICATES = 4
"""Two per half: fewer give no spread within a half, and the plan would be a guess."""
NODES = 64
"""Points that stand for the noise which all differences share through the prescribed point."""


@dataclass(frozen=True)
class Landscape:
    """Differences of m competitors to the prescribed point, as a plan assumes them."""

    means: FloatArray
    """`[m]` mean paired differences"""
    deviations: FloatArray
    """`[m]` standard deviations of one paired difference, >= 0"""
    shared: float
    """standard deviation of the part that all differences share, >= 0: the prescribed point's own noise"""

    def __post_init__(self) -> None:
        if self.means.ndim != 1 or self.means.shape != self.deviations.shape or not len(self.means):
            shapes = f"{self.means.shape} and {self.deviations.shape}"
            raise ValueError(f"means and deviations must be [m], m >= 1, got {shapes}")
        if not (np.isfinite(self.means).all() and (self.deviations >= 0).all() and self.shared >= 0):
            raise ValueError("means must be finite, deviations and shared at least 0")


def verdict_probability(
    landscape: Landscape,
    replicates: int,
    *,
    margin: float,
    confidence: float = 0.95,
    folds: int = 1,
    score_floor: float = 0.0,
) -> tuple[float, float]:
    """Probabilities of `equivalent` and of `inferior`.

    Given the shared noise the differences are independent, so the maximum has a product for its distribution
    function; the shared noise is averaged over NODES equally likely values. Standard errors are taken as
    known.

    Args:
        landscape: the assumed truth, m competitors.
        replicates: R >= 1.
        margin: in units of the score, >= 0.
        confidence: in [0.5, 1).
        folds: K >= 1, lost from the degrees of freedom where replicates >= 2 K.
        score_floor: least standard deviation of one replicate, as in the interval.

    Returns:
        (equivalent, inferior), each in [0, 1].

    Assumes: normal means; differences are correlated through the prescribed point only.
    """
    from scipy import special

    error = 1.0 - confidence
    df = np.array([replicates - folds if replicates >= 2 * folds else replicates - 1], dtype=np.int64)
    if df[0] < 1:
        return 0.0, 0.0
    upper = student_quantile(1 - error / 2, df)[0]
    lower = student_quantile(1 - error / (2 * len(landscape.means)), df)[0]
    root = np.sqrt(replicates)
    spread = np.maximum(landscape.deviations, score_floor) / root
    shared = np.minimum(landscape.shared / root, spread)
    own = np.sqrt(np.maximum(spread**2 - shared**2, 1e-6 * spread**2)) + np.finfo(np.float64).tiny
    noise = special.ndtri((np.arange(NODES) + 0.5) / NODES)[:, None] * shared
    with np.errstate(over="ignore"):  # without any spread a difference is infinitely many standard errors
        below = special.ndtr((margin - upper * spread - landscape.means - noise) / own).prod(axis=1)
        within = special.ndtr((margin + lower * spread - landscape.means - noise) / own).prod(axis=1)
    return float(below.mean()), float(1.0 - within.mean())


def fitted_landscape(table: ScoreTable) -> Landscape | None:
    """The landscape that the data support without the winner's curse.

    Each half of the replicates ranks the cells and the other half measures them; the means of equal rank are
    averaged over both ways and made to fall with the rank (isotonic regression). Deviations follow their
    cells. Rows that are no `candidates` rank behind those that are: fewer replicates would let noise rank them.

    Args:
        table: the scores; a competitor counts with its finished replicates, and not at all with fewer than
            three.

    Returns:
        None with fewer than MIN_REPLICATES replicates or no competitor.
    """
    from scipy.optimize import isotonic_regression

    values, both = table.differences(table.derived)
    counts = both & table.finished
    moments = paired_moments(values, counts, table.folds)
    even, odd, usable = half_means(table, table.finished)
    rows = np.flatnonzero(usable & table.competitors & (moments.df > 0) & (moments.n >= MIN_FINISHED))
    if not len(rows) or int(moments.n[rows].max()) < MIN_REPLICATES:
        return None
    deviations = np.sqrt(moments.variance[rows])
    behind = ~candidates(table)[rows]
    orders: list[IntArray] = [np.lexsort((-half[rows], behind)) for half in (even, odd)]
    measured = 0.5 * (odd[rows][orders[0]] + even[rows][orders[1]])
    means = np.asarray(isotonic_regression(measured, increasing=False).x, dtype=np.float64)
    ranked = np.sqrt(0.5 * (deviations[orders[0]] ** 2 + deviations[orders[1]] ** 2))
    return Landscape(means, ranked, _shared_deviation(values[rows], counts[rows]))


def _shared_deviation(values: FloatArray, counts: BoolArray) -> float:
    """Root of the mean covariance between rows, over columns in which every row counts; 0 where that is
    negative."""
    full = counts.all(axis=0)
    if len(values) < 2 or full.sum() < 2:
        return 0.0
    columns = values[:, full]
    centred = columns - columns.mean(axis=1, keepdims=True)
    total, own = (centred.sum(axis=0) ** 2).sum(), (centred**2).sum()
    pairs = len(values) * (len(values) - 1) * (full.sum() - 1)
    return float(np.sqrt(max(0.0, (total - own) / pairs)))


def replicates_needed(table: ScoreTable, margin: float, confidence: float) -> int | None:
    """Least number of replicates that gives a definite verdict with probability POWER.

    Speaks of a study like this one, started afresh; extending this one after a look spends error.

    Args:
        table: the scores so far, R replicates in K folds.
        margin: in units of the score, >= 0.
        confidence: in [0.5, 1).

    Returns:
        A multiple of K where R is one; None beyond HORIZON R, or where the data are too few to plan with.

    Assumes: as `verdict_probability`; the probability grows with R.
    """
    landscape = fitted_landscape(table)
    if landscape is None:
        return None
    replicates, folds = table.n_replicates, table.n_folds
    step = folds if replicates % folds == 0 else 1

    def enough(steps: int) -> bool:
        chances = verdict_probability(
            landscape,
            steps * step,
            margin=margin,
            confidence=confidence,
            folds=folds,
            score_floor=table.score_floor,
        )
        return sum(chances) >= POWER

    low, high = 0, HORIZON * replicates // step
    if not enough(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high * step
