"""Two studies that share replicates: at their prescribed points, and each at its own best cell."""

from dataclasses import dataclass

import numpy as np

from studies.comparison.cross_fit import TIE, even_half
from studies.comparison.table import ScoreTable
from studies.statistics import BoolArray, FloatArray, Moments, paired_moments, student_quantile


@dataclass(frozen=True)
class PairDifference:
    """Mean of study A minus mean of study B over paired replicates, in units of the score."""

    estimate: float
    low: float
    """lower t limit, -inf where no variance can be had"""
    high: float
    standard_error: float
    """inf where no variance can be had"""
    df: int
    n: int
    """paired replicates"""

    def __post_init__(self) -> None:
        if not self.low <= self.estimate <= self.high:
            raise ValueError(f"a difference needs low <= estimate <= high, got {self}")


@dataclass(frozen=True)
class Selection:
    """The best cells on one half of the replicates, measured on the other."""

    a: int
    """row of study A"""
    b: int
    """row of study B"""
    estimate: float
    """A minus B on the other half"""
    n: int
    """replicates of the other half"""


@dataclass(frozen=True)
class PairComparison:
    """How two studies differ on the replicates that both have."""

    n: int
    folds: int
    confidence: float
    prescribed: PairDifference
    best: PairDifference | None
    """each study at the cell that the other half selects; None with one replicate"""
    selections: tuple[Selection, ...]
    """selected on the even and on the odd half; empty with one replicate"""


def compare_pair(a: ScoreTable, b: ScoreTable, confidence: float) -> PairComparison:
    """Compare two studies replicate by replicate; exchanging them changes signs only.

    Best against best on the same replicates would compare two maxima, of which the one over more or noisier cells is
    lifted more. So each study's best cell is selected on one half of the replicates and the difference is measured on
    the other, both ways, and averaged. The two measurements are not independent: noise that wins a cell its selection
    in one half is noise of the other measurement. Hence the standard error is the mean of those of the halves, which
    is right for full correlation and too large for any other; its degrees of freedom are those of both halves.

    Args:
        a: scores of study A in R replicates, every cell observed.
        b: scores of study B in the same replicates.
        confidence: of each interval, two-sided, in [0.5, 1).

    Returns:
        Both differences, A minus B.

    Raises:
        ValueError: other replicates, another number of test images, unobserved scores, or the confidence is out of
            range.

    Assumes: paired differences are close to normal, or R is large.
    Speaks for: new seeds on the same images and folds; `best` for the cells that half the replicates select.
    """
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence must be in [0.5, 1), got {confidence}")
    if not np.array_equal(a.folds, b.folds):
        raise ValueError(f"both studies need the same replicates, got folds {a.folds.tolist()} and {b.folds.tolist()}")
    if a.n_test != b.n_test:
        raise ValueError(f"both studies need the same test images, got {a.n_test} and {b.n_test} in a fold")
    if not (a.observed.all() and b.observed.all()):
        raise ValueError("every cell of both studies needs a score in every replicate")
    everything = np.ones((1, a.n_replicates), dtype=bool)
    there = _moments(a, b, [(a.derived, b.derived)], everything)
    selections, best = _cross_fitted(a, b, confidence)
    return PairComparison(
        n=a.n_replicates,
        folds=a.n_folds,
        confidence=confidence,
        prescribed=_difference(there, _errors(there, a, b), confidence),
        best=best,
        selections=selections,
    )


def _cross_fitted(
    a: ScoreTable, b: ScoreTable, confidence: float
) -> tuple[tuple[Selection, ...], PairDifference | None]:
    even = even_half(a.folds)
    if even.all():
        return (), None
    rows = [(_best(a, half), _best(b, half)) for half in (even, ~even)]
    measured = _moments(a, b, rows, np.stack([~even, even]))
    selections = tuple(
        Selection(*pair, estimate=float(mean), n=int(n))
        for pair, mean, n in zip(rows, measured.mean, measured.n, strict=True)
    )
    return selections, _difference(measured, _errors(measured, a, b), confidence)


def _best(table: ScoreTable, half: BoolArray) -> int:
    """The first row with the highest mean over a half."""
    means = table.scores[:, half].mean(axis=1)
    return int(np.flatnonzero(means >= means.max() - TIE * table.scale)[0])


def _moments(a: ScoreTable, b: ScoreTable, rows: list[tuple[int, int]], masks: BoolArray) -> Moments:
    """Moments `[M]` of the differences of M pairs of rows over their masks `[M, R]`."""
    values = np.stack([a.scores[first] - b.scores[second] for first, second in rows])
    return paired_moments(values, masks, a.folds)


def _errors(moments: Moments, a: ScoreTable, b: ScoreTable) -> FloatArray:
    return moments.standard_error(a.score_floor, max(a.scale, b.scale))


def _difference(moments: Moments, errors: FloatArray, confidence: float) -> PairDifference:
    """The average over the rows of `moments`, however its rows are correlated."""
    mean, error, df = float(moments.mean.mean()), float(errors.mean()), int(moments.df.sum())
    if not np.isfinite(error):
        return PairDifference(mean, -np.inf, np.inf, np.inf, 0, int(moments.n.sum()))
    reach = error * float(student_quantile(1 - (1 - confidence) / 2, np.array(df)))
    return PairDifference(mean, mean - reach, mean + reach, error, df, int(moments.n.sum()))
