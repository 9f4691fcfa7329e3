"""How often a cell diverges, with limits."""

from dataclasses import dataclass

import numpy as np

from studies.comparison.table import ScoreTable
from studies.statistics import clopper_pearson

CONFIDENCE = 0.95
"""Fixed, since the rule of three holds at this level only."""
RULE_OF_THREE = 3.0
"""-ln 0.05: with no event in n trials the rate is below 3/n with 95 % confidence."""


@dataclass(frozen=True)
class DivergenceRate:
    """The rate at which trainings of one cell diverge."""

    diverged: int
    n: int
    rate: float | None
    """None where nothing was observed"""
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.diverged <= self.n:
            raise ValueError(f"diverged must be in 0..{self.n}, got {self.diverged}")
        if not 0 <= self.low <= (self.rate or 0.0) <= self.high <= 1:
            raise ValueError(f"a rate needs 0 <= low <= rate <= high <= 1, got {self}")


def divergence_rates(table: ScoreTable) -> tuple[DivergenceRate, ...]:
    """Each cell's divergence rate with two-sided 95 % limits, or 3/n above where none was seen.

    Args:
        table: the scores.

    Returns:
        One per row.

    Source: Clopper and Pearson (1934); Hanley and Lippman-Hand (1983), JAMA 249, 1743 (rule of three).
    Assumes: replicates diverge independently of one another.
    Speaks for: new seeds on the same images and folds.
    """
    n = table.observed.sum(axis=1).astype(np.int64)
    events = table.diverged.sum(axis=1).astype(np.int64)
    low, high = clopper_pearson(events, n, CONFIDENCE)
    high = np.where(events == 0, np.minimum(1.0, RULE_OF_THREE / np.maximum(n, 1)), high)
    return tuple(
        DivergenceRate(int(k), int(m), float(k / m) if m else None, float(lo), float(hi))
        for k, m, lo, hi in zip(events, n, low, high, strict=True)
    )
