"""The cells' means as they may be set side by side."""

from collections.abc import Mapping, Sequence
from typing import Any


def footing(cells: Sequence[Mapping[str, Any]], comparison: Mapping[str, Any] | None) -> tuple[float | None, ...]:
    """The mean accuracy of each cell, on the footing of the prescribed point.

    In a race, and while a study goes on, cells have different replicates, some harder than others: raw means would show
    that too. So a cell's mean is the prescribed point's plus the mean paired difference over the replicates of both.

    Args:
        cells: cell documents, in order.
        comparison: of the study; without one, or before its first complete replicate, the means are raw.
    """
    paired: Sequence[float | None] = () if comparison is None else comparison["landscape"]
    return tuple(paired) if paired else tuple(cell["mean"] for cell in cells)
