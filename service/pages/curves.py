"""Learning curves: the mean accuracy after each epoch, and the band that holds the middle of the trainings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from service.curves import HIGH, LOW, Band, Column
from service.pages import wording
from service.pages.contenders import Contender
from service.pages.scale import AccuracyScale, Frame, Scale, Tick, linear_values, spread

MIDDLE = f"the middle {100 * (HIGH - LOW):.0f} %"
MOST_POINTS = 120
"""Epochs that are drawn; others are left out at even steps."""
MOST_STOPS = 20
"""Epochs that can be pointed at."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BELOW = 440.0, 330.0, 46.0, 8.0, 10.0, 40.0


@dataclass(frozen=True)
class Stop:
    """A place on a line that can be pointed at."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Series:
    """One contender's curve."""

    index: int
    """which colour and dash"""
    who: str
    at: str
    meaning: str
    line: str
    """points of the mean"""
    band: str
    """points around the middle; empty with a single training"""
    stops: tuple[Stop, ...]


@dataclass(frozen=True)
class Curves:
    """Everything that the drawing needs."""

    frame: Frame
    series: tuple[Series, ...]
    middle: str
    """which share of the trainings a band holds"""


def curves(contenders: Sequence[Contender]) -> Curves:
    """Draw the learning curves.

    Args:
        contenders: at least one.
    """
    epochs = len(contenders[0].band.accuracy)
    shown = evenly(epochs, MOST_POINTS)
    everything = [value for one in contenders for at in shown for value in _at(one.band, at)]
    up = AccuracyScale.around(everything, HEIGHT - BELOW, TOP)
    across = Scale(1, max(2, epochs), LEFT, WIDTH - RIGHT)
    whole = [value for value in linear_values(1, max(2, epochs), 6) if value == int(value)]
    frame = Frame(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        top=TOP,
        right=WIDTH - RIGHT,
        bottom=HEIGHT - BELOW,
        across=spread([Tick(across(value), f"{value:g}") for value in sorted({1.0, *whole})]),
        up=up.ticks(),
        across_title="epoch",
        up_title="accuracy, %",
    )
    series = (_series(index, one, shown, across, up) for index, one in enumerate(contenders))
    return Curves(frame, tuple(series), MIDDLE)


def evenly(count: int, most: int) -> list[int]:
    """At most so many indices below a count, at even steps, the first and the last among them."""
    return sorted({int(at) for at in np.linspace(0, count - 1, min(count, most)).round()})


def _at(band: Band, epoch: int) -> tuple[float, float, float]:
    """Low, mean and high of one epoch."""
    return _value(band.accuracy_low, epoch), _value(band.accuracy, epoch), _value(band.accuracy_high, epoch)


def _value(column: Column, epoch: int) -> float:
    found = column[epoch]
    if found is None:
        raise ValueError(f"an accuracy is known after every epoch, a diverged training's too; not after {epoch + 1}")
    return found


def _series(index: int, contender: Contender, shown: Sequence[int], across: Scale, up: AccuracyScale) -> Series:
    band = contender.band
    low, mean, high = (
        [(across(epoch + 1), up(value)) for epoch, value in zip(shown, values, strict=True)]
        for values in zip(*(_at(band, epoch) for epoch in shown), strict=True)
    )
    trainings = wording.count(band.n, "training")
    return Series(
        index=index,
        who=contender.who,
        at=contender.at,
        meaning=f"mean and {MIDDLE} of {trainings}" if band.n > 1 else "a single training",
        line=_points(mean),
        band=_points([*high, *reversed(low)]) if band.n > 1 else "",
        stops=tuple(_stops(contender, shown, mean)),
    )


def _stops(contender: Contender, shown: Sequence[int], places: Sequence[tuple[float, float]]) -> Iterator[Stop]:
    for at in evenly(len(shown), MOST_STOPS):
        low, mean, high = map(wording.percent, _at(contender.band, shown[at]))
        n = contender.band.n
        basis = f"mean of {n:,} trainings; {MIDDLE}: {low} to {high}" if n > 1 else "a single training"
        yield Stop(*places[at], f"{contender.who}, epoch {shown[at] + 1}: {mean} ({basis})")


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)
