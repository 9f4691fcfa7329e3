"""Scales of the figures: from a value to a place in the drawing, with marks at round values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

ROUND = (1.0, 2.0, 5.0)
ACCURACIES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999)
"""Marks of an accuracy axis, in about equal steps of log10(1 - accuracy)."""
ROUNDING = 1e-9
"""Errors below it are rounding of none."""
PERFECT = 0.5
"""A perfect score has no place on such an axis: it is drawn at this share of the least error that is shown."""
LEAST_GAP = 26.0
"""Units of the drawing that two marks keep apart."""


@dataclass(frozen=True)
class Tick:
    """One mark of an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Scale:
    """A linear map from [low, high] to [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a scale needs finite low < high, got {self.low} and {self.high}")

    def __call__(self, value: float) -> float:
        """The place of a value, to a tenth of a unit."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def holds(self, value: float) -> bool:
        """Whether a value lies within it."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Frame:
    """The rectangle of a plot with its axes, in units of the drawing."""

    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    across_title: str
    up_title: str

    @property
    def middle(self) -> float:
        """Half way between left and right."""
        return (self.left + self.right) / 2

    @property
    def centre(self) -> float:
        """Half way between top and bottom."""
        return (self.top + self.bottom) / 2

    @property
    def width_inside(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height_inside(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top


def spread(ticks: Sequence[Tick], gap: float = LEAST_GAP) -> tuple[Tick, ...]:
    """Those marks that keep a gap from the one before."""
    kept: list[Tick] = []
    for tick in sorted(ticks, key=lambda tick: tick.at):
        if not kept or tick.at - kept[-1].at >= gap:
            kept.append(tick)
    return tuple(kept)


def round_values(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten in [low, high]; low > 0."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [float(f"{digit:g}e{decade}") for decade in decades for digit in ROUND]
    return [value for value in values if low <= value <= high]


def linear_step(width: float, steps: int = 4) -> float:
    """The round step that divides a width into about so many."""
    rough = width / steps
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(digit * power for digit in (*ROUND, 10.0) if digit * power >= rough))


def linear_values(low: float, high: float, steps: int = 4) -> list[float]:
    """Round values in [low, high]."""
    step = linear_step(high - low, steps)
    return [step * k for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class AccuracyScale:
    """Accuracies spaced by log10(1 - accuracy), so that 99.0 and 99.5 % stay as far apart as 80 and 90 %."""

    scale: Scale
    floor: float
    """errors below it are drawn at it, > 0"""

    @classmethod
    def around(cls, accuracies: Sequence[float], start: float, end: float) -> "AccuracyScale":
        """The scale that holds these accuracies, at least one, with a little room."""
        floor = PERFECT * min((1 - accuracy for accuracy in accuracies if 1 - accuracy > ROUNDING), default=0.01)
        values = [_stretched(accuracy, floor) for accuracy in accuracies]
        low, high = min(values), max(values)
        room = max(0.05 * (high - low), 0.02)
        return cls(Scale(max(0.0, low - room), high + room, start, end), floor)

    def __call__(self, accuracy: float) -> float:
        """The place of an accuracy in [0, 1]."""
        return self.scale(_stretched(accuracy, self.floor))

    def ticks(self) -> tuple[Tick, ...]:
        """Marks at round accuracies, from the best down, so that the crowded lower ones give way."""
        low, high = 1 - 10**-self.scale.low, 1 - 10**-self.scale.high
        found = [accuracy for accuracy in ACCURACIES if low <= accuracy <= high]
        if len(found) < 3:
            found = linear_values(low, high, 6)
        return spread([Tick(self(value), f"{100 * value:.6g}") for value in found])


def _stretched(accuracy: float, floor: float) -> float:
    return -math.log10(max(floor, 1 - accuracy))
