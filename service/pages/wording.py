"""Numbers, times and durations as a person reads them."""

import math
from dataclasses import dataclass

NOTHING = "–"
"""What stands where there is no number."""
MINUS = "−"


@dataclass(frozen=True)
class Fact:
    """A number on a page, with what it says when it is pointed at."""

    text: str
    meaning: str
    """What was measured, over how many trainings."""

    def __post_init__(self) -> None:
        if not (self.text and self.meaning):
            raise ValueError(f"a fact needs a text and a meaning, got {self.text!r} and {self.meaning!r}")


def percent(share: float | None) -> str:
    """A share in [0, 1] as percent with two decimals."""
    return NOTHING if share is None else f"{100 * share:.2f} %"


def points(share: float | None) -> str:
    """A difference of shares as percentage points with two decimals, a minus sign where it is negative."""
    return NOTHING if share is None else f"{100 * share:.2f}".replace("-", MINUS)


def signed(share: float | None) -> str:
    """As `points`, with a plus sign too."""
    return NOTHING if share is None else f"{100 * share:+.2f}".replace("-", MINUS)


def level(confidence: float) -> str:
    """A confidence in percent."""
    return f"{100 * confidence:.4g} %"


def learning_rate(value: float) -> str:
    """A learning rate with three significant digits."""
    return f"{value:.3g}"


def momentum(value: float) -> str:
    """A momentum in [0, 1) with enough digits that 1 - momentum keeps two."""
    if value == 0:
        return "0"
    digits = max(3, 1 + math.ceil(-math.log10(1 - value)))
    return f"{value:.{digits}f}".rstrip("0")


def point(rate: float, alpha: float) -> str:
    """A learning rate and a momentum."""
    return f"({learning_rate(rate)}, {momentum(alpha)})"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """A duration in its two largest units."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h"


def moment(text: str | None) -> str:
    """A time of the API (ISO 8601, UTC) to the minute."""
    return NOTHING if text is None else f"{text[:10]} {text[11:16]} UTC"
