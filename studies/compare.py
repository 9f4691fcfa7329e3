"""The comparison of a prescribed point with the cells around it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from studies.comparison.caution import Caution, cautions
from studies.comparison.confidence_set import ConfidenceSet, confidence_set
from studies.comparison.cross_fit import cross_fitted_regret
from studies.comparison.divergence import DivergenceRate, divergence_rates
from studies.comparison.interval import Interval, Limits, Verdict, competitor_limits, read_verdict, regret_interval
from studies.comparison.planning import replicates_needed
from studies.comparison.populations import Population, Populations, populations
from studies.comparison.result import Comparison, Position, Regret
from studies.comparison.ridge import Diagonal, Ridge, ridge
from studies.comparison.standing import Standing, standing
from studies.comparison.summary import CellSummary, Difference, cell_summary
from studies.comparison.surface import Surface, fit_surface
from studies.comparison.table import ScoreTable, score_table
from studies.comparison.words import method, not_said, sentence

__all__ = [
    "Caution",
    "CellSummary",
    "Comparison",
    "ConfidenceSet",
    "Diagonal",
    "Difference",
    "DivergenceRate",
    "Interval",
    "Population",
    "Populations",
    "Position",
    "Regret",
    "Ridge",
    "ScoreTable",
    "Surface",
    "Verdict",
    "compare",
    "regret",
    "score_table",
]


def compare(
    scores: Any,
    cells: Any,
    derived: int,
    *,
    margin: float,
    confidence: float = 0.95,
    claimed: float | None = None,
    folds: Any = None,
    diverged: Any = None,
    observed: Any = None,
    references: Mapping[str, int] | None = None,
    n_test: int | None = None,
    n_train: int | None = None,
    grid: Any = None,
    seed: int = 0,
) -> Comparison:
    """Say whether the prescribed point is within a margin of the best cell, and how sure that is.

    Args:
        scores: `[C, R]`, higher is better; columns are paired replicates (one fold, one run, common seeds).
        cells: `[C, 2]` learning rate > 0, momentum in [0, 1).
        derived: row of the prescribed point, 0..C-1.
        margin: the regret that does not matter, fixed before the run, in units of the score, >= 0.
        confidence: of the interval, in [0.5, 1).
        claimed: what the study promises over all its rounds and looks, in [0.5, confidence], where `confidence` is
            the level of each of them (`studies.racing`); the words state both. None: `confidence`.
        folds: `[R]` fold of each column; None: one fold.
        diverged: `[C, R]` booleans; the scores of these are their documented ones. None: none.
        observed: `[C, R]` booleans; None: all. Scores are ignored where false. Cells are compared on the
            replicates that both have; see `studies.comparison.standing` for what that means for ranks.
        references: names to rows; they join best, regret and set, not share and percentile.
        n_test: test images per fold; sets the least standard error.
        n_train: training images per fold; with n_test the overlap of folds in `populations.new_data`.
        grid: `[C]` booleans, rows that make up the box. None: every row that no reference names, and
            `derived`; to be given where a reference equals a grid cell, and where the prescribed point is
            off the grid.
        seed: of the bootstrap behind the surface's limits; nothing else is random.

    Returns:
        The comparison; its verdict follows from `regret` and `margin` alone.

    Raises:
        ValueError: a shape, an index, a cell, a score (not finite), the margin or a confidence breaks its
            rule.

    Assumes: paired differences are close to normal, or R is large; a diverged training's score is the lowest.
    Speaks for: new seeds on the same images and folds.
    """
    if not (np.isfinite(margin) and margin >= 0):
        raise ValueError(f"margin must be finite and at least 0, got {margin}")
    _check_confidence(confidence)
    promised = confidence if claimed is None else claimed
    if not 0.5 <= promised <= confidence:
        raise ValueError(f"claimed must be in [0.5, confidence], got {promised} for a confidence of {confidence}")
    table = score_table(
        scores,
        cells,
        derived,
        folds=folds,
        diverged=diverged,
        observed=observed,
        references=references,
        grid=grid,
        n_test=n_test,
        n_train=n_train,
    )
    return _compare(table, float(margin), float(confidence), float(promised), np.random.default_rng(seed))


def regret(
    scores: Any,
    cells: Any,
    derived: int,
    *,
    confidence: float = 0.95,
    folds: Any = None,
    diverged: Any = None,
    observed: Any = None,
    references: Mapping[str, int] | None = None,
    n_test: int | None = None,
    grid: Any = None,
) -> Position:
    """The regret alone, with the prescribed and the best cell: what `compare` says of them, in a fraction of its time.

    Args:
        scores: as for `compare`, as are all others.
        cells: `[C, 2]`.
        derived: row of the prescribed point.
        confidence: of the interval, in [0.5, 1).
        folds: `[R]`.
        diverged: `[C, R]`.
        observed: `[C, R]`.
        references: names to rows.
        n_test: test images per fold.
        grid: `[C]`.

    Returns:
        The position.

    Raises:
        ValueError: as `compare`.
    """
    _check_confidence(confidence)
    table = score_table(
        scores,
        cells,
        derived,
        folds=folds,
        diverged=diverged,
        observed=observed,
        references=references,
        grid=grid,
        n_test=n_test,
    )
    limits = competitor_limits(table, confidence)
    return _position(table, standing(table), limits, divergence_rates(table), float(confidence))


def _check_confidence(confidence: float) -> None:
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence must be in [0.5, 1), got {confidence}")


def _position(
    table: ScoreTable, place: Standing, limits: Limits, rates: tuple[DivergenceRate, ...], confidence: float
) -> Position:
    interval = regret_interval(limits)
    prescribed, best = (cell_summary(table, place, row, rates[row], confidence) for row in (table.derived, place.best))
    return Position(
        regret=Regret(interval.estimate, cross_fitted_regret(table), interval.low, interval.high),
        prescribed=prescribed,
        best=best,
    )


def _compare(
    table: ScoreTable, margin: float, confidence: float, claimed: float, rng: np.random.Generator
) -> Comparison:
    limits = competitor_limits(table, confidence)
    place = standing(table)
    rates = divergence_rates(table)
    position = _position(table, place, limits, rates, confidence)
    interval = regret_interval(limits)
    verdict = read_verdict(interval, margin)
    members = confidence_set(table, place, confidence)
    surface = fit_surface(table, place, confidence, rng)
    needed = replicates_needed(table, margin, confidence)
    warnings = cautions(table, place, members, rates, surface, margin, shared=claimed < confidence)
    edge = any(caution.code == "edge" for caution in warnings)
    references = (cell_summary(table, place, row, rates[row], confidence, name) for name, row in table.references)
    return Comparison(
        verdict=verdict,
        sentence=sentence(
            verdict, interval, position.prescribed, table, margin=margin, confidence=claimed, needed=needed
        ),
        not_said=not_said(verdict, position.prescribed, members, table, edge),
        margin=margin,
        confidence=claimed,
        level=confidence,
        n=table.n_replicates,
        regret=position.regret,
        replicates_needed=needed,
        prescribed=position.prescribed,
        best=position.best,
        references=tuple(references),
        confidence_set=members,
        landscape=tuple(map(float, place.means)),
        divergence=rates,
        ridge=ridge(table, place, confidence),
        surface=surface,
        populations=populations(table, confidence, limits),
        warnings=warnings,
        method=method(table, confidence, claimed),
    )
