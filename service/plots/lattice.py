"""Where the cells of a grid lie on logarithmic axes: the edges of their fields, and the outline of some of them."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

LONE_FACTOR = 1.25
"""Half the width of a field whose axis has a single value, as a factor."""
Segment = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Lattice:
    """The grid of a study: every learning rate with every momentum."""

    rates: tuple[float, ...]
    """Learning rates, ascending."""
    remainders: tuple[float, ...]
    """1 - momentum, ascending."""
    cells: tuple[tuple[int, ...], ...]
    """Index of the cell at [remainder][rate]."""

    @property
    def rate_edges(self) -> tuple[float, ...]:
        """One more than there are learning rates."""
        return _edges(self.rates)

    @property
    def remainder_edges(self) -> tuple[float, ...]:
        """One more than there are momenta."""
        return _edges(self.remainders)

    def outline(self, members: Collection[int]) -> list[Segment]:
        """The border between members and others, as ((x, y), (x, y)) in learning rate and 1 - momentum.

        Args:
            members: indices of cells; those off the grid are passed over.
        """
        columns, rows = len(self.rates), len(self.remainders)
        x, y = self.rate_edges, self.remainder_edges

        def inside(row: int, column: int) -> bool:
            return 0 <= row < rows and 0 <= column < columns and self.cells[row][column] in members

        upright = [
            ((x[column], y[row]), (x[column], y[row + 1]))
            for row in range(rows)
            for column in range(columns + 1)
            if inside(row, column - 1) != inside(row, column)
        ]
        level = [
            ((x[column], y[row]), (x[column + 1], y[row]))
            for row in range(rows + 1)
            for column in range(columns)
            if inside(row - 1, column) != inside(row, column)
        ]
        return upright + level


def lattice(cells: Sequence[Mapping[str, Any]]) -> Lattice:
    """Arrange the cells of the grid; those off it are left out.

    Args:
        cells: documents with `cell`, `learning_rate`, `momentum` and `in_grid`.

    Raises:
        ValueError: the grid is not every learning rate with every momentum.
    """
    at = {(cell["learning_rate"], cell["momentum"]): cell["cell"] for cell in cells if cell["in_grid"]}
    rates = tuple(sorted({rate for rate, _ in at}))
    momenta = sorted({momentum for _, momentum in at}, reverse=True)
    if len(at) != len(rates) * len(momenta):
        whole = f"{len(rates)} x {len(momenta)}"
        raise ValueError(f"the grid must be every learning rate with every momentum, got {len(at)} of {whole} cells")
    rows = tuple(tuple(at[rate, momentum] for rate in rates) for momentum in momenta)
    return Lattice(rates, tuple(1 - momentum for momentum in momenta), rows)


def _edges(values: Sequence[float]) -> tuple[float, ...]:
    """Borders half-way between neighbours on a logarithmic axis; the outermost as far out as they are within."""
    logs = [math.log(value) for value in values]
    if len(logs) == 1:
        reach = math.log(LONE_FACTOR)
        return math.exp(logs[0] - reach), math.exp(logs[0] + reach)
    between = [(low + high) / 2 for low, high in pairwise(logs)]
    return tuple(math.exp(edge) for edge in (2 * logs[0] - between[0], *between, 2 * logs[-1] - between[-1]))
