"""One look for all pictures, and how a figure becomes bytes that are the same for the same data."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, SymLogNorm
from matplotlib.figure import Figure

SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "goldenbench",  # the ids in an SVG are otherwise random
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and copied
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],  # the first comes with matplotlib and measures all text
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "text.parse_math": False,  # a study's name may hold a dollar sign
}
DOTS_PER_INCH = 160
INK = "#1a1a1a"
STAR = "#f0e442"
"""Of the prescribed point."""
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a7a7a")
"""Okabe and Ito's colours, which readers with any colour vision can tell apart; yellow is too pale on white."""
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (9, 2)), (0, (9, 2, 2, 2)))
MARKERS = ("s", "^", "v", "P", "X", "p", "h", "<", ">", "8")
"""Of the references, in order; the prescribed point is a star, the best cell a diamond."""
LANDSCAPE = LinearSegmentedColormap.from_list("landscape", mpl.colormaps["viridis"](np.linspace(0.0, 0.95, 256)))
"""Viridis, which keeps its order for any colour vision and in grey, without the yellow that is too pale for lines."""
MOMENTA = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
"""Momenta that an axis may name."""


@contextmanager
def look() -> Iterator[None]:
    """The common style, whatever this machine's own settings of matplotlib are."""
    with style.context(SETTINGS, after_reset=True), warnings.catch_warnings():
        # A study's name may hold signs that DejaVu lacks; the reader's own fonts have them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def figure(width: float, height: float) -> Figure:
    """An empty figure, without any display.

    Args:
        width, height: inches.
    """
    return Figure(figsize=(width, height), layout="constrained")


def encode(drawn: Figure, form: str, title: str) -> bytes:
    """A figure as `svg` or `png`, without date and with a title for screen readers."""
    file = io.BytesIO()
    if form == "svg":
        drawn.savefig(file, format="svg", metadata={"Title": title, "Creator": "goldenbench", "Date": None})
    else:
        drawn.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Title": title, "Software": "goldenbench"})
    return file.getvalue()


def momentum_axis(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis of 1 - momentum with momenta.

    Args:
        axis: whose values are 1 - momentum.
        low, high: range of 1 - momentum that is shown, 0 < low < high.
    """
    shown = [momentum for momentum in MOMENTA if low <= 1 - momentum <= high]
    axis.set_ticks([1 - momentum for momentum in shown], labels=[f"{momentum:g}" for momentum in shown])
    axis.set_ticks([], minor=True)
    axis.set_label_text("momentum (spaced by log(1 − momentum))")


def rate_marks(low: float, high: float) -> list[float]:
    """Learning rates 1, 2, 5 times powers of ten within a range; only the powers where it is wide."""
    exponents = range(-12, 8)
    steps = (1, 2, 5) if high < 300 * low else (1,)
    return [step * 10.0**k for k in exponents for step in steps if low <= step * 10.0**k <= high]


def shortfall_norm(margin: float, largest: float) -> SymLogNorm:
    """The scale of shortfalls: linear up to the margin, logarithmic beyond, so that a cliff hides no plateau.

    Args:
        margin: of the claim, in points.
        largest: shortfall that has to be shown, in points.
    """
    return SymLogNorm(linthresh=margin, linscale=1.0, vmin=0.0, vmax=max(largest, 2 * margin), base=10)


def shortfall_marks(margin: float, largest: float) -> list[float]:
    """Shortfalls in points that a scale names: 0, the margin, and powers of ten and their threefold beyond it."""
    beyond = [step * 10.0**k for k in range(-4, 3) for step in (1, 3)]
    return [0.0, margin, *(mark for mark in beyond if 1.5 * margin < mark <= 1.02 * largest)]


def heading(drawn: Figure, axes: Axes, title: str, subtitle: str) -> None:
    """What the picture shows, above it."""
    drawn.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    axes.set_title(subtitle, loc="left", fontsize=8.5, color="#444444")
