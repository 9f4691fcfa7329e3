"""Studies that are extended until they have an answer: how often any of their looks misleads."""

from dataclasses import dataclass

import numpy as np

from studies.calibration.coverage import CONFIDENCE, MARGIN, at_least, is_wrong
from studies.calibration.landscapes import SimulatedLandscape
from studies.calibration.races import observed_part
from studies.comparison.interval import Interval, competitor_limits, read_verdict, regret_interval
from studies.comparison.planning import replicates_needed
from studies.comparison.table import ScoreTable
from studies.racing import look_confidence

FIRST = 10
"""Replicates at the first look."""
MOST_GROWTH = 4
"""A study that follows the advice grows at most so much from look to look, and at least by a quarter."""


@dataclass(frozen=True)
class LookRates:
    """Rates over `n` studies, each extended until it is definite or has had all its looks."""

    landscape: str
    cells: int
    looks: int
    advised: bool
    """whether `replicates_needed` chose the sizes; otherwise each doubles the last"""
    n: int
    regret: float
    """true"""
    promised: float | None
    """rate that a wrong definite verdict at any look must not exceed; None: shown without a bar"""
    wrong: float
    """rate of wrong definite verdicts over all looks"""
    definite: float
    unpaid: float
    """rate of wrong definite verdicts if each look takes the whole error: the negative control"""
    covered: float
    """rate at which the intervals of all looks taken hold the true regret"""

    @property
    def kept(self) -> bool:
        """Whether the promise is kept up to the error of the simulation."""
        return self.promised is None or 1 - self.wrong >= at_least(1 - self.promised, self.n)


def measure_looks(
    landscape: SimulatedLandscape, looks: int, n: int, rng: np.random.Generator, *, advised: bool = False
) -> LookRates:
    """Simulate n studies that are extended until definite and count.

    Args:
        landscape: where the truth is known; one fold.
        looks: most looks of each study, the first at FIRST replicates.
        n: studies.
        rng: of the noise; scores are continuous.
        advised: sizes chosen by `replicates_needed`, hence by the data, rather than doubled; nothing is promised then.

    Returns:
        The rates, with verdicts for MARGIN. Where the true regret is the margin itself, both definite verdicts are
        wrong and twice the error is promised.
    """
    truth = landscape.regret
    most = FIRST * (MOST_GROWTH if advised else 2) ** (looks - 1)
    rows = []
    for _ in range(n):
        full = landscape.draw(most, rng, n_test=None)
        row: list[float] = []
        for paid in (True, False):
            intervals = _extend(full, looks, paid=paid, advised=advised)
            verdict = read_verdict(intervals[-1], MARGIN)
            held = all(i.low <= truth + 1e-12 and i.high >= truth - 1e-12 for i in intervals)
            row += [is_wrong(verdict, truth), verdict != "undecided", held]
        rows.append(row)
    wrong, definite, covered, unpaid = (float(column.mean()) for column in np.array(rows, dtype=np.float64).T[:4])
    error = 1 - CONFIDENCE
    promised = None if advised else 2 * error if abs(truth - MARGIN) < 1e-12 else error
    size = landscape.means.size
    return LookRates(
        landscape.name, size, looks, advised, n, truth, promised, wrong, definite, unpaid=unpaid, covered=covered
    )


def _extend(full: ScoreTable, looks: int, *, paid: bool, advised: bool) -> list[Interval]:
    """The interval of each look that a study takes until one is definite."""
    intervals: list[Interval] = []
    size = FIRST
    for look in range(1, looks + 1):
        table = observed_part(full, full.observed, size)
        confidence = look_confidence(CONFIDENCE, look if paid else 1)
        intervals.append(regret_interval(competitor_limits(table, confidence)))
        if read_verdict(intervals[-1], MARGIN) != "undecided":
            break
        size = _advised(table, confidence) if advised else 2 * size
    return intervals


def _advised(table: ScoreTable, confidence: float) -> int:
    now = table.n_replicates
    wanted = replicates_needed(table, MARGIN, confidence) or MOST_GROWTH * now
    return min(max(wanted, now + max(1, now // 4)), MOST_GROWTH * now)
