"""The landscape as a table, for those who cannot see the heat map or want its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.pages import wording
from service.pages.marks import told
from service.plots.lattice import Lattice


@dataclass(frozen=True)
class Entry:
    """One cell in the table that stands for the heat map."""

    text: str
    title: str
    marks: str


@dataclass(frozen=True)
class CellTable:
    """The landscape as a table."""

    learning_rates: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]
    """(momentum, cells by learning rate), the highest momentum first"""
    outside: tuple[tuple[str, Entry], ...]
    """(point, cell) of those off the grid"""


def cell_table(grid: Lattice, cells: Sequence[dict[str, Any]], best: int | None) -> CellTable:
    """Arrange the cells.

    Args:
        grid: where its cells lie.
        cells: cell documents by index.
        best: the best cell's index, if one is known.
    """
    rows = (
        (wording.momentum(1 - rest), tuple(_entry(cells[index], best) for index in row))
        for rest, row in zip(grid.remainders, grid.cells, strict=True)
    )
    outside = (
        (wording.point(cell["learning_rate"], cell["momentum"]), _entry(cell, best))
        for cell in cells
        if not cell["in_grid"]
    )
    return CellTable(tuple(map(wording.learning_rate, grid.rates)), tuple(rows), tuple(outside))


def _entry(cell: dict[str, Any], best: int | None) -> Entry:
    marks = [*cell["labels"], *(["best"] if cell["cell"] == best else [])]
    text = wording.NOTHING if cell["mean"] is None else f"{100 * cell['mean']:.2f}"
    return Entry(text, told(cell), ", ".join(marks))
