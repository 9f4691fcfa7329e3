"""Quadratic surfaces in two coordinates, and where in a box they are highest."""

from dataclasses import dataclass

import numpy as np

from studies.statistics import FloatArray

TERMS = 6
"""1, x, y, x^2, x y, y^2"""


@dataclass(frozen=True)
class Box:
    """A rectangle in decades: log10 learning rate by log10(1 - momentum)."""

    low: tuple[float, float]
    high: tuple[float, float]

    def __post_init__(self) -> None:
        if not (self.low[0] < self.high[0] and self.low[1] < self.high[1]):
            raise ValueError(f"a box needs low < high on both axes, got {self.low} and {self.high}")

    @property
    def centre(self) -> FloatArray:
        """`[2]`"""
        return np.array([(self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2])


def design(points: FloatArray) -> FloatArray:
    """Terms `[N, 6]` of points `[N, 2]`."""
    x, y = points[:, 0], points[:, 1]
    return np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])


def highest(coefficients: FloatArray, box: Box) -> tuple[FloatArray, FloatArray]:
    """The highest point of each surface within a box.

    Candidates are the stationary point, the stationary points of the four edges and the four corners; those
    outside are clipped into the box, which makes them ordinary points of it and so harmless.

    Args:
        coefficients: `[B, 6]` in the coordinates of the box.
        box: closed.

    Returns:
        (`[B, 2]` points, `[B]` heights).
    """
    c = coefficients
    low, high = np.array(box.low), np.array(box.high)
    edges = [_edge_optimum(c[:, 2] + c[:, 4] * side, c[:, 5]) for side in (low[0], high[0])]
    floors = [_edge_optimum(c[:, 1] + c[:, 4] * side, c[:, 3]) for side in (low[1], high[1])]
    full = np.ones(len(c))
    candidates = np.stack(
        [
            _stationary(c),
            np.column_stack([full * low[0], edges[0]]),
            np.column_stack([full * high[0], edges[1]]),
            np.column_stack([floors[0], full * low[1]]),
            np.column_stack([floors[1], full * high[1]]),
            *(np.column_stack([full * x, full * y]) for x in (low[0], high[0]) for y in (low[1], high[1])),
        ],
        axis=1,
    )
    candidates = np.clip(candidates, low, high)
    terms = design(candidates.reshape(-1, 2)).reshape(len(c), -1, TERMS)
    heights = (terms * c[:, None, :]).sum(axis=2)
    winner = heights.argmax(axis=1)
    rows = np.arange(len(c))
    return candidates[rows, winner], heights[rows, winner]


def _edge_optimum(slope: FloatArray, curvature: FloatArray) -> FloatArray:
    """Where slope t + curvature t^2 is stationary; 0 (any point) where it is straight."""
    bent = curvature != 0
    return np.where(bent, -slope / np.where(bent, 2 * curvature, 1.0), 0.0)


def _stationary(c: FloatArray) -> FloatArray:
    determinant = 4 * c[:, 3] * c[:, 5] - c[:, 4] ** 2
    solvable = determinant != 0
    divisor = np.where(solvable, determinant, 1.0)
    x = (c[:, 4] * c[:, 2] - 2 * c[:, 5] * c[:, 1]) / divisor
    y = (c[:, 4] * c[:, 1] - 2 * c[:, 3] * c[:, 2]) / divisor
    return np.where(solvable[:, None], np.column_stack([x, y]), 0.0)
