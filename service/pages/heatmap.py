"""The landscape as a heat map: how far each cell's mean accuracy lies below the best cell's, on one footing.

The shades are steps of the claim's margin, so that a flat landscape looks flat, one cliff does not take all the
colours, and the two brightest shades are what the claim calls near.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.pages.marks import Mark, marks, place, told
from service.pages.scale import Frame, Scale, Tick, round_values, spread
from service.plots.footing import footing
from service.plots.lattice import Lattice
from service.schemas.data import CellDocument
from service.schemas.studies import ComparisonDocument

STEPS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
"""Where the shade changes: margins below the best mean."""
SHADES = len(STEPS) + 1
BEYOND = 1.0
"""Decades beyond the grid within which references are still drawn."""
WIDTH, LEFT, RIGHT, TOP, BELOW = 440.0, 46.0, 8.0, 10.0, 40.0
"""The drawing and its margins, in units that are about a pixel on a phone."""
TALLEST = 420.0
LEAST_SIDE = 160.0
PAD = 0.07
"""Decades between the outermost thing drawn and the frame."""
NUMBER_WIDTH = 36.0
"""Least width of a tile that holds a number such as 98.43."""
NUMBER_HEIGHT = 26.0


@dataclass(frozen=True)
class Square:
    """One tile as drawn."""

    row: int
    """0 for the highest momentum"""
    column: int
    """0 for the lowest learning rate"""
    x: float
    y: float
    width: float
    height: float
    shade: int | None
    """0 (the best) to SHADES - 1; None without a score"""
    text: str
    """the mean accuracy in percent; empty where there is no room"""
    text_x: float
    text_y: float
    diverged: bool
    """whether any training diverged"""
    title: str


@dataclass(frozen=True)
class Swatch:
    """One step of the legend."""

    shade: int
    x: float
    text: str
    """the least shortfall that has this shade, in points"""


@dataclass(frozen=True)
class Line:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    title: str


@dataclass(frozen=True)
class Heatmap:
    """Everything that the drawing needs."""

    frame: Frame
    squares: tuple[Square, ...]
    marks: tuple[Mark, ...]
    outline: str
    """SVG path around the confidence set; empty while there is none"""
    outline_title: str
    line: Line | None
    """one effective learning rate, the prescribed point's"""
    swatches: tuple[Swatch, ...]
    swatch_width: float
    legend_y: float
    height: float


def heatmap(
    grid: Lattice,
    cells: Sequence[CellDocument],
    margin: float,
    answer: ComparisonDocument | None,
    references: Sequence[int],
) -> Heatmap:
    """Draw a landscape.

    Args:
        grid: where its cells lie.
        cells: cell documents by index; the first is the prescribed point.
        margin: of the claim, a fraction.
        answer: the comparison, if there is one; it gives the best cell and the confidence set.
        references: cell indices in the order of their numbers.
    """
    best = None if answer is None or answer["best"] is None else answer["best"]["cell"]
    members = frozenset() if answer is None else frozenset(answer["confidence_set"]["cells"])
    across, up = _scales(grid, cells)
    frame = _frame(across, up)
    means = footing(cells, answer)
    highest = max((mean for mean in means if mean is not None), default=0.0)
    shades = [None if mean is None else shade(mean, highest, margin) for mean in means]
    texts = [told(cell, mean) for cell, mean in zip(cells, means, strict=True)]

    swatch = (frame.right - frame.left) / SHADES
    told_points = [f"{100 * margin * step:.3g}" for step in (0.0, *STEPS)]
    return Heatmap(
        frame=frame,
        squares=tuple(_squares(grid, cells, across, up, means, shades, texts)),
        marks=marks(cells, best, references, across, up, shades, texts),
        outline=_outline(grid, members, across, up),
        outline_title=f"Confidence set: {len(members)} of {len(cells)} cells cannot be told from the best",
        line=_equal_rate(cells[0], across, up),
        swatches=tuple(
            Swatch(shade, round(frame.left + shade * swatch, 1), text) for shade, text in enumerate(told_points)
        ),
        swatch_width=round(swatch, 1),
        legend_y=frame.bottom + 58,
        height=frame.bottom + 88,
    )


