"""Replicates as dots: the spread of the trainings behind each mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.pages import wording
from service.pages.contenders import Contender
from service.pages.scale import AccuracyScale, Frame

MOST_DOTS = 400
"""In the whole figure."""
WIDTH, LEFT, RIGHT, TOP, BELOW = 440.0, 10.0, 10.0, 6.0, 40.0
ROW = 52.0
"""Height of one contender's strip."""
HEADING = 16.0
RADIUS = 3.0


@dataclass(frozen=True)
class Dot:
    """One training, or an even share of many."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Strip:
    """One contender."""

    index: int
    """which colour"""
    who: str
    at: str
    text_y: float
    line_y: float
    bottom_y: float
    mean_x: float
    mean_title: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Dots:
    """Everything that the drawing needs."""

    frame: Frame
    strips: tuple[Strip, ...]
    radius: float
    each: str
    """what one dot stands for"""


def dots(contenders: Sequence[Contender]) -> Dots:
    """Draw the replicates.

    Args:
        contenders: at least one.
    """
    most = MOST_DOTS // len(contenders)
    everything = [float(score) for one in contenders for score in one.accuracy]
    across = AccuracyScale.around(everything, LEFT, WIDTH - RIGHT)
    bottom = TOP + ROW * len(contenders)
    frame = Frame(
        width=WIDTH,
        height=bottom + BELOW,
        left=LEFT,
        top=TOP,
        right=WIDTH - RIGHT,
        bottom=bottom,
        across=across.ticks(),
        up=(),
        across_title="accuracy after the last epoch, %",
        up_title="",
    )
    strips = tuple(_strip(index, one, most, across) for index, one in enumerate(contenders))
    fits = all(len(one.accuracy) <= most for one in contenders)
    each = "one training" if fits else f"an even share of the trainings, at most {most} dots a row"
    return Dots(frame, strips, RADIUS, each)


def _strip(index: int, contender: Contender, most: int, across: AccuracyScale) -> Strip:
    scores = contender.accuracy
    n = len(scores)
    shown = scores if n <= most else np.quantile(scores, (np.arange(most) + 0.5) / most)
    top = TOP + ROW * index
    middle = top + HEADING + (ROW - HEADING) / 2
    places = _swarm([across(float(score)) for score in shown])
    mean = float(scores.mean())
    return Strip(
        index=index,
        who=contender.who,
        at=contender.at,
        text_y=top + HEADING - 4,
        line_y=top,
        bottom_y=top + ROW - 2,
        mean_x=across(mean),
        mean_title=f"{contender.who}: mean {wording.percent(mean)} of {wording.count(n, 'training')}",
        dots=tuple(
            Dot(x, round(middle + y, 1), f"{contender.who}: {wording.percent(float(score))}")
            for (x, y), score in zip(places, shown, strict=True)
        ),
    )


def _swarm(places: Sequence[float]) -> list[tuple[float, float]]:
    """Move dots that would overlap up and down in turn, within their strip.

    Args:
        places: ascending.
    """
    levels = [0.0]
    for step in range(1, int((ROW - HEADING) / 2 / (2 * RADIUS - 1)) + 1):
        levels += [step * (2 * RADIUS - 1), -step * (2 * RADIUS - 1)]
    last = dict.fromkeys(levels, -1e9)
    moved = []
    for x in places:
        level = next((level for level in levels if x - last[level] >= 2 * RADIUS), None)
        if level is None:  # no seat is free: the one whose last dot is farthest away
            level = min(levels, key=lambda one: last[one])
        last[level] = x
        moved.append((x, level))
    return moved
