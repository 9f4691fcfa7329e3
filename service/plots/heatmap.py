"""The landscape: how far each cell is below the best one, on one footing, over learning rate and momentum."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from service.plots.lattice import Lattice, lattice
from service.plots.scene import Contender, Scene, contenders
from service.plots.style import (
    INK,
    LANDSCAPE,
    MARKERS,
    STAR,
    figure,
    heading,
    momentum_axis,
    rate_marks,
    shortfall_marks,
    shortfall_norm,
)

DASHED = (0, (4, 3))
BLANK = "#e4e4e4"
SET_COLOUR = "#d55e00"
MOST_NUMBERED = 130
"""Cells of a grid that are small enough to bear no number beyond this many."""
PALE = 0.5
"""Share of the colour scale above which dark ground calls for white signs."""


@dataclass(frozen=True)
class _Shade:
    """Colours for shortfalls."""

    colours: Colormap
    norm: SymLogNorm
    best: float
    """The highest mean of any cell."""

    def points(self, mean: float) -> float:
        """Shortfall in points of accuracy."""
        return 100 * (self.best - mean)

    def dark(self, mean: float) -> bool:
        """Whether the colour is dark."""
        return bool(self.norm(self.points(mean)) > PALE)

    def colour(self, mean: float | None) -> Any:
        """The colour of a cell."""
        return BLANK if mean is None else self.colours(self.norm(self.points(mean)))


def draw_heatmap(scene: Scene) -> Figure:
    """The landscape with the prescribed point, the best cell, the references, the confidence set and the line of equal
    effective learning rate."""
    grid = lattice(scene.cells)
    shade = _shade(scene)
    drawn = figure(8.6, 5.6)
    axes = drawn.subplots()
    _limits(axes, scene, grid)
    _fields(axes, scene, grid, shade)
    _equal_rate(axes, scene.comparison["prescribed"]["effective_learning_rate"])
    members = set(scene.comparison["confidence_set"]["cells"])
    _outline(axes, grid, members)
    _scale(drawn, axes, scene, shade)
    _marks(drawn, axes, scene, shade, members)
    what = f"accuracy after {scene.study['spec']['epochs']} epochs, shortfall from the best cell"
    counts = sorted({cell["n"] for cell in scene.cells})
    n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    heading(
        drawn,
        axes,
        f"{scene.study['name']}: the landscape",
        f"{what}; n = {n} trainings in each of {len(scene.cells)} cells",
    )
    return drawn


def _shade(scene: Scene) -> _Shade:
    means = [mean for mean in scene.means if mean is not None]
    best = max(means)
    margin = 100 * scene.comparison["margin"]
    return _Shade(LANDSCAPE.reversed(), shortfall_norm(margin, 100 * (best - min(means))), best)


def _limits(axes: Axes, scene: Scene, grid: Lattice) -> None:
    """Show the whole grid and every cell off it, the highest momentum on top."""
    rates = [*grid.rate_edges, *(cell["learning_rate"] for cell in scene.cells if not cell["in_grid"])]
    rests = [*grid.remainder_edges, *(1 - cell["momentum"] for cell in scene.cells if not cell["in_grid"])]
    room = 1.25  # so that no mark is cut
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(min(rates) / room, max(rates) * room)
    axes.set_ylim(max(rests) * room, min(rests) / room)
    marks = rate_marks(min(rates), max(rates))
    axes.set_xticks(marks, labels=[f"{mark:g}" for mark in marks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("learning rate")
    momentum_axis(axes.yaxis, min(rests) / room, max(rests) * room)


def _fields(axes: Axes, scene: Scene, grid: Lattice, shade: _Shade) -> None:
    footed = scene.means
    means = np.array([[_number(footed[cell]) for cell in row] for row in grid.cells])
    shortfalls = np.ma.masked_invalid(100 * (shade.best - means))
    axes.set_facecolor("white")
    edges = np.array(grid.rate_edges), np.array(grid.remainder_edges)
    axes.pcolormesh(*edges, shortfalls, cmap=shade.colours, norm=shade.norm, edgecolors="white", linewidth=0.4)
    if sum(map(len, grid.cells)) > MOST_NUMBERED:
        return
    low = (grid.remainder_edges[1] / grid.remainder_edges[0]) ** 0.3  # below the mark, within the field
    marked = {contender.cell for contender in contenders(scene.comparison)}
    for row, rest in zip(grid.cells, grid.remainders, strict=True):
        for index, rate in zip(row, grid.rates, strict=True):
            cell, mean = scene.cells[index], footed[index]
            if mean is None:
                axes.text(rate, rest, "–", ha="center", va="center", color=INK, fontsize=7)
                continue
            told = f"{100 * mean:.1f}" + (f"\n{cell['diverged']}✗" if cell["diverged"] else "")
            colour = "white" if shade.dark(mean) else INK
            place = (rate, rest * low) if index in marked else (rate, rest)
            axes.text(place[0], place[1], told, ha="center", va="center", color=colour, fontsize=6.5, zorder=5)


def _outline(axes: Axes, grid: Lattice, members: set[int]) -> None:
    """The border of the confidence set, with a pale rim so that it stands out on every ground."""
    border = grid.outline(members)
    for colour, width in (("white", 4.4), (SET_COLOUR, 2.2)):
        lines = LineCollection(border, colors=colour, linewidths=width, capstyle="projecting", zorder=3)
        axes.add_collection(lines)


def _equal_rate(axes: Axes, effective: float) -> None:
    """The line on which learning rate / (1 - momentum) is that of the prescribed point."""
    low, high = axes.get_xlim()
    axes.plot([low, high], [low / effective, high / effective], color=INK, linewidth=1, linestyle=DASHED, zorder=4)


def _marks(drawn: Figure, axes: Axes, scene: Scene, shade: _Shade, members: set[int]) -> None:
    """The cells that a reader looks for; those off the grid with a field of their own."""
    for cell, mean in zip(scene.cells, scene.means, strict=True):
        if not cell["in_grid"]:
            edge, width = (SET_COLOUR, 2.0) if cell["cell"] in members else ("#888888", 0.8)
            place = ([cell["learning_rate"]], [1 - cell["momentum"]])
            axes.scatter(*place, s=260, c=[shade.colour(mean)], edgecolors=edge, linewidths=width, zorder=5)
    handles = []
    marks = iter(MARKERS * len(scene.cells))
    for contender in contenders(scene.comparison):
        cell = scene.cells[contender.cell]
        style = _style(contender, marks)
        place = ([cell["learning_rate"]], [1 - cell["momentum"]])
        (handle,) = axes.plot(*place, linestyle="none", markeredgecolor=INK, zorder=6, label=contender.name, **style)
        handles.append(handle)
    handles.append(Line2D([], [], color=SET_COLOUR, linewidth=2.0))
    handles.append(Line2D([], [], color=INK, linewidth=1, linestyle=DASHED))
    share = scene.comparison["confidence_set"]["share"]
    told = f"{100 * scene.comparison['confidence']:g} % confidence set of the best"
    names = [contender.name for contender in contenders(scene.comparison)]
    names.append(told if share is None else f"{told},\n{100 * share:.0f} % of the box")
    names.append("effective learning rate\nof the prescribed point")
    drawn.legend(handles, names, loc="outside right upper", labelspacing=0.9)


def _style(contender: Contender, marks: Iterator[str]) -> dict[str, Any]:
    if contender.role == "prescribed":
        return {"marker": "*", "markersize": 13, "markerfacecolor": STAR, "markeredgewidth": 1.0}
    if contender.role == "best":
        return {"marker": "D", "markersize": 9, "markerfacecolor": "none", "markeredgewidth": 2.0}
    return {"marker": next(marks), "markersize": 6.5, "markerfacecolor": "white", "markeredgewidth": 1.0}


def _scale(drawn: Figure, axes: Axes, scene: Scene, shade: _Shade) -> None:
    largest = float(shade.norm.vmax or 0.0)
    marks = shortfall_marks(100 * scene.comparison["margin"], largest)
    bar = drawn.colorbar(ScalarMappable(shade.norm, shade.colours), ax=axes, fraction=0.04, pad=0.02)
    bar.set_ticks(marks, labels=[f"{mark:g}" for mark in marks])
    bar.ax.invert_yaxis()
    bar.set_label("points below the best cell (linear up to the margin, logarithmic beyond)", fontsize=8)
    bar.minorticks_off()


def _number(value: float | None) -> float:
    return np.nan if value is None else value
