"""The score table: what a comparison is computed from, checked once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.statistics import BoolArray, FloatArray, IntArray, Moments, as_float_array, paired_moments


@dataclass(frozen=True)
class ScoreTable:
    """Scores of C cells in R paired replicates. Make one with `score_table`, which fills in and copies."""

    scores: FloatArray
    """`[C, R]`, higher is better; 0 where not observed"""
    cells: FloatArray
    """`[C, 2]` learning rate > 0, momentum in [0, 1)"""
    derived: int
    """row of the prescribed point"""
    folds: IntArray
    """`[R]` fold codes 0..K-1"""
    diverged: BoolArray
    """`[C, R]`, false where not observed"""
    observed: BoolArray
    """`[C, R]`"""
    grid: BoolArray
    """`[C]` rows that make up the box; the others are references only"""
    references: tuple[tuple[str, int], ...]
    """(name, row) pairs"""
    n_test: int | None
    """test images of one fold"""
    n_train: int | None
    """training images of one fold"""

    def __post_init__(self) -> None:
        shape = self.scores.shape
        if self.scores.ndim != 2 or 0 in shape:
            raise ValueError(f"scores must be [cells, replicates], at least one of each, got shape {shape}")
        _require("cells must be [cells, 2]", self.cells.shape, (shape[0], 2))
        _require("folds must be [replicates]", self.folds.shape, (shape[1],))
        _require("diverged must be [cells, replicates]", self.diverged.shape, shape)
        _require("observed must be [cells, replicates]", self.observed.shape, shape)
        _require("grid must be [cells]", self.grid.shape, (shape[0],))
        if not 0 <= self.derived < shape[0]:
            raise ValueError(f"derived must be a row in 0..{shape[0] - 1}, got {self.derived}")
        for name, row in self.references:
            if not 0 <= row < shape[0]:
                raise ValueError(f"reference {name!r} must be a row in 0..{shape[0] - 1}, got {row}")
        _check_scores(self.scores, self.observed)
        _check_cells(self.cells)
        for name, count in (("n_test", self.n_test), ("n_train", self.n_train)):
            if count is not None and count < 1:
                raise ValueError(f"{name} must be at least 1 image, got {count}")

    @property
    def n_cells(self) -> int:
        """C, references included."""
        return int(self.scores.shape[0])

    @property
    def n_replicates(self) -> int:
        """R."""
        return int(self.scores.shape[1])

    @property
    def n_folds(self) -> int:
        """K."""
        return int(self.folds.max()) + 1

    @property
    def competitors(self) -> BoolArray:
        """`[C]` every row but the prescribed point's."""
        return np.asarray(np.arange(self.n_cells) != self.derived)

    @property
    def complete(self) -> bool:
        """Whether every cell was observed in every replicate."""
        return bool(self.observed.all())

    @property
    def finished(self) -> BoolArray:
        """`[C, R]` observed and not diverged."""
        return self.observed & ~self.diverged

    @property
    def score_floor(self) -> float:
        """Least standard deviation of one replicate: that of rounding to whole images, (1/n_test)/sqrt 12."""
        return 0.0 if self.n_test is None else 1.0 / (self.n_test * np.sqrt(12.0))

    @property
    def scale(self) -> float:
        """Largest absolute score."""
        return float(np.abs(self.scores).max())

    @property
    def logarithms(self) -> FloatArray:
        """`[C, 2]` log10 learning rate, log10(1 - momentum): the coordinates in decades."""
        return np.column_stack([np.log10(self.cells[:, 0]), np.log10(1.0 - self.cells[:, 1])])

    @property
    def effective_rates(self) -> FloatArray:
        """`[C]` learning rate / (1 - momentum)."""
        return np.asarray(self.cells[:, 0] / (1.0 - self.cells[:, 1]))

    @property
    def means(self) -> FloatArray:
        """`[C]` mean score over the observed replicates, -inf where there are none."""
        n = self.observed.sum(axis=1)
        sums = np.where(self.observed, self.scores, 0.0).sum(axis=1)
        return np.where(n > 0, sums / np.maximum(n, 1), -np.inf)

    def differences(self, row: int) -> tuple[FloatArray, BoolArray]:
        """Paired differences of every cell to one row.

        Args:
            row: the row that is subtracted.

        Returns:
            (`[C, R]` differences, `[C, R]` where both were observed).
        """
        return self.scores - self.scores[row], self.observed & self.observed[row]

    def difference_moments(self, row: int) -> Moments:
        """Moments `[C]` of every cell's paired differences to one row, over all replicates."""
        values, both = self.differences(row)
        return paired_moments(values, both, self.folds)


