"""The differences of two studies with their intervals, around zero."""

from dataclasses import dataclass

from service.pages import wording
from service.pages.scale import Frame, Scale, Tick, linear_values, spread
from studies.documents.pair import PairDifferenceDocument, PairDocument

WIDTH, LEFT, RIGHT, TOP, BELOW = 440.0, 10.0, 10.0, 22.0, 40.0
ROW = 46.0
LEAST_REACH = 0.0005
"""The axis reaches at least so far to both sides: 0.05 points."""


@dataclass(frozen=True)
class DifferenceBar:
    """One difference."""

    name: str
    value: str
    meaning: str
    top: float
    text_y: float
    y: float
    point: float
    ends: tuple[float, float] | None
    """places of the limits; None with one replicate"""


@dataclass(frozen=True)
class Differences:
    """Everything that the drawing needs."""

    frame: Frame
    bars: tuple[DifferenceBar, ...]
    zero: float


def differences(answer: PairDocument) -> Differences:
    """Draw what a comparison of two studies found."""
    found = [("at the prescribed points", answer["prescribed"]["difference"])]
    if answer["best"] is not None:
        found.append(("each at its own best cell", answer["best"]["difference"]))
    across = _scale([difference for _, difference in found])
    bars = tuple(_bar(row, name, one, answer["confidence"], across) for row, (name, one) in enumerate(found))
    bottom = TOP + ROW * len(bars)
    ticks = [Tick(across(value), _tick(value)) for value in linear_values(across.low, across.high, 6)]
    frame = Frame(
        width=WIDTH,
        height=bottom + BELOW,
        left=LEFT,
        top=TOP,
        right=WIDTH - RIGHT,
        bottom=bottom,
        across=spread(ticks, 34),
        up=(),
        across_title="B is better  ←  A minus B, points of accuracy  →  A is better",
        up_title="",
    )
    return Differences(frame, bars, across(0))


def _scale(found: list[PairDifferenceDocument]) -> Scale:
    """From the least limit to the greatest, with zero inside."""
    ends = [end for one in found for end in (one["estimate"], one["low"], one["high"]) if end is not None]
    low, high = min(*ends, -LEAST_REACH), max(*ends, LEAST_REACH)
    room = 0.04 * (high - low)
    return Scale(low - room, high + room, LEFT, WIDTH - RIGHT)


def _tick(value: float) -> str:
    return f"{100 * round(value, 12):g}".replace("-", wording.MINUS)


def _bar(row: int, name: str, one: PairDifferenceDocument, confidence: float, across: Scale) -> DifferenceBar:
    estimate, low, high = one["estimate"], one["low"], one["high"]
    value, ends = wording.signed(estimate), None
    told = "no limits: there is one replicate only"
    if low is not None and high is not None:
        value += f" ({wording.signed(low)} to {wording.signed(high)})"
        ends = across(low), across(high)
        told = f"{wording.level(confidence)} limits"
    meaning = f"{name}: A minus B is {value} points; {told}; {wording.count(one['n'], 'paired replicate')}"
    top = TOP + ROW * row
    return DifferenceBar(name, value, meaning, top, top + 15, top + 32, across(estimate), ends)
