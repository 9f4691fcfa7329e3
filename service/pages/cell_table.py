"""The landscape as a table, for those who cannot see the heat map or want its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.pages import wording
from service.pages.marks import told
from service.plots.footing import footing
from service.plots.lattice import Lattice
from service.schemas.data import CellDocument
from service.schemas.studies import ComparisonDocument


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


def cell_table(grid: Lattice, cells: Sequence[CellDocument], answer: ComparisonDocument | None) -> CellTable:
    """Arrange the cells.

    Args:
        grid: where its cells lie.
        cells: cell documents by index.
        answer: the comparison, if there is one.
    """
    means = footing(cells, answer)
    best = None if answer is None or answer["best"] is None else answer["best"]["cell"]
    entries = [_entry(cell, mean, best) for cell, mean in zip(cells, means, strict=True)]
    rows = (
        (wording.momentum(1 - rest), tuple(entries[index] for index in row))
        for rest, row in zip(grid.remainders, grid.cells, strict=True)
    )
    outside = (
        (wording.point(cell["learning_rate"], cell["momentum"]), entries[cell["cell"]])
        for cell in cells
        if not cell["in_grid"]
    )
    return CellTable(tuple(map(wording.learning_rate, grid.rates)), tuple(rows), tuple(outside))


def _entry(cell: CellDocument, mean: float | None, best: int | None) -> Entry:
    marks = [*cell["labels"], *(["best"] if cell["cell"] == best else [])]
    text = wording.NOTHING if mean is None else f"{100 * mean:.2f}"
    return Entry(text, told(cell, mean), ", ".join(marks))
