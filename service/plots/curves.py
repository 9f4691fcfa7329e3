"""Learning curves of the prescribed point, the best cell and the references, with the spread of their replicates."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from service.curves import HIGH, LOW, Band, Column
from service.plots.scene import Scene, contenders
from service.plots.style import DASHES, PALETTE, figure, heading

LEAST_SHARE = 0.5
"""An error of zero has no place on a logarithmic axis: it is drawn at this share of the least error that is shown."""


def draw_curves(scene: Scene) -> Figure:
    """Test error and training loss by epoch: lines are means, bands hold the middle 80 % of the replicates."""
    shown = _shown(scene)
    drawn = figure(9.4, 4.4)
    left, right = drawn.subplots(1, 2)
    errors = [value for _, band in shown for value in _present(_errors(band.accuracy_high))]
    floor = LEAST_SHARE * min((value for value in errors if value > 0), default=1.0)
    for place, (name, band) in enumerate(shown):
        columns = [_errors(column) for column in (band.accuracy, band.accuracy_high, band.accuracy_low)]
        _line(left, place, _label(name, band), [np.maximum(column, floor) for column in columns])
        losses = (band.train_loss, band.train_loss_low, band.train_loss_high)
        _line(right, place, "", [_array(column) for column in losses])
    for axes, what in ((left, "test error, %"), (right, "training loss")):
        axes.set_yscale("log")
        axes.set_ylabel(what)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(lambda value, _position: f"{value:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    drawn.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, handlelength=4.5)
    span = f"mean and middle {100 * (HIGH - LOW):.0f} % of the replicates"
    title = f"{scene.study['name']}: learning curves"
    heading(drawn, left, title, span)
    heading(drawn, right, title, f"{span} that had not diverged")
    return drawn


def _shown(scene: Scene) -> list[tuple[str, Band]]:
    """Each cell once, under all its names."""
    names: dict[int, list[str]] = {}
    for contender in contenders(scene.comparison):
        names.setdefault(contender.cell, []).append(contender.name)
    return [(", ".join(names[cell]), scene.curves[cell]) for cell in names if cell in scene.curves]


def _label(name: str, band: Band) -> str:
    return f"{name}: n = {band.n}" + (f", {band.diverged} diverged" if band.diverged else "")


def _line(axes: Axes, place: int, label: str, columns: Sequence[np.ndarray]) -> None:
    mean, low, high = columns
    epochs = np.arange(1, len(mean) + 1)
    colour = PALETTE[place % len(PALETTE)]
    alone = "o" if len(mean) == 1 else None
    axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
    dashes = DASHES[place % len(DASHES)]
    axes.plot(epochs, mean, color=colour, linestyle=dashes, linewidth=1.7, marker=alone, label=label)


def _array(column: Column) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in column])


def _errors(column: Column) -> np.ndarray:
    """Accuracies as errors in per cent."""
    return 100 * (1 - _array(column))


def _present(values: np.ndarray) -> list[float]:
    return [float(value) for value in values if not np.isnan(value)]
