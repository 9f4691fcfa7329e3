"""A quadratic surface over the grid: its optimum, how sure that is, and how far the prescribed point is from
it."""

from dataclasses import dataclass

import numpy as np

from studies.comparison.quadratic import TERMS, Box, design, highest
from studies.comparison.random_search import equivalent_draws
from studies.comparison.standing import Standing
from studies.comparison.table import ScoreTable
from studies.statistics import BoolArray, FloatArray, IntArray

BOOTSTRAP_DRAWS = 400
"""Enough for 95 % limits whose own error is about a tenth of their width."""
INSIDE = 1e-9
"""Decades from the box's edge below which an optimum counts as on the edge: rounding."""


@dataclass(frozen=True)
class Span:
    """An estimate in decades with percentile limits of the bootstrap; limits None with one replicate."""

    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Surface:
    """The fitted surface; a summary of the landscape, never the source of the verdict."""

    coefficients: tuple[float, ...]
    """of 1, x, y, x^2, x y, y^2 with x, y in decades from `centre`"""
    centre: tuple[float, float]
    """log10 learning rate and log10(1 - momentum)"""
    cells: int
    """grid cells in the fit; those that diverged at least once stay out"""
    r_squared: float | None
    """share of the variance between cell means that the surface explains; None where they do not vary"""
    shape: str
    """`peak`, `saddle`, `bowl` or `flat`; a saddle or bowl has its optimum on the edge of the box, a flat
    one nowhere"""
    learning_rate: float
    """of the optimum within the box"""
    momentum: float
    on_edge: bool
    log10_learning_rate: Span
    """of the optimum"""
    log10_one_minus_momentum: Span
    """of the optimum"""
    log10_effective_rate: Span
    """of the optimum"""
    distance_decades: Span
    """from the prescribed point to the optimum, straight in both coordinates"""
    along_effective_rate_decades: Span
    """log10 of the optimum's effective rate minus that of the prescribed point"""
    draws: float | None
    """number of random-search draws whose expected best equals the prescribed point on this surface"""
    confidence: float

    def __post_init__(self) -> None:
        if len(self.coefficients) != TERMS:
            raise ValueError(f"a quadratic surface has {TERMS} coefficients, got {len(self.coefficients)}")


def fit_surface(table: ScoreTable, place: Standing, confidence: float, rng: np.random.Generator) -> Surface | None:
    """Fit a quadratic to the cell means over (log10 learning rate, log10(1 - momentum)).

    Limits come from resampling whole replicates within their folds, so that pairing is kept. Cells that were not
    observed in all replicates of the prescribed point enter with their paired differences to it.

    Args:
        table: the scores.
        place: their means on one footing, which are fitted.
        confidence: of the limits, in [0.5, 1).
        rng: draws the bootstrap samples; the same generator state gives the same surface.

    Returns:
        None where the grid cells without divergence do not determine a quadratic (fewer than six, or on
        lines).

    Assumes: the landscape within the box is a quadratic; `r_squared` says how nearly.
    Speaks for: the surface, which need not be highest where the landscape is; new seeds on the same images
        and folds. The bootstrap is too narrow with few replicates and knows nothing of lack of fit.
    """
    rows = np.flatnonzero(table.grid & ~table.diverged.any(axis=1) & np.isfinite(place.means))
    places = table.logarithms[rows]
    if len(rows) < TERMS or (np.ptp(places, axis=0) <= 0).any():
        return None
    grid_places = table.logarithms[table.grid]
    absolute = Box(_pair(grid_places.min(axis=0)), _pair(grid_places.max(axis=0)))
    centre = absolute.centre
    terms = design(places - centre)
    if np.linalg.matrix_rank(terms) < TERMS:
        return None
    box = Box(_pair(np.array(absolute.low) - centre), _pair(np.array(absolute.high) - centre))
    solver = np.linalg.pinv(terms)
    means = place.means[rows]
    coefficients = solver @ means
    optimum, _ = highest(coefficients[None, :], box)
    samples = _bootstrap_means(table, means, rows, rng)
    resampled = highest((solver @ samples).T, box)[0] if samples.size else np.empty((0, 2))
    fit = (terms @ coefficients, means)
    return _surface(table, place, coefficients, centre, box, fit, optimum[0], resampled, confidence)


