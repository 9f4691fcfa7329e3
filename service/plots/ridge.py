"""Does momentum matter at a fixed effective learning rate? The cells of each effective rate, joined by lines."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from service.names import prescribed_name
from service.plots.scene import Scene
from service.plots.style import INK, LANDSCAPE, STAR, figure, heading, momentum_axis, rate_marks, shortfall_marks


def draw_ridge(scene: Scene) -> Figure:
    """Shortfall from the best cell against momentum along diagonals of one effective learning rate each."""
    ridge = scene.comparison["ridge"]
    best = scene.means[scene.comparison["best"]["cell"]]
    assert best is not None, "diagonals come with a best cell"
    margin = 100 * scene.comparison["margin"]
    here = ridge["prescribed"]
    drawn = figure(8.2, 4.8)
    axes = drawn.subplots()
    axes.set_xscale("log")
    rates = [diagonal["effective_learning_rate"] for diagonal in ridge["diagonals"]]
    norm = LogNorm(min(rates) / 1.001, max(rates) * 1.001)  # a single rate would leave no range
    for diagonal in ridge["diagonals"]:
        if here is None or diagonal["cells"] != here["cells"]:
            colour = LANDSCAPE(norm(diagonal["effective_learning_rate"]))
            _diagonal(axes, diagonal, best, color=colour, linewidth=1.0, markersize=3.5)
    if here is not None:
        _prescribed(axes, scene, here, best)
    _axes(axes, ridge["diagonals"], best, margin)
    bar = drawn.colorbar(ScalarMappable(norm, LANDSCAPE), ax=axes, fraction=0.04, pad=0.02)
    bar.set_label("effective learning rate of a line", fontsize=8)
    marks = rate_marks(min(rates), max(rates))
    bar.set_ticks(marks, labels=[f"{mark:g}" for mark in marks])
    bar.minorticks_off()
    heading(
        drawn,
        axes,
        f"{scene.study['name']}: momentum at a fixed effective learning rate",
        f"{_told(ridge)}; n = {scene.n} paired replicates",
    )
    return drawn


def _diagonal(axes: Axes, diagonal: Mapping[str, Any], best: float, **style: Any) -> None:
    rests = [1 - momentum for momentum in diagonal["momentum"]]
    axes.plot(rests, [100 * (best - mean) for mean in diagonal["mean"]], marker="o", **style)


def _prescribed(axes: Axes, scene: Scene, diagonal: Mapping[str, Any], best: float) -> None:
    """The prescribed point's own line, with one standard error of each mean."""
    errors = []
    for index in diagonal["cells"]:
        cell = scene.cells[index]
        errors.append(0.0 if cell["std"] is None else 100 * cell["std"] / np.sqrt(cell["n"]))
    rests = np.array([1 - momentum for momentum in diagonal["momentum"]])
    shortfalls = np.array([100 * (best - mean) for mean in diagonal["mean"]])
    rate = f"{diagonal['effective_learning_rate']:.3g}"
    label = f"at the prescribed effective rate, {rate}; bars: one standard error of each mean"
    axes.errorbar(rests, shortfalls, errors, color=INK, linewidth=2.2, marker="o", markersize=6, capsize=3, label=label)
    point = scene.comparison["prescribed"]
    place = ([1 - point["momentum"]], [100 * (best - point["mean"])])
    (star,) = axes.plot(*place, "*", markersize=15, zorder=5, label=prescribed_name(point["label"]))
    star.set_markerfacecolor(STAR)
    star.set_markeredgecolor(INK)


def _axes(axes: Axes, diagonals: list[Mapping[str, Any]], best: float, margin: float) -> None:
    rests = [1 - momentum for diagonal in diagonals for momentum in diagonal["momentum"]]
    largest = max(100 * (best - mean) for diagonal in diagonals for mean in diagonal["mean"])
    axes.set_xlim(max(rests) * 1.15, min(rests) / 1.15)
    momentum_axis(axes.xaxis, min(rests) / 1.15, max(rests) * 1.15)
    axes.set_yscale("symlog", linthresh=margin, linscale=1.0)
    axes.set_ylim(1.3 * max(largest, 2 * margin), -0.4 * margin)
    marks = shortfall_marks(margin, max(largest, 2 * margin))
    axes.set_yticks(marks, labels=[f"{mark:g}" for mark in marks])
    axes.set_yticks([], minor=True)
    axes.set_ylabel("points below the best cell\n(linear up to the margin, logarithmic beyond)")
    axes.axhspan(0, margin, color="#009e73", alpha=0.12, linewidth=0, label="within the margin")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=1)


def _told(ridge: Mapping[str, Any]) -> str:
    """What the paired test says, in words."""
    if ridge["matters"] is None:
        return "no test possible of whether momentum matters at the prescribed effective rate"
    found = "momentum matters" if ridge["matters"] else "no sign that momentum matters"
    return f"{found} at the prescribed effective rate (p = {ridge['p_value']:.2g})"
