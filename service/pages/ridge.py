"""The ridge: accuracy over the momentum along lines of one effective learning rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.pages import wording
from service.pages.scale import AccuracyScale, Frame, Scale, Tick, round_values, spread
from service.plots.footing import footing
from service.schemas.data import CellDocument
from service.schemas.studies import ComparisonDocument
from studies.documents.comparison import DiagonalDocument

MOST_LINES = 21
"""Diagonals that are drawn: the prescribed point's and those of the nearest effective rates."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BELOW = 440.0, 300.0, 46.0, 12.0, 10.0, 40.0


@dataclass(frozen=True)
class Spot:
    """One cell on a line."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Diagonal:
    """The cells of one effective learning rate."""

    prescribed: bool
    points: str
    spots: tuple[Spot, ...]
    title: str


@dataclass(frozen=True)
class RidgePlot:
    """Everything that the drawing needs."""

    frame: Frame
    diagonals: tuple[Diagonal, ...]
    """the prescribed point's last, so that it lies on top"""
    caption: str
    near_y: float
    near_height: float
    """where means are within the margin of the best one"""


def ridge_plot(answer: ComparisonDocument, cells: Sequence[CellDocument]) -> RidgePlot | None:
    """Draw the diagonals of a comparison.

    Args:
        answer: the comparison.
        cells: cell documents by index.

    Returns:
        None where no two cells share an effective learning rate.
    """
    own = answer["prescribed"]["effective_learning_rate"]
    diagonals = [] if answer["ridge"] is None else answer["ridge"]["diagonals"]
    nearest = sorted(diagonals, key=lambda one: abs(math.log(one["effective_learning_rate"] / own)))
    found = list(reversed(nearest[:MOST_LINES]))
    if not found:
        return None
    places = [math.log10(1 - momentum) for one in found for momentum in one["momentum"]]
    low, high = min(places), max(places)
    room = max(0.05 * (high - low), 0.02)
    # The momentum grows to the right, so 1 - momentum falls.
    across = Scale(low - room, high + room, WIDTH - RIGHT, LEFT)
    assert answer["best"] is not None, "diagonals come with a best cell"
    best = footing(cells, answer)[answer["best"]["cell"]]
    assert best is not None
    near = best - answer["margin"]
    up = AccuracyScale.around([best, near, *(mean for one in found for mean in one["mean"])], HEIGHT - BELOW, TOP)
    rests = round_values(10**across.low, min(1.0, 10**across.high))
    frame = Frame(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        top=TOP,
        right=WIDTH - RIGHT,
        bottom=HEIGHT - BELOW,
        across=spread([Tick(across(math.log10(rest)), f"{1 - rest:.6g}") for rest in rests], 34),
        up=up.ticks(),
        across_title="momentum",
        up_title="accuracy, %",
    )
    drawn = tuple(_diagonal(one, cells, across, up) for one in found)
    strong = "the strong one is the prescribed point's, " if any(one.prescribed for one in drawn) else ""
    caption = (
        f"Each line has one effective learning rate; {strong}the green strip is within the margin of the best mean. "
        "Cells that diverged are left out."
    )
    return RidgePlot(frame, drawn, caption, up(best), round(up(near) - up(best), 1))


def _diagonal(diagonal: DiagonalDocument, cells: Sequence[CellDocument], across: Scale, up: AccuracyScale) -> Diagonal:
    rate = f"{diagonal['effective_learning_rate']:.3g}"
    rows = zip(diagonal["cells"], diagonal["momentum"], diagonal["mean"], strict=True)
    spots = [
        Spot(
            across(math.log10(1 - momentum)),
            up(mean),
            f"effective learning rate {rate}, {wording.point(cells[cell]['learning_rate'], momentum)}: "
            f"mean accuracy {wording.percent(mean)} of {wording.count(cells[cell]['n'], 'training')}",
        )
        for cell, momentum, mean in rows
    ]
    return Diagonal(
        prescribed=0 in diagonal["cells"],
        points=" ".join(f"{spot.x:g},{spot.y:g}" for spot in spots),
        spots=tuple(spots),
        title=f"effective learning rate {rate}",
    )
