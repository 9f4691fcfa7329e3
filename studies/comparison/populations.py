"""The two populations that an interval can speak for: new seeds, and new data."""

from dataclasses import dataclass

import numpy as np

from studies.comparison.interval import MIN_FINISHED, Interval, Limits, regret_interval
from studies.comparison.table import ScoreTable
from studies.statistics import BoolArray, FloatArray, Moments, paired_moments, student_quantile

MIN_FOLDS = 3
"""Fewer folds give no spread between folds to speak of."""


@dataclass(frozen=True)
class Population:
    """The regret's interval for one population."""

    speaks_for: str
    estimate: float
    low: float
    high: float
    df: int
    """degrees of freedom of a competitor that was observed everywhere"""
    heuristic: bool
    """whether the limits rest on a rule of thumb rather than on a model of the data"""

    def __post_init__(self) -> None:
        Interval(self.estimate, self.low, self.high)


@dataclass(frozen=True)
class Populations:
    """Both intervals; the verdict is read from `seeds`."""

    seeds: Population
    new_data: Population | None
    """None below three folds"""


def populations(table: ScoreTable, confidence: float, limits: Limits) -> Populations:
    """The regret's interval for new seeds, and for new data.

    Args:
        table: the scores.
        confidence: in [0.5, 1).
        limits: `[C]` those of the verdict.

    Returns:
        Both populations, `new_data` None below MIN_FOLDS folds.
    """
    interval = regret_interval(limits)
    seeds = Population(
        "new seeds on these images and folds",
        interval.estimate,
        interval.low,
        interval.high,
        int(limits.df[table.competitors].max(initial=0)),
        heuristic=False,
    )
    return Populations(seeds, _new_data(table, confidence, limits))


def _new_data(table: ScoreTable, confidence: float, limits: Limits) -> Population | None:
    """The interval over folds: their means, with the variance factor 1/K + n_test/n_train and K - 1 df.

    Without image counts the folds are taken for a whole cross-validation: n_test/n_train = 1/(K - 1).

    Source: Nadeau and Bengio (2003), Machine Learning 52, 239 (corrected resampled t-test).
    Assumes: that the correlation between folds is n_test/(n_test + n_train), which is a rule of thumb.
    Speaks for: new images of the same kind; heuristic.
    """
    folds = table.n_folds
    if folds < MIN_FOLDS or table.n_cells < 2:
        return None
    ratio = 1.0 / (folds - 1)
    if table.n_test is not None and table.n_train is not None:
        ratio = table.n_test / table.n_train
    values, both = table.differences(table.derived)
    few = (both & table.finished).sum(axis=1) < MIN_FINISHED
    best_case = np.where(few[:, None], both, both & table.finished)
    # A standard error of fold means has 1/K inside: this factor makes it 1/K + n_test/n_train.
    factor = float(np.sqrt(1.0 + folds * ratio))
    error = 1.0 - confidence
    shared = error / (2 * (table.n_cells - 1))
    every, advance, below = _over_folds(table, values, both, 1 - shared, factor)
    _, reach, above = _over_folds(table, values, best_case, 1 - error / 2, factor)
    high = np.where(np.isinf(limits.high), limits.high, np.maximum(reach + above, advance))
    here = ~table.competitors
    interval = regret_interval(
        Limits(
            np.where(here, 0.0, advance),
            np.where(here, 0.0, advance - below),
            np.where(here, 0.0, high),
            every.n,
            every.df,
            limits.candidates,
        )
    )
    return Population(
        "new images of the same kind, as far as the spread between folds tells",
        interval.estimate,
        interval.low,
        interval.high,
        folds - 1,
        heuristic=True,
    )


def _over_folds(
    table: ScoreTable, values: FloatArray, mask: BoolArray, probability: float, factor: float
) -> tuple[Moments, FloatArray, FloatArray]:
    """Moments `[C]` over fold means, their means `[C]`, and the distance `[C]` from a mean to its limit."""
    indicator = (table.folds[:, None] == np.arange(table.n_folds)[None, :]).astype(np.float64)
    counts = mask.astype(np.float64) @ indicator
    fold_means = (np.where(mask, values, 0.0) @ indicator) / np.maximum(counts, 1.0)
    moments = paired_moments(fold_means, counts > 0, np.zeros(table.n_folds, dtype=np.int64))
    spread = np.zeros(table.n_cells)
    observed = (table.observed & table.observed[table.derived]).sum(axis=1)
    for n in np.unique(observed):
        floor = table.score_floor * float(np.sqrt(table.n_folds / max(n, 1)))
        spread = np.where(observed == n, moments.standard_error(floor, table.scale), spread)
    return moments, moments.mean, student_quantile(probability, moments.df) * spread * factor
