"""The landscape as a document of Plotly, which the Optuna dashboard draws; writing it takes no library."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.plots.footing import footing
from service.plots.scene import contenders

SYMBOLS = ("circle", "triangle-up", "triangle-down", "cross", "x", "pentagon", "hexagon")
"""Of the references, in order."""
MOMENTA = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""What the axis of 1 - momentum names."""


def landscape(comparison: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every cell over learning rate and 1 - momentum, coloured by its shortfall from the best one.

    Args:
        comparison: as `/v1/studies/{id}/comparison` gives it.
        cells: in order, each with `learning_rate`, `momentum`, `n`, `diverged`, `mean` and `std`; at least one has a
            mean.

    Returns:
        `{"data": [...], "layout": {...}}`.
    """
    traces = [_equal_rate(cells, comparison["prescribed"]["effective_learning_rate"])]
    footed = [{**cell, "mean": mean} for cell, mean in zip(cells, footing(cells, comparison), strict=True)]
    traces.append(_fields([cell for cell in footed if cell["mean"] is not None], 100 * comparison["margin"]))
    symbols = iter(SYMBOLS * len(cells))
    for contender in contenders(comparison):
        symbol = {"prescribed": "star", "best": "diamond-open"}.get(contender.role) or next(symbols)
        colour = "black" if symbol.endswith("-open") else "white"  # an open symbol is all line
        marker = {"symbol": symbol, "size": 12, "color": colour, "line": {"color": "black", "width": 1.5}}
        named = {"name": contender.name, "mode": "markers", "marker": marker, "hoverinfo": "skip"}
        traces.append(_places([cells[contender.cell]]) | named)
    return {"data": traces, "layout": _layout(comparison)}


def _places(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": [cell["learning_rate"] for cell in cells],
        "y": [1 - cell["momentum"] for cell in cells],
    }


def _fields(cells: Sequence[Mapping[str, Any]], margin: float) -> dict[str, Any]:
    """The cells as squares; `margin` in points is where the colour scale turns from linear to logarithmic."""
    best = max(cell["mean"] for cell in cells)
    shortfalls = [100 * (best - cell["mean"]) for cell in cells]
    ticks = [0.0, margin, *(step for step in (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 90.0) if step > 1.5 * margin)]
    bar: dict[str, Any] = {
        "title": {"text": "points below<br>the best"},
        "tickvals": [_scaled(tick, margin) for tick in ticks],
    }
    bar |= {"ticktext": [f"{tick:g}" for tick in ticks], "x": 1.02}
    marker: dict[str, Any] = {
        "symbol": "square",
        "size": 22,
        "colorscale": "Viridis",
        "reversescale": True,
        "showscale": True,
    }
    marker |= {"color": [_scaled(shortfall, margin) for shortfall in shortfalls], "colorbar": bar}
    told = [
        f"accuracy {100 * cell['mean']:.2f} %"
        + ("" if cell["std"] is None else f", std {100 * cell['std']:.2f}")
        + f"<br>n = {cell['n']}, {cell['diverged']} diverged"
        + f"<br>learning rate {cell['learning_rate']:.4g}, momentum {cell['momentum']:.4g}"
        for cell in cells
    ]
    fields = {"mode": "markers", "marker": marker, "text": told, "hoverinfo": "text", "showlegend": False}
    return _places(cells) | fields


def _scaled(shortfall: float, margin: float) -> float:
    """Linear up to the margin, logarithmic beyond."""
    return shortfall / margin if shortfall <= margin else 1 + math.log10(shortfall / margin)


def _equal_rate(cells: Sequence[Mapping[str, Any]], effective: float) -> dict[str, Any]:
    """The line of the prescribed point's effective learning rate, as far as there are cells."""
    rests = [1 - cell["momentum"] for cell in cells]
    ends = [min(rests), max(rests)]
    line = {"color": "#555555", "width": 1, "dash": "dash"}
    drawn = {"type": "scatter", "mode": "lines", "line": line, "hoverinfo": "skip", "name": "equal effective rate"}
    return drawn | {"x": [effective * rest for rest in ends], "y": ends}


def _layout(comparison: Mapping[str, Any]) -> dict[str, Any]:
    momenta: dict[str, Any] = {"type": "log", "autorange": "reversed"}
    momenta |= {"title": {"text": "momentum (spaced by log(1 - momentum))"}}
    momenta |= {"tickvals": [1 - momentum for momentum in MOMENTA], "ticktext": [f"{one:g}" for one in MOMENTA]}
    return {
        "title": {"text": f"Accuracy of each cell: {comparison['verdict']}, n = {comparison['n']} paired replicates"},
        "xaxis": {"type": "log", "title": {"text": "learning rate"}},
        "yaxis": momenta,
        "legend": {"orientation": "h", "y": -0.25, "font": {"size": 10}},
        "margin": {"l": 60, "r": 10, "t": 50, "b": 20},
    }
