"""How many draws of random search the prescribed point is worth."""

import numpy as np

from studies.comparison.quadratic import Box, design, highest
from studies.statistics import FloatArray

LEARNING_RATES = (-4.0, 0.0)
"""log10 of the learning rates that are searched: fixed beforehand (docs/method.md 5), not centred on the
claim."""
ONE_MINUS_MOMENTA = (-2.0, 0.0)
"""log10 of 1 - momentum that is searched."""
STEPS = 200
"""Midpoints per axis that stand for the uniform distribution in logarithms."""
MOST_DRAWS = 10_000.0
"""Beyond this the surface's top, not the prescription, decides the number."""


def expected_best(heights: FloatArray, draws: float) -> float:
    """Expected maximum of independent draws from equally likely heights.

    Args:
        heights: `[N]`, ascending.
        draws: >= 1, need not be whole.

    Returns:
        sum_i heights_i ((i/N)^draws - ((i-1)/N)^draws).
    """
    below = np.arange(len(heights) + 1) / len(heights)
    return float(np.diff(below**draws) @ heights)


def equivalent_draws(
    coefficients: FloatArray, centre: FloatArray, box: Box, derived: FloatArray, *, floor: float
) -> float | None:
    """Number of random-search draws whose expected best equals the prescribed point, on a fitted surface.

    Outside the box the surface is extrapolated: it is held between the lowest cell mean and its own highest
    value in the box, so that extrapolation invents neither a better optimum nor scores below those seen.

    Args:
        coefficients: `[6]` in decades from `centre`.
        centre: `[2]` log10 learning rate, log10(1 - momentum).
        box: of the grid, in decades from `centre`.
        derived: `[2]` the prescribed point, in decades from `centre`.
        floor: lowest cell mean.

    Returns:
        1 where one draw is expected to do as well or better; None above MOST_DRAWS.

    Assumes: the surface and its extrapolation; free and exact evaluations.
    Speaks for: random search over learning rate 1e-4..1 and 1 - momentum 0.01..1, both log-uniform.
    """
    _, top = highest(coefficients[None, :], box)
    ceiling = float(top[0])
    fractions = (np.arange(STEPS) + 0.5) / STEPS
    rates = LEARNING_RATES[0] + fractions * (LEARNING_RATES[1] - LEARNING_RATES[0])
    momenta = ONE_MINUS_MOMENTA[0] + fractions * (ONE_MINUS_MOMENTA[1] - ONE_MINUS_MOMENTA[0])
    x, y = np.meshgrid(rates - centre[0], momenta - centre[1])
    heights = design(np.column_stack([x.ravel(), y.ravel()])) @ coefficients
    heights = np.sort(np.clip(heights, min(floor, ceiling), ceiling))
    target = float((design(derived[None, :]) @ coefficients)[0])
    if expected_best(heights, 1.0) >= target:
        return 1.0
    low, high = 0.0, float(np.log(MOST_DRAWS))
    if expected_best(heights, MOST_DRAWS) < target:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if expected_best(heights, np.exp(middle)) >= target else (middle, high)
    return float(np.exp(high))
