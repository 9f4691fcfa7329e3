"""Negative controls: intervals that people use and that do not keep the promise."""

import numpy as np

from studies.comparison.table import ScoreTable
from studies.statistics import paired_moments, student_quantile

BOOTSTRAP_DRAWS = 200


def naive_interval(table: ScoreTable, confidence: float) -> tuple[float, float]:
    """The t interval of the cell that happened to win, as if it had been chosen beforehand.

    Args:
        table: the scores.
        confidence: in [0.5, 1).

    Returns:
        (low, high), floored at 0.
    """
    moments = table.difference_moments(table.derived)
    winner = int(moments.mean.argmax())
    if winner == table.derived:
        return 0.0, 0.0
    reach = student_quantile(1 - (1 - confidence) / 2, moments.df) * moments.standard_error(table.score_floor)
    middle = float(moments.mean[winner])
    return max(0.0, middle - float(reach[winner])), max(0.0, middle + float(reach[winner]))


def max_t_bootstrap(table: ScoreTable, confidence: float, rng: np.random.Generator) -> tuple[float, float]:
    """The maximum-t bootstrap over resampled replicates.

    Args:
        table: the scores, all observed.
        confidence: in [0.5, 1).
        rng: draws the samples.

    Returns:
        (low, high) = max(difference -+ q se), q the quantile of the largest standardised error; floored at 0.
    """
    values, both = table.differences(table.derived)
    moments = paired_moments(values, both, np.zeros(table.n_replicates, dtype=np.int64))
    rows = np.flatnonzero(table.competitors)
    spread = moments.standard_error(table.score_floor, table.scale)[rows]
    size = table.n_replicates
    counts = rng.multinomial(size, np.full(size, 1 / size), size=BOOTSTRAP_DRAWS).T / size
    centred = values[rows] - moments.mean[rows, None]
    worst = np.abs((centred @ counts) / spread[:, None]).max(axis=0)
    reach = float(np.quantile(worst, confidence)) * spread
    means = moments.mean[rows]
    return max(0.0, float((means - reach).max())), max(0.0, float((means + reach).max()))
