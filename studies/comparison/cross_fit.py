"""Estimates that select on one half of the replicates and measure on the other."""

import numpy as np

from studies.comparison.candidates import candidates
from studies.comparison.table import ScoreTable
from studies.statistics import BoolArray, FloatArray, IntArray

TIE = 1e-12
"""Relative difference below which two means are one: rounding of a sum of replicates."""


def even_half(folds: IntArray) -> BoolArray:
    """Every second replicate, alternating within folds so that both halves are balanced over them.

    Args:
        folds: `[R]` fold codes; with one fold these are the even columns.

    Returns:
        `[R]` true for the even half.
    """
    half = np.empty(len(folds), dtype=bool)
    half[np.argsort(folds, kind="stable")] = np.arange(len(folds)) % 2 == 0
    return half


def half_means(table: ScoreTable, counts: BoolArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Mean differences to the prescribed point in each half.

    Args:
        table: the scores.
        counts: `[C, R]` replicates that count.

    Returns:
        (`[C]` even, `[C]` odd, `[C]` whether a row has both); 0 where a half is empty.
    """
    values, both = table.differences(table.derived)
    even = even_half(table.folds)
    used = both & counts
    means, sizes = [], []
    for half in (even, ~even):
        mask = used & half[None, :]
        size = mask.sum(axis=1)
        means.append(np.where(mask, values, 0.0).sum(axis=1) / np.maximum(size, 1))
        sizes.append(size)
    return means[0], means[1], (sizes[0] > 0) & (sizes[1] > 0)


def cross_fitted_regret(table: ScoreTable) -> float | None:
    """The regret measured on replicates that had no part in selecting the best cell, averaged over both ways.

    Unlike the plug-in it carries no winner's curse: its expectation is the advance of the selected cell,
    which is at most the regret. It may be negative: the cell that won one half then lost to the prescribed
    point in the other. Cells that diverged more often than the prescribed point cannot be selected: with few
    replicates, one that happened to finish in one half would be measured by its divergence in the other. Nor can
    rows that are no `candidates`: those that ended early have the noisiest halves. Where scores decided which ended,
    both halves had a part in that, and the estimate is nearly, not exactly, free of selection.

    Args:
        table: the scores; all replicates count, diverged ones with their documented score.

    Returns:
        In units of the score; None with fewer than two replicates or no competitor in both halves.

    Speaks for: the cell that half the replicates would select, on the same images and folds.
    """
    even, odd, usable = half_means(table, table.observed)
    if not (usable & table.competitors).any():
        return None
    here = table.derived
    lost = (table.diverged & table.observed[here]).sum(axis=1)
    usable &= (lost <= (table.diverged[here] & table.observed).sum(axis=1)) & (candidates(table) | ~table.competitors)
    tie = TIE * table.scale
    return float(np.mean([_measured(select, measure, usable, tie) for select, measure in ((even, odd), (odd, even))]))


def _measured(select: FloatArray, measure: FloatArray, usable: BoolArray, tie: float) -> float:
    """Mean over the tied winners of one half, as the other half sees them; the prescribed row has 0."""
    winners = usable & (select >= select[usable].max() - tie)
    return float(measure[winners].mean())
