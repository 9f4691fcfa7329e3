"""The estimates of the regret side by side: as it stands, cross-fitted, and the intervals beside the margin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.pages import wording
from service.pages.scale import Frame, Scale, Tick, linear_values, spread
from service.schemas.studies import ComparisonDocument
from studies.documents.comparison import PopulationDocument, RegretDocument

WIDTH, LEFT, RIGHT, TOP, BELOW = 440.0, 10.0, 10.0, 26.0, 40.0
ROW = 46.0
HALF_TEXT = 36.0
"""Half the width of the margin's text."""
MARGINS_SHOWN = 1.6
"""The axis reaches at least this many margins."""


@dataclass(frozen=True)
class Bar:
    """One estimate or interval."""

    name: str
    value: str
    meaning: str
    top: float
    text_y: float
    y: float
    point: float | None
    """place of the estimate"""
    hollow: bool
    """a biased estimate"""
    ends: tuple[float, float] | None
    """places of an interval's limits"""
    open: bool
    """whether the interval has no upper end"""
    strong: bool
    """the interval that the verdict is read from"""


@dataclass(frozen=True)
class Estimates:
    """Everything that the drawing needs."""

    frame: Frame
    bars: tuple[Bar, ...]
    zero: float
    margin: float
    margin_width: float
    """from zero to the margin"""
    margin_text: str
    margin_text_x: float


def estimates(answer: ComparisonDocument) -> Estimates | None:
    """Draw the estimates of a comparison; None while it has none."""
    regret, margin = answer["regret"], answer["margin"]
    if regret["estimate"] is None:
        return None
    across = _scale(answer)
    bars = tuple(_bars(answer, across))
    zero, edge = across(0), across(margin)
    frame = _frame(across, len(bars))
    text_x = min(max(edge, frame.left + HALF_TEXT), frame.right - HALF_TEXT)
    return Estimates(frame, bars, zero, edge, round(edge - zero, 1), f"margin {wording.points(margin)}", text_x)


def _scale(answer: ComparisonDocument) -> Scale:
    """From the least of the estimates to the greatest, with zero and the margin inside."""
    regret, new_data = answer["regret"], answer["populations"]["new_data"]
    ends = [regret["estimate"], regret["high"], MARGINS_SHOWN * answer["margin"]]
    ends += [regret["cross_fitted"], None if new_data is None else new_data["high"]]
    high = max(end for end in ends if end is not None)
    low = min(0.0, regret["cross_fitted"] or 0.0)
    room = 0.04 * (high - low)
    return Scale(low - room, high + room, LEFT, WIDTH - RIGHT)


def _bars(answer: ComparisonDocument, across: Scale) -> Iterator[Bar]:
    regret, populations = answer["regret"], answer["populations"]
    seeds, new_data = populations["seeds"], populations["new_data"]
    assert seeds is not None, "it is there with the first replicate"
    n = wording.count(answer["n"], "paired replicate")
    sure = wording.level(answer["level"])
    biased = f"the best cell's mean minus the prescribed point's, {n}; a winner chosen by luck makes it too large"
    yield _point(0, "as it stands (biased upwards)", regret["estimate"], biased, across, hollow=True)
    fair = f"the best cell is chosen on one half of the {n} and measured on the other; may be negative"
    yield _point(1, "cross-fitted", regret["cross_fitted"], fair, across)
    told = f"the verdict is read from it; it speaks for {seeds['speaks_for']}; {n}"
    yield _interval(2, f"{sure} interval", regret, told, across, strong=True)
    if new_data is not None:
        told = f"a rule of thumb that the verdict does not use; it speaks for {new_data['speaks_for']}; {n}"
        yield _interval(3, f"{sure} interval for new data", new_data, told, across)


def _frame(across: Scale, rows: int) -> Frame:
    bottom = TOP + ROW * rows
    ticks = [Tick(across(value), f"{100 * value:g}".replace("-", wording.MINUS)) for value in _marks(across)]
    return Frame(
        width=WIDTH,
        height=bottom + BELOW,
        left=LEFT,
        top=TOP,
        right=WIDTH - RIGHT,
        bottom=bottom,
        across=spread(ticks, 34),
        up=(),
        across_title="what the prescribed point loses to the best cell, points of accuracy",
        up_title="",
    )


def _marks(across: Scale) -> Sequence[float]:
    return [round(value, 12) for value in linear_values(across.low, across.high, 6)]


def _point(index: int, name: str, value: float | None, told: str, across: Scale, hollow: bool = False) -> Bar:
    text = wording.points(value)
    at = None if value is None else across(value)
    return _bar(index, name, text, told, point=at, hollow=hollow)


def _interval(
    index: int, name: str, span: RegretDocument | PopulationDocument, told: str, across: Scale, strong: bool = False
) -> Bar:
    low, high = span["low"], span["high"]
    assert low is not None, "the interval of a regret has a lower limit, 0 at the least"
    text = f"{wording.points(low)} to {'no upper limit' if high is None else wording.points(high)}"
    ends = (across(low), across(across.high if high is None else high))
    return _bar(index, name, text, told, ends=ends, open=high is None, strong=strong)


def _bar(
    index: int,
    name: str,
    value: str,
    told: str,
    *,
    point: float | None = None,
    ends: tuple[float, float] | None = None,
    hollow: bool = False,
    open: bool = False,
    strong: bool = False,
) -> Bar:
    top = TOP + ROW * index
    return Bar(
        name, value, f"{name}: {value} points; {told}", top, top + 15, top + 32, point, hollow, ends, open, strong
    )