def _require(rule: str, got: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if got != wanted:
        raise ValueError(f"{rule}: expected shape {wanted}, got {got}")


def _check_scores(scores: FloatArray, observed: BoolArray) -> None:
    bad = np.argwhere(observed & ~np.isfinite(scores))
    if len(bad):
        cell, replicate = (int(i) for i in bad[0])
        raise ValueError(
            f"scores must be finite (a diverged training has its documented score): cell {cell}, "
            f"replicate {replicate} is {scores[cell, replicate]}; {len(bad)} in all"
        )


def _check_cells(cells: FloatArray) -> None:
    rate, momentum = cells[:, 0], cells[:, 1]
    for name, good, column in (
        ("learning rate must be finite and > 0", np.isfinite(rate) & (rate > 0), rate),
        ("momentum must be in [0, 1)", (momentum >= 0) & (momentum < 1), momentum),
    ):
        bad = np.flatnonzero(~good)
        if len(bad):
            raise ValueError(f"{name}: cell {int(bad[0])} has {column[bad[0]]}")


def score_table(
    scores: Any,
    cells: Any,
    derived: int,
    *,
    folds: Any = None,
    diverged: Any = None,
    observed: Any = None,
    references: Mapping[str, int] | None = None,
    grid: Any = None,
    n_test: int | None = None,
    n_train: int | None = None,
) -> ScoreTable:
    """Check and complete the input of a comparison.

    Args:
        scores: `[C, R]`, higher is better; finite wherever observed, ignored elsewhere.
        cells: `[C, 2]` learning rate > 0, momentum in [0, 1).
        derived: row of the prescribed point.
        folds: `[R]` fold of each column, any integers; None: one fold.
        diverged: `[C, R]` booleans; None: none.
        observed: `[C, R]` booleans; None: all.
        references: names to rows.
        grid: `[C]` booleans, rows that make up the box; None: every row that no reference names, and
            `derived`.
        n_test: test images per fold, >= 1.
        n_train: training images per fold, >= 1.

    Returns:
        A ScoreTable that owns read-only copies.

    Raises:
        ValueError: a shape, an index, a cell or a score breaks its rule; the message names both.
    """
    values = as_float_array("scores", scores, 2)
    names = dict(references or {})
    seen = np.ones(values.shape, dtype=bool) if observed is None else np.array(observed, dtype=bool)
    lost = np.zeros(values.shape, dtype=bool) if diverged is None else np.array(diverged, dtype=bool)
    if seen.shape == values.shape:
        values = np.where(seen, values, 0.0)
        lost = lost & seen if lost.shape == seen.shape else lost
    if grid is None:
        box = np.ones(values.shape[0], dtype=bool)
        box[[row for row in names.values() if 0 <= row < len(box) and row != derived]] = False
    else:
        box = np.array(grid, dtype=bool)
    columns = np.zeros(values.shape[1]) if folds is None else np.asarray(folds)
    codes = np.unique(columns, return_inverse=True)[1].astype(np.int64).reshape(columns.shape)
    for array in (values, seen, lost, box, codes):
        array.setflags(write=False)
    rows = as_float_array("cells", cells, 2)
    return ScoreTable(values, rows, int(derived), codes, lost, seen, box, tuple(names.items()), n_test, n_train)
