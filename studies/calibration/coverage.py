"""How often intervals, sets and verdicts are right on one landscape."""

from dataclasses import dataclass

import numpy as np

from studies.calibration.controls import max_t_bootstrap, naive_interval
from studies.calibration.landscapes import SimulatedLandscape
from studies.comparison.confidence_set import unbeaten
from studies.comparison.cross_fit import cross_fitted_regret
from studies.comparison.interval import Verdict, competitor_limits, read_verdict, regret_interval

CONFIDENCE = 0.95
MARGIN = 0.002
"""Margin of the verdicts that are counted."""
ERRORS_ALLOWED = 3.0
"""Standard errors of the simulation that a rate may fall below its promise: one in 740 by chance."""


@dataclass(frozen=True)
class Coverage:
    """Rates over `n` simulated studies of R replicates."""

    landscape: str
    replicates: int
    steps: bool
    """whether scores come in steps of one image"""
    n: int
    barred: bool
    regret: float
    """true"""
    covered: float
    """rate at which low <= true regret <= high"""
    best_in_set: float
    """rate at which one fixed, truly best cell is in the set"""
    wrong: float
    """rate of definite verdicts that are wrong"""
    definite: float
    plug_in: float
    """mean plug-in estimate"""
    cross_fitted: float
    """mean cross-fitted estimate"""
    width: float
    """median width of the interval"""
    naive: float
    """coverage of the naive interval"""
    max_t: float
    """coverage of the maximum-t bootstrap"""

    @property
    def kept(self) -> bool:
        """Whether every promise is kept up to the error of the simulation."""
        least = at_least(CONFIDENCE, self.n)
        return self.covered >= least and self.best_in_set >= least and 1 - self.wrong >= least


def at_least(promise: float, n: int) -> float:
    """The least rate in n simulations that does not contradict a promise."""
    return promise - ERRORS_ALLOWED * float(np.sqrt(promise * (1 - promise) / n))


def is_wrong(verdict: Verdict, regret: float) -> bool:
    """Whether a verdict for MARGIN is definite and wrong; where the regret is the margin itself, both are."""
    if verdict == "equivalent":
        return regret >= MARGIN - 1e-12
    return verdict == "inferior" and regret <= MARGIN + 1e-12


def measure(
    landscape: SimulatedLandscape, replicates: int, n: int, rng: np.random.Generator, *, n_test: int | None
) -> Coverage:
    """Simulate n studies and count.

    Args:
        landscape: where the truth is known.
        replicates: R.
        n: studies.
        rng: of the noise and of the bootstrap.
        n_test: images per fold; None: continuous scores.

    Returns:
        The rates.
    """
    truth = landscape.regret
    rows = np.array([_one(landscape, replicates, rng, n_test) for _ in range(n)])
    low, high, estimate, cross, inside, wrong, definite, naive_low, naive_high, boot_low, boot_high = rows.T
    return Coverage(
        landscape=landscape.name,
        replicates=replicates,
        steps=n_test is not None,
        n=n,
        barred=landscape.barred,
        regret=truth,
        covered=_rate(low, high, truth),
        best_in_set=float(inside.mean()),
        wrong=float(wrong.mean()),
        definite=float(definite.mean()),
        plug_in=float(estimate.mean()),
        cross_fitted=float(cross.mean()),
        width=float(np.median(high - low)),
        naive=_rate(naive_low, naive_high, truth),
        max_t=_rate(boot_low, boot_high, truth),
    )


def _rate(low: np.typing.NDArray[np.float64], high: np.typing.NDArray[np.float64], truth: float) -> float:
    return float(((low <= truth + 1e-12) & (high >= truth - 1e-12)).mean())


def _one(
    landscape: SimulatedLandscape, replicates: int, rng: np.random.Generator, n_test: int | None
) -> tuple[float, ...]:
    table = landscape.draw(replicates, rng, n_test=n_test)
    interval = regret_interval(competitor_limits(table, CONFIDENCE))
    verdict = read_verdict(interval, MARGIN)
    return (
        interval.low,
        interval.high,
        interval.estimate,
        cross_fitted_regret(table) or 0.0,
        float(unbeaten(table, CONFIDENCE)[landscape.best]),
        is_wrong(verdict, landscape.regret),
        verdict != "undecided",
        *naive_interval(table, CONFIDENCE),
        *max_t_bootstrap(table, CONFIDENCE, rng),
    )
