"""The marks of the heat map: the prescribed point, the best cell, the references; and a cell in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.pages import wording
from service.pages.scale import Scale
from service.schemas.data import CellDocument

NEAR = 15.0
"""Two marks closer than this are moved apart."""


@dataclass(frozen=True)
class Mark:
    """A point of interest."""

    kind: str
    """`prescribed`, `best` or `reference`"""
    number: str
    """of a reference, as in the key; else empty"""
    x: float
    y: float
    at_x: float
    at_y: float
    """where the point lies, if the mark had to make room for another"""
    moved: bool
    shade: int | None
    """as of a tile; None without a score"""
    title: str


def marks(
    cells: Sequence[CellDocument],
    best: int | None,
    references: Sequence[int],
    across: Scale,
    up: Scale,
    shades: Sequence[int | None],
    texts: Sequence[str],
) -> tuple[Mark, ...]:
    """The best cell and the prescribed point where they are, references beside what they would cover.

    What lies beyond the picture has no mark.
    """
    wanted = [] if best is None else [("best", "", best)]
    wanted += [("prescribed", "", 0), *(("reference", str(n), index) for n, index in enumerate(references, 1))]
    found: list[Mark] = []
    for kind, number, index in wanted:
        at = place(cells[index])
        if across.holds(at[0]) and up.holds(at[1]):
            x, y = across(at[0]), up(at[1])
            seat = _seat(x, y, [(mark.x, mark.y) for mark in found]) if kind == "reference" else (x, y)
            title = f"{'best cell' if kind == 'best' else kind}: {texts[index]}"
            found.append(Mark(kind, number, *seat, x, y, seat != (x, y), shades[index], title))
    return tuple(found)


def _seat(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The nearest free seat for a mark: its own place, else one around it."""
    around = [(0.0, 0.0)] + [(reach * dx, reach * dy) for reach in (NEAR, 2 * NEAR) for dx, dy in _DIRECTIONS]
    seats = [(round(x + dx, 1), round(y + dy, 1)) for dx, dy in around]
    free = (seat for seat in seats if all(math.dist(seat, other) >= NEAR - 0.2 for other in taken))
    return next(free, seats[0])


_DIRECTIONS = ((0.7, -0.72), (-0.7, -0.72), (0.7, 0.72), (-0.7, 0.72))


def place(cell: CellDocument) -> tuple[float, float]:
    """(log10 learning rate, log10(1 - momentum)) of a cell document."""
    return math.log10(cell["learning_rate"]), math.log10(1 - cell["momentum"])


def told(cell: CellDocument, mean: float | None) -> str:
    """A cell in words.

    Args:
        cell: its document, with the mean over its own trainings.
        mean: on the footing of the prescribed point; said where it differs.
    """
    at = wording.point(cell["learning_rate"], cell["momentum"])
    name = f"{', '.join(cell['labels'])} {at}" if cell["labels"] else at
    if cell["mean"] is None:
        return f"{name}: no training yet"
    text = f"{name}: mean accuracy {wording.percent(cell['mean'])} of {wording.count(cell['n'], 'training')}"
    if cell["std"] is not None:
        text += f", standard deviation {wording.points(cell['std'])}"
    text += f", {cell['diverged']} diverged" if cell["diverged"] else ""
    text += "" if cell["dropped_after"] is None else ", dropped by the race"
    if mean is not None and wording.percent(mean) != wording.percent(cell["mean"]):
        text += f"; {wording.percent(mean)} beside the prescribed point, over the replicates that both have"
    return text
