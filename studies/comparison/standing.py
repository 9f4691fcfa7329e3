"""Where the cells stand: means that can be set side by side, and the best of them."""

from dataclasses import dataclass

import numpy as np

from studies.comparison.candidates import candidates
from studies.comparison.cross_fit import TIE
from studies.comparison.table import ScoreTable
from studies.statistics import FloatArray


@dataclass(frozen=True)
class Standing:
    """Means of all cells on one footing."""

    means: FloatArray
    """`[C]`, -inf where a row shares no replicate with the prescribed one"""
    best: int
    """row of the highest mean; the prescribed one where it ties, otherwise the first"""
    tie: float
    """differences of two means up to this are rounding"""

    def __post_init__(self) -> None:
        if np.isnan(self.means).any() or not 0 <= self.best < len(self.means):
            raise ValueError(f"means must not be NaN and best must be a row, got {self.means} and {self.best}")


def standing(table: ScoreTable) -> Standing:
    """Put the means of all cells on one footing and find the best.

    Raw means over different replicates are not comparable, since replicates differ for all cells alike. A row that
    was observed in other replicates than the prescribed one therefore counts with the prescribed mean plus its mean
    paired difference to it; a row observed in the same ones has its raw mean. A row that is not among the
    `candidates` is never the best, and counts for no more than the best: others that went on were ahead of it.

    Args:
        table: the scores. Where the prescribed row was never observed, all means are raw: nothing pairs them.

    Returns:
        The standing.
    """
    means = _paired_means(table)
    leads = candidates(table)
    highest = float(means[leads].max())
    tie = TIE * table.scale
    top = leads & (means >= highest - (tie if np.isfinite(highest) else 0.0))
    best = table.derived if top[table.derived] else int(np.flatnonzero(top)[0])
    return Standing(np.where(leads, means, np.minimum(means, means[best])), best, tie)


def _paired_means(table: ScoreTable) -> FloatArray:
    means = table.means
    here = table.observed[table.derived]
    if table.complete or not here.any():
        return means
    moments = table.difference_moments(table.derived)
    adjusted = np.where(moments.n > 0, means[table.derived] + moments.mean, -np.inf)
    return np.where((table.observed == here).all(axis=1), means, adjusted)
