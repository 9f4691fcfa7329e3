"""Landscapes for races and repeated looks: small plateaus, and regrets at and beside the margin."""

import numpy as np

from studies.calibration.landscapes import (
    SimulatedLandscape,
    lattice,
    simulated,
    standard_landscapes,
    steps_from_middle,
)

FAR = 0.05
"""How far the other cells are below where only one rival counts: no look ever confuses them with it."""
NOISE = 0.002
"""Each cell's own standard deviation there."""


def racing_landscapes() -> tuple[SimulatedLandscape, ...]:
    """Landscapes of a race: plateaus of at most 15 % of the box first, where it should save; a flat one last."""
    place = steps_from_middle()
    rate = place[:, 0] - place[:, 1]
    beyond = np.maximum(0.0, np.hypot(place[:, 0], place[:, 1]) - 1.0)
    standard = {landscape.name: landscape for landscape in standard_landscapes()}
    return (
        simulated("plateau of 5 cells", 0.005 * beyond**2),
        simulated("plateau of 7 cells: a ridge", 0.003 * rate**2),
        simulated("plateau of 7 cells, 10 folds", 0.003 * rate**2, fold_spread=0.003, folds=10),
        standard["derived best"],
        standard["peak beside"],
        standard["cliffs"],
        one_rival("one rival at the margin", 0.002),
        standard["flat"],
    )


def one_rival(name: str, regret: float, cells: int = 49) -> SimulatedLandscape:
    """A prescribed point, one cell ahead of it, and others far below: the interval is that of one paired t test.

    Args:
        name: in the table.
        regret: of the prescribed point, in units of the score.
        cells: C, 2 to 49.
    """
    means = np.full(cells, 0.95 - FAR)
    means[0], means[1] = 0.95, 0.95 + regret
    return SimulatedLandscape(
        name=name,
        cells=lattice()[:cells],
        derived=0,
        means=means,
        rates=np.zeros(cells),
        deviations=np.full(cells, NOISE),
        common=0.004,
        fold_effects=np.zeros((cells, 1)),
    )
