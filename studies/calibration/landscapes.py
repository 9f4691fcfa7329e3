"""Simulated landscapes whose best cell is known."""

from dataclasses import dataclass

import numpy as np

from studies import golden
from studies.comparison.table import ScoreTable, score_table
from studies.statistics import BoolArray, FloatArray, IntArray

CHANCE = 0.1
"""Accuracy of a diverged training of ten classes."""
N_TEST = 1000
"""Test images of a fold, where scores come in steps of one image."""
FACTOR = 1.6
"""Grid step of the default study."""


@dataclass(frozen=True)
class SimulatedLandscape:
    """A grid of C cells with known means, noise and divergence."""

    name: str
    cells: FloatArray
    """`[C, 2]` learning rate, momentum"""
    derived: int
    means: FloatArray
    """`[C]` expected score of a finished training, averaged over the folds"""
    rates: FloatArray
    """`[C]` probability that a training diverges"""
    deviations: FloatArray
    """`[C]` standard deviation of a cell's own noise"""
    common: float
    """standard deviation of the noise that all cells of a replicate share (common random numbers)"""
    fold_effects: FloatArray
    """`[C, K]` fixed deviations of the folds from the mean, summing to 0 in each row"""
    barred: bool = True
    """whether the promises are meant to hold here; otherwise it is shown without a bar"""

    def __post_init__(self) -> None:
        count = len(self.cells)
        for name in ("means", "rates", "deviations"):
            if getattr(self, name).shape != (count,):
                raise ValueError(f"{name} must be [{count}], got {getattr(self, name).shape}")
        if not ((self.rates >= 0) & (self.rates <= 1)).all():
            raise ValueError(f"rates must be in [0, 1], got {self.rates.min()} to {self.rates.max()}")
        if np.abs(self.fold_effects.sum(axis=1)).max() > 1e-9:
            raise ValueError("fold effects must sum to 0 in each row")

    @property
    def expected(self) -> FloatArray:
        """`[C]` expected score, diverged trainings included."""
        return self.means * (1 - self.rates) + CHANCE * self.rates

    @property
    def regret(self) -> float:
        """True regret of the derived point, >= 0."""
        return float(self.expected.max() - self.expected[self.derived])

    @property
    def best(self) -> int:
        """One truly best row: the last of them, which is not the derived one if there is another."""
        return int(np.flatnonzero(self.expected >= self.expected.max() - 1e-12)[-1])

    def draw(self, replicates: int, rng: np.random.Generator, *, n_test: int | None) -> ScoreTable:
        """One simulated study.

        Args:
            replicates: R, a multiple of the number of folds K; column r is of fold r mod K.
            rng: of the noise.
            n_test: scores come in steps of 1/n_test; None: continuous.

        Returns:
            Its score table.
        """
        folds: IntArray = np.arange(replicates) % self.fold_effects.shape[1]
        shape = (len(self.cells), replicates)
        own = self.deviations[:, None] * rng.standard_normal(shape)
        shared = self.common * rng.standard_normal(replicates)
        scores = self.means[:, None] + self.fold_effects[:, folds] + own + shared
        if n_test is not None:
            scores = np.round(scores * n_test) / n_test
        diverged: BoolArray = rng.random(shape) < self.rates[:, None]
        scores = np.where(diverged, CHANCE, scores)
        return score_table(scores, self.cells, self.derived, folds=folds, diverged=diverged, n_test=n_test)


def lattice(steps: int = 3) -> FloatArray:
    """The default grid, `[(2 steps + 1)^2, 2]`; the middle row is the golden point."""
    powers = FACTOR ** np.arange(-steps, steps + 1)
    rate, rest = np.meshgrid(golden.LEARNING_RATE * powers, (1 - golden.MOMENTUM) * powers, indexing="ij")
    return np.column_stack([rate.ravel(), 1 - rest.ravel()])


def steps_from_middle(steps: int = 3) -> FloatArray:
    """Grid steps of each row of `lattice` from the golden point, `[C, 2]`."""
    index = np.arange(-steps, steps + 1, dtype=np.float64)
    first, second = np.meshgrid(index, index, indexing="ij")
    return np.column_stack([first.ravel(), second.ravel()])


def simulated(
    name: str,
    drop: FloatArray,
    *,
    rates: FloatArray | None = None,
    fold_spread: float = 0.0,
    folds: int = 1,
    barred: bool = True,
    noise: float = 0.002,
) -> SimulatedLandscape:
    """A landscape on the default 7 x 7 grid.

    Args:
        name: in the table.
        drop: `[49]` how far each cell's mean is below 0.98.
        rates: `[49]` divergence; None: none.
        fold_spread: standard deviation of the fixed effects of fold and cell.
        folds: K.
        barred: whether the promises are meant to hold.
        noise: middle of the cells' own standard deviations, which run from half to twice of it.

    Returns:
        The landscape; all but the noise of a study is fixed.
    """
    count = len(drop)
    fixed = np.random.default_rng(49)  # the landscape's own numbers, the same in every run
    effects = fold_spread * fixed.standard_normal((count, folds))
    return SimulatedLandscape(
        name=name,
        cells=lattice(),
        derived=count // 2,
        means=0.98 - drop,
        rates=np.zeros(count) if rates is None else rates,
        deviations=noise * 2 ** fixed.uniform(-1, 1, count),
        common=0.004,
        fold_effects=effects - effects.mean(axis=1, keepdims=True),
        barred=barred,
    )


def standard_landscapes() -> tuple[SimulatedLandscape, ...]:
    """The landscapes that the calibration page is about."""
    place = steps_from_middle()
    rate = place[:, 0] - place[:, 1]  # steps of the effective learning rate
    beside = np.hypot(place[:, 0] - 2, place[:, 1] + 1)
    flat = np.zeros(len(place))
    off_ridge = 0.0005 * (rate - 2) ** 2
    cliff = np.select([rate >= 5, rate >= 4, rate >= 3], [1.0, 0.6, 0.3], 0.0)
    return (
        simulated("flat", flat),
        simulated("peak beside", 0.001 * beside**2),
        simulated("derived best", 0.001 * (place**2).sum(axis=1)),
        simulated("ridge", off_ridge),
        simulated("cliffs", off_ridge, rates=cliff),
        simulated("folds differ", 0.0005 * beside**2, fold_spread=0.003, folds=5),
        simulated("derived diverges at 0.3", off_ridge, rates=np.where(rate >= 0, 0.3, 0.0), barred=False),
        simulated("ridge diverges at 0.02", off_ridge, rates=np.where(rate >= 1, 0.02, 0.0), barred=False),
        simulated("noise below one image", 0.0001 * beside**2, noise=0.0001),
    )
