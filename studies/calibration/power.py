"""What the comparison can find: power, and twins that it must not tell apart."""

from dataclasses import dataclass

import numpy as np

from studies.calibration.coverage import CONFIDENCE, at_least
from studies.calibration.landscapes import N_TEST, SimulatedLandscape, lattice, simulated, steps_from_middle
from studies.comparison.confidence_set import unbeaten
from studies.comparison.interval import competitor_limits, read_verdict, regret_interval
from studies.comparison.summary import paired_difference

PAIRED_SPREAD = 0.003
"""Standard deviation of a paired difference in the power figures."""


@dataclass(frozen=True)
class Promise:
    """A rate that has been promised, and what was measured."""

    what: str
    replicates: int
    promised: float | None
    """None: shown without a bar"""
    rate: float
    n: int

    @property
    def kept(self) -> bool:
        """Whether the rate is as promised, up to the error of the simulation."""
        return self.promised is None or self.rate >= at_least(self.promised, self.n)


def even_noise(name: str, drop: np.typing.NDArray[np.float64]) -> SimulatedLandscape:
    """A landscape of one fold in which every paired difference has the standard deviation PAIRED_SPREAD.

    Args:
        name: in the table.
        drop: `[49]` how far each cell is below the middle of the grid.
    """
    count = len(drop)
    return SimulatedLandscape(
        name=name,
        cells=lattice(),
        derived=count // 2,
        means=0.98 - drop,
        rates=np.zeros(count),
        deviations=np.full(count, PAIRED_SPREAD / np.sqrt(2)),
        common=0.004,
        fold_effects=np.zeros((count, 1)),
    )


def twin_covered(replicates: int, n: int, rng: np.random.Generator, *, n_test: int | None) -> Promise:
    """A/A: the derived point entered again with its own seeds; its difference must cover 0.

    With shared seeds the twin would be identical and prove nothing: here only the common noise is shared.

    Args:
        replicates: R.
        n: studies.
        rng: of the noise.
        n_test: images per fold; None: continuous scores.
    """
    flat = simulated("twin", np.zeros(len(lattice())))
    pair = [flat.derived, flat.derived]
    twin = SimulatedLandscape(
        name="twin",
        cells=flat.cells[pair],
        derived=0,
        means=flat.means[pair],
        rates=flat.rates[pair],
        deviations=flat.deviations[pair],
        common=flat.common,
        fold_effects=flat.fold_effects[pair],
    )
    covered = 0
    for _ in range(n):
        difference = paired_difference(twin.draw(replicates, rng, n_test=n_test), 1, CONFIDENCE)
        covered += difference.low <= 0 <= difference.high
    kind = "continuous" if n_test is None else "steps of one image"
    return Promise(f"A/A: the twin's difference covers 0, {kind}", replicates, CONFIDENCE, covered / n, n)


def found_equivalent(curvature: float, n: int, rng: np.random.Generator, *, promised: float | None) -> Promise:
    """Derived best, R = 20, paired spread 0.003, margin 0.002: how often `equivalent`.

    The figure depends on how many cells come close, so the fall around the derived point is stated.

    Args:
        curvature: fall per squared grid step, in units of the score.
        n: studies.
        rng: of the noise.
        promised: the least rate.
    """
    replicates, margin = 20, 0.002
    landscape = even_noise("derived best", curvature * (steps_from_middle() ** 2).sum(axis=1))
    hits = 0
    for _ in range(n):
        limits = competitor_limits(landscape.draw(replicates, rng, n_test=N_TEST), CONFIDENCE)
        hits += read_verdict(regret_interval(limits), margin) == "equivalent"
    what = f"`equivalent`: derived best, margin {margin}, fall {curvature:g} per squared grid step"
    return Promise(what, replicates, promised, hits / n, n)


def found_alone(replicates: int, n: int, rng: np.random.Generator, *, promised: float | None) -> Promise:
    """The best cell 7 standard errors ahead of all others: how often the set has one member.

    Args:
        replicates: R.
        n: studies.
        rng: of the noise.
        promised: the least rate.
    """
    ahead = 7 * PAIRED_SPREAD / np.sqrt(replicates)
    drop = np.full(len(lattice()), ahead)
    drop[len(drop) // 2] = 0.0
    landscape = even_noise("one ahead", drop)
    alone = sum(unbeaten(landscape.draw(replicates, rng, n_test=N_TEST), CONFIDENCE).sum() == 1 for _ in range(n))
    return Promise("one member: best cell 7 standard errors ahead", replicates, promised, alone / n, n)


def rounding_covered(replicates: int, n: int, rng: np.random.Generator) -> Promise:
    """The worst case of scores in whole images: two cells 0.4 of an image apart, noise a twentieth of one.

    Args:
        replicates: R.
        n: studies.
        rng: of the noise.

    Returns:
        Coverage of the interval, without a bar: what the floor of the standard errors cannot mend.
    """
    image = 1 / N_TEST
    pair = SimulatedLandscape(
        name="two cells",
        cells=lattice()[:2],
        derived=0,
        means=np.array([0.95, 0.95 + 0.4 * image]),
        rates=np.zeros(2),
        deviations=np.full(2, image / 20),
        common=0.004,
        fold_effects=np.zeros((2, 1)),
    )
    covered = 0
    for _ in range(n):
        limits = competitor_limits(pair.draw(replicates, rng, n_test=N_TEST), CONFIDENCE)
        interval = regret_interval(limits)
        covered += interval.low <= pair.regret <= interval.high
    what = "covered: two cells 0.4 of an image apart, noise a twentieth of one"
    return Promise(what, replicates, None, covered / n, n)