def shade(mean: float, highest: float, margin: float) -> int:
    """The step of the colour scale, 0 for the best cell."""
    return bisect_right(STEPS, (highest - mean) / margin)


def _scales(grid: Lattice, cells: Sequence[CellDocument]) -> tuple[Scale, Scale]:
    """The axes, of one scale where the picture's shape allows: then distances are decades in every direction."""
    x, y = ([math.log10(edge) for edge in edges] for edges in (grid.rate_edges, grid.remainder_edges))
    near = [
        (across, up)
        for across, up in map(place, cells)
        if x[0] - BEYOND <= across <= x[-1] + BEYOND and y[0] - BEYOND <= up <= y[-1] + BEYOND
    ]
    left, right = min(x[0], *(at - PAD for at, _ in near)), max(x[-1], *(at + PAD for at, _ in near))
    low, high = min(y[0], *(at - PAD for _, at in near)), max(y[-1], *(at + PAD for _, at in near))
    width = WIDTH - LEFT - RIGHT
    height = (high - low) * width / (right - left)
    if height > TALLEST and TALLEST / height * width >= LEAST_SIDE:
        width, height = TALLEST / height * width, TALLEST
    height = min(max(height, LEAST_SIDE), TALLEST)
    # The momentum grows upwards, so 1 - momentum grows downwards, as drawings do.
    return Scale(left, right, LEFT, LEFT + width), Scale(low, high, TOP, TOP + height)


def _frame(across: Scale, up: Scale) -> Frame:
    rates = round_values(10**across.low, 10**across.high)
    beyond = round_values(10**up.low, 10**up.high)
    return Frame(
        width=WIDTH,
        height=up.end + BELOW,
        left=across.start,
        top=up.start,
        right=across.end,
        bottom=up.end,
        across=spread([Tick(across(math.log10(rate)), f"{rate:g}") for rate in rates], 34),
        up=spread([Tick(up(math.log10(rest)), f"{1 - rest:.6g}") for rest in beyond if rest <= 1]),
        across_title="learning rate",
        up_title="momentum",
    )


def _squares(
    grid: Lattice,
    cells: Sequence[CellDocument],
    across: Scale,
    up: Scale,
    means: Sequence[float | None],
    shades: Sequence[int | None],
    texts: Sequence[str],
) -> Iterator[Square]:
    x = [across(math.log10(edge)) for edge in grid.rate_edges]
    y = [up(math.log10(edge)) for edge in grid.remainder_edges]
    for row, indices in enumerate(grid.cells):
        for column, index in enumerate(indices):
            cell = cells[index]
            width, height = round(x[column + 1] - x[column], 1), round(y[row + 1] - y[row], 1)
            mean, room = means[index], width >= NUMBER_WIDTH and height >= NUMBER_HEIGHT
            yield Square(
                row=row,
                column=column,
                x=x[column],
                y=y[row],
                width=width,
                height=height,
                shade=shades[index],
                text=f"{100 * mean:.2f}" if room and mean is not None else "",
                text_x=round(x[column] + width / 2, 1),
                text_y=round(y[row + 1] - 4, 1),
                diverged=cell["diverged"] > 0,
                title=texts[index],
            )


def _outline(grid: Lattice, members: frozenset[int], across: Scale, up: Scale) -> str:
    sides = [
        (across(math.log10(x1)), up(math.log10(y1)), across(math.log10(x2)), up(math.log10(y2)))
        for (x1, y1), (x2, y2) in grid.outline(members)
    ]
    return "".join(f"M{x1:g} {y1:g}L{x2:g} {y2:g}" for x1, y1, x2, y2 in sides)


def _equal_rate(prescribed: CellDocument, across: Scale, up: Scale) -> Line | None:
    """Where learning rate / (1 - momentum) is the prescribed point's: x - y is constant."""
    x, y = place(prescribed)
    start, end = max(across.low, up.low + x - y), min(across.high, up.high + x - y)
    if start >= end:
        return None
    rate = prescribed["effective_learning_rate"]
    title = f"Settings with the prescribed point's effective learning rate, {rate:.3g}"
    return Line(across(start), up(start - x + y), across(end), up(end - x + y), title)
