"""The interval of the regret, and the verdict that is read from it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from studies.comparison.candidates import candidates
from studies.comparison.table import ScoreTable
from studies.statistics import BoolArray, FloatArray, IntArray, paired_moments, student_quantile

Verdict = Literal["equivalent", "inferior", "undecided"]

MIN_FINISHED = 3
"""A competitor that diverged enters the upper limit only with this many finished replicates (docs/method.md
5)."""


@dataclass(frozen=True)
class Limits:
    """Limits of mean(cell) - mean(prescribed) for each row; arrays `[C]`, the prescribed row is 0, 0, 0."""

    difference: FloatArray
    """mean paired difference over all replicates, 0 where there are none"""
    low: FloatArray
    """lower limit, corrected for the number of competitors; -inf where no variance can be had"""
    high: FloatArray
    """upper limit, not corrected; inf where no variance can be had, -inf where the row is left out"""
    n: IntArray
    """paired replicates"""
    df: IntArray
    """degrees of freedom of `low`"""
    candidates: BoolArray
    """rows whose difference can be the plug-in estimate"""

    def __post_init__(self) -> None:
        if np.isnan(self.low).any() or np.isnan(self.high).any():
            raise ValueError("limits must not be NaN")


@dataclass(frozen=True)
class Interval:
    """An estimate of the regret with its limits, all >= 0, in units of the score."""

    estimate: float
    low: float
    high: float
    """inf where the data set no limit"""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.estimate <= self.high:
            raise ValueError(f"an interval needs 0 <= low <= estimate <= high, got {self}")


def competitor_limits(table: ScoreTable, confidence: float) -> Limits:
    """Limits of every row's advance over the prescribed point.

    The lower limit is meant for a maximum over rows, so its error is shared among them. The upper one is
    not: the best row is one fixed row, whatever it is. In the upper limit a row enters with its finished
    replicates only, since divergence can only lower it; with at least MIN_FINISHED replicates of which fewer
    than that finished, and none the better on average for it, it is left out. If that leaves nobody, and the
    prescribed point finished as seldom, there is no upper limit: equals in failing are not equivalent.

    That rule is about all rows and looks at the whole table. Otherwise a row's limits depend on its own replicates
    and on the number of rows only: those of a row that is observed no more stay as they are while the table grows.

    Args:
        table: the scores.
        confidence: of the two limits together, in (0, 1).

    Returns:
        Limits with arrays `[C]`.

    Assumes: paired differences of one cell are close to normal, or R is large; a diverged score is the
        lowest.
    Speaks for: new seeds on the same images and folds.
    Source: docs/method.md 5; in the manner of Hsu (1984), Annals of Statistics 12, 1136 (comparisons with the
        best).
    """
    error = 1.0 - confidence
    shared = error / (2 * max(table.n_cells - 1, 1))
    values, both = table.differences(table.derived)
    every = paired_moments(values, both, table.folds)
    spread = every.standard_error(table.score_floor, table.scale)
    low = every.mean - student_quantile(1 - shared, every.df) * spread
    ended = both & table.finished
    few = (ended.sum(axis=1) < MIN_FINISHED) & (every.n >= MIN_FINISHED)
    best_case = paired_moments(values, np.where(few[:, None], both, ended), table.folds)
    spread = best_case.standard_error(table.score_floor, table.scale)
    high = best_case.mean + student_quantile(1 - error / 2, best_case.df) * spread
    left_out = few & (every.mean <= 0)
    nothing_known = left_out[table.competitors].all() and table.finished[table.derived].sum() < MIN_FINISHED
    high = np.where(left_out, np.inf if nothing_known else -np.inf, np.maximum(high, every.mean))
    here = ~table.competitors
    difference = np.where(here, 0.0, every.mean)
    low, high = np.where(here, 0.0, low), np.where(here, 0.0, high)
    return Limits(difference, low, high, every.n, every.df, candidates(table))


def regret_interval(limits: Limits) -> Interval:
    """The largest advance over the prescribed point, with limits; floored at 0, its advance over itself.

    Args:
        limits: `[C]` limits, from `competitor_limits`.

    Returns:
        The plug-in estimate among the candidates, which selection biases upwards, and an interval over all rows that
        accounts for the selection; where a row that is no candidate has a lower limit above the estimate, the
        estimate is that limit. Without a competitor there is no limit: high is inf.
    """
    if len(limits.low) < 2:
        return Interval(0.0, 0.0, np.inf)
    low = max(0.0, float(limits.low.max()))
    estimate = max(low, float(limits.difference[limits.candidates].max()))
    return Interval(estimate, low, max(estimate, float(limits.high.max())))


def read_verdict(interval: Interval, margin: float) -> Verdict:
    """The answer for a margin that was fixed beforehand.

    Args:
        interval: of the regret.
        margin: the regret that does not matter, in units of the score, >= 0.

    Returns:
        `equivalent` if high < margin, `inferior` if low > margin, `undecided` otherwise.
    """
    if interval.low > margin:
        return "inferior"
    if interval.high < margin:
        return "equivalent"
    return "undecided"
