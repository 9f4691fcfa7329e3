"""One cell's row in the answer."""

from dataclasses import dataclass

from studies.comparison.divergence import DivergenceRate
from studies.comparison.standing import Standing
from studies.comparison.table import ScoreTable
from studies.statistics import FloatArray, student_quantile


@dataclass(frozen=True)
class Difference:
    """A paired difference with two-sided pointwise limits, in units of the score."""

    estimate: float | None
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.estimate is not None and not self.low <= self.estimate <= self.high:
            raise ValueError(f"a difference needs low <= estimate <= high, got {self}")


@dataclass(frozen=True)
class CellSummary:
    """What is known of one cell."""

    cell: int
    """row"""
    label: str | None
    """the reference's name; None for others, which the caller names"""
    learning_rate: float
    momentum: float
    effective_learning_rate: float
    mean: float | None
    """over its own observed replicates, diverged ones with their documented score; where others were observed in more,
    `difference` compares on the replicates that both have"""
    std: float | None
    """of one replicate, over all folds and runs; None below two"""
    n: int
    diverged: int
    divergence: DivergenceRate
    rank: int
    """1 + number of grid cells with a higher mean, on the footing of `Standing`"""
    percentile: float | None
    """share of grid cells whose mean is not higher, in [0, 1]; None outside the grid"""
    difference: Difference | None
    """this cell minus the prescribed one; None for the prescribed one itself"""


def cell_summary(
    table: ScoreTable,
    place: Standing,
    row: int,
    divergence: DivergenceRate,
    confidence: float,
    label: str | None = None,
) -> CellSummary:
    """Summarise one row.

    Args:
        table: the scores.
        place: their means on one footing.
        row: which.
        divergence: its rate.
        confidence: of the difference's limits, pointwise, in [0.5, 1).
        label: the reference's name.

    Returns:
        The row's summary.
    """
    scores = table.scores[row][table.observed[row]]
    higher = int((table.grid & (place.means > place.means[row] + place.tie)).sum())
    size = int(table.grid.sum())
    return CellSummary(
        cell=row,
        label=label,
        learning_rate=float(table.cells[row, 0]),
        momentum=float(table.cells[row, 1]),
        effective_learning_rate=float(table.effective_rates[row]),
        mean=float(table.means[row]) if len(scores) else None,
        std=float(scores.std(ddof=1)) if len(scores) > 1 else None,
        n=len(scores),
        diverged=divergence.diverged,
        divergence=divergence,
        rank=1 + higher,
        percentile=1.0 - higher / size if table.grid[row] else None,
        difference=None if row == table.derived else paired_difference(table, row, confidence),
    )


def paired_difference(table: ScoreTable, row: int, confidence: float) -> Difference:
    """mean(row) - mean(prescribed) with t limits, over all replicates of both.

    Args:
        table: the scores.
        row: the cell.
        confidence: two-sided, in [0.5, 1).

    Returns:
        Limits are infinite where no variance can be had.

    Assumes: paired differences are close to normal, or R is large.
    Speaks for: this one pair, fixed beforehand; new seeds on the same images and folds.
    """
    moments = table.difference_moments(table.derived)
    spread = moments.standard_error(table.score_floor, table.scale)
    reach: FloatArray = student_quantile(1 - (1 - confidence) / 2, moments.df) * spread
    mean = float(moments.mean[row])
    return Difference(mean if moments.n[row] else None, mean - float(reach[row]), mean + float(reach[row]))
