"""The landscape as a table: learning rates across, momenta down, each cell shaded by the rank of its mean accuracy.

By rank, since a single cell beyond the cliff of divergence would give all the others one shade.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SHADES = 10
"""Steps of the colour scale."""


@dataclass(frozen=True)
class Square:
    """One cell of the table."""

    text: str
    title: str
    """What the number is, for a pointer or a screen reader."""
    shade: int | None
    """0 (lowest mean of the grid) to SHADES - 1 (highest); None without a score."""
    marks: str
    """`prescribed`, `best`, or names of references."""


@dataclass(frozen=True)
class Landscape:
    """The grid, with the cells that lie outside it as a list."""

    learning_rates: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Square | None, ...]], ...]
    """(momentum, squares), the highest momentum first."""
    outside: tuple[tuple[str, Square], ...]
    """(learning rate and momentum, square) of cells that are no grid points."""


def landscape(cells: Sequence[dict[str, Any]], best: int | None) -> Landscape:
    """Arrange cell documents.

    Args:
        cells: as `/v1/studies/{id}/cells` gives them.
        best: index of the best cell, if one is known.
    """
    means = sorted({cell["mean"] for cell in cells if cell["in_grid"] and cell["mean"] is not None})

    def square(cell: dict[str, Any]) -> Square:
        mean, spread = cell["mean"], cell["std"]
        marks = list(cell["labels"]) + (["best"] if cell["cell"] == best else [])
        at = f"learning rate {cell['learning_rate']:.4g}, momentum {cell['momentum']:.4g}"
        told = f"mean accuracy of {cell['n']} trainings at {at}"
        if spread is not None:
            told += f", standard deviation {spread:.4f}"
        if cell["diverged"]:
            told += f", {cell['diverged']} diverged"
        rank = 0.0 if mean is None else bisect_left(means, mean) / max(1, len(means) - 1)
        shade = None if mean is None else round(min(1.0, rank) * (SHADES - 1))
        return Square("–" if mean is None else f"{100 * mean:.2f}", told, shade, ", ".join(marks))

    grid = [cell for cell in cells if cell["in_grid"]]
    rates = sorted({cell["learning_rate"] for cell in grid})
    momenta = sorted({cell["momentum"] for cell in grid}, reverse=True)
    at = {(cell["learning_rate"], cell["momentum"]): square(cell) for cell in grid}
    outside = [cell for cell in cells if not cell["in_grid"]]
    return Landscape(
        tuple(f"{rate:.3g}" for rate in rates),
        tuple((f"{momentum:.3f}", tuple(at.get((rate, momentum)) for rate in rates)) for momentum in momenta),
        tuple((f"{cell['learning_rate']:.4g}, {cell['momentum']:.3f}", square(cell)) for cell in outside),
    )
