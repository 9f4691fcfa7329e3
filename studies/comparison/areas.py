"""The area that each grid cell stands for in logarithmic coordinates."""

import numpy as np

from studies.statistics import BoolArray, FloatArray

SAME_PLACE = 9
"""Decimal digits, in decades, to which two cells must agree to be one place."""


def cell_areas(logarithms: FloatArray, grid: BoolArray) -> FloatArray:
    """Shares of the box: the part of it that is nearer to a cell than to any other.

    The box reaches half a step beyond the outermost cells, so that on a lattice of constant factors all
    cells count the same. Cells in one place share its area. With all cells on one line, lengths take the
    place of areas.

    Args:
        logarithms: `[C, 2]` log10 learning rate, log10(1 - momentum).
        grid: `[C]` rows that make up the box.

    Returns:
        `[C]`, 0 outside the grid, summing to 1; all 0 without a grid.
    """
    shares = np.zeros(len(grid))
    rows = np.flatnonzero(grid)
    if not len(rows):
        return shares
    places, inverse, counts = np.unique(
        np.round(logarithms[rows], SAME_PLACE), axis=0, return_inverse=True, return_counts=True
    )
    varies = [axis for axis in range(2) if len(np.unique(places[:, axis])) > 1]
    if not varies:
        areas = np.ones(1)
    elif len(varies) == 1:
        areas = _lengths(places[:, varies[0]])
    else:
        areas = _voronoi_areas(places)
    shares[rows] = (areas / counts)[inverse.reshape(-1)] / areas.sum()
    return shares


def _limits(coordinate: FloatArray) -> tuple[float, float]:
    """The box along one axis: half a step beyond the outermost distinct values."""
    values = np.unique(coordinate)
    return float(1.5 * values[0] - 0.5 * values[1]), float(1.5 * values[-1] - 0.5 * values[-2])


def _lengths(coordinate: FloatArray) -> FloatArray:
    order = np.argsort(coordinate)
    low, high = _limits(coordinate)
    ordered = coordinate[order]
    borders = np.concatenate([[low], (ordered[1:] + ordered[:-1]) / 2, [high]])
    lengths = np.empty(len(coordinate))
    lengths[order] = np.diff(borders)
    return lengths


def _voronoi_areas(places: FloatArray) -> FloatArray:
    """Voronoi areas clipped to the box, by mirroring every place in each of its four sides."""
    from scipy.spatial import Voronoi

    mirrored = [places]
    for axis in range(2):
        for side in _limits(places[:, axis]):
            image = places.copy()
            image[:, axis] = 2 * side - image[:, axis]
            mirrored.append(image)
    diagram = Voronoi(np.concatenate(mirrored))
    corners = [diagram.vertices[diagram.regions[diagram.point_region[i]]] for i in range(len(places))]
    return np.array([_polygon_area(points) for points in corners])


def _polygon_area(points: FloatArray) -> float:
    """Area of a convex polygon whose corners come in any order."""
    centre = points.mean(axis=0)
    angle = np.arctan2(points[:, 1] - centre[1], points[:, 0] - centre[0])
    x, y = points[np.argsort(angle)].T
    return float(0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