def _pair(values: FloatArray) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _bootstrap_means(table: ScoreTable, means: FloatArray, rows: IntArray, rng: np.random.Generator) -> FloatArray:
    """Cell means `[m, B]` of replicates resampled within folds; `[m, 0]` with one replicate."""
    if table.n_replicates < 2:
        return np.empty((len(rows), 0))
    runs = np.bincount(table.folds)
    # One run per fold leaves nothing to resample within folds: then whole folds are drawn, which is wider.
    strata = table.folds if runs.min() >= 2 else np.zeros_like(table.folds)
    counts = np.zeros((table.n_replicates, BOOTSTRAP_DRAWS))
    for stratum in np.unique(strata):
        columns = np.flatnonzero(strata == stratum)
        size = len(columns)
        counts[columns] = rng.multinomial(size, np.full(size, 1.0 / size), size=BOOTSTRAP_DRAWS).T
    here = table.observed[table.derived]
    paired = ~(table.observed[rows] == here).all(axis=1) & here.any()
    moves = _resampled_moves(table.scores[rows], table.observed[rows], counts)
    if paired.any():
        values, both = (array[rows] for array in table.differences(table.derived))
        shared = _resampled_moves(table.scores[[table.derived]], here[None, :], counts)
        moves[paired] = shared + _resampled_moves(values[paired], both[paired], counts)
    return np.asarray(means[:, None] + moves)


def _resampled_moves(values: FloatArray, seen: BoolArray, counts: FloatArray) -> FloatArray:
    """How far the mean of each row `[m, R]` moves in each sample, `[m, B]`; 0 where a sample has none of its own."""
    mean = np.where(seen, values, 0.0).sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    sums = np.where(seen, values - mean, 0.0) @ counts
    return np.asarray(sums / np.maximum(seen.astype(np.float64) @ counts, 1.0))


def _surface(
    table: ScoreTable,
    place: Standing,
    coefficients: FloatArray,
    centre: FloatArray,
    box: Box,
    fit: tuple[FloatArray, FloatArray],
    optimum: FloatArray,
    resampled: FloatArray,
    confidence: float,
) -> Surface:
    fitted, means = fit
    here = table.logarithms[table.derived] - centre
    total = float(((means - means.mean()) ** 2).sum())
    flat = total <= (1e-12 * table.scale) ** 2
    edge = min(np.abs(optimum - np.array(box.low)).min(), np.abs(optimum - np.array(box.high)).min())
    top = optimum + centre

    def span(estimate: float, values: FloatArray) -> Span:
        if not len(values):
            return Span(estimate, None, None)
        low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
        return Span(estimate, float(low), float(high))

    # log10 of the effective rate is the difference of the two coordinates.
    rate, rates = float(optimum[0] - optimum[1]), resampled[:, 0] - resampled[:, 1]
    shift = float(centre[0] - centre[1])
    own_rate = float(here[0] - here[1])
    return Surface(
        coefficients=tuple(float(c) for c in coefficients),
        centre=_pair(centre),
        cells=len(means),
        r_squared=None if flat else 1.0 - float(((means - fitted) ** 2).sum()) / total,
        shape="flat" if flat else _shape(coefficients),
        learning_rate=float(10 ** top[0]),
        momentum=float(1 - 10 ** top[1]),
        on_edge=bool(edge <= INSIDE),
        log10_learning_rate=span(float(top[0]), resampled[:, 0] + centre[0]),
        log10_one_minus_momentum=span(float(top[1]), resampled[:, 1] + centre[1]),
        log10_effective_rate=span(rate + shift, rates + shift),
        distance_decades=span(
            float(np.hypot(*(optimum - here))), np.hypot(resampled[:, 0] - here[0], resampled[:, 1] - here[1])
        ),
        along_effective_rate_decades=span(rate - own_rate, rates - own_rate),
        draws=None if flat else equivalent_draws(coefficients, centre, box, here, floor=float(place.means.min())),
        confidence=confidence,
    )


def _shape(coefficients: FloatArray) -> str:
    _, _, _, a, b, c = coefficients
    if 4 * a * c - b * b <= 0:
        return "saddle"
    return "peak" if a < 0 else "bowl"
