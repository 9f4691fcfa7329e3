"""Figures, tables and the line below a table that says where it comes from; accuracies are in percent."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.findings.trained import Trained
from studies.grid import Cell


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def points(share: float | None) -> str:
    """A share in percent, or a difference in percentage points."""
    return "–" if share is None else f"{100 * share:.2f}"


def signed(difference: float | None) -> str:
    """A difference in percentage points with its sign."""
    return "–" if difference is None else f"{100 * difference:+.2f}"


def limits(found: Mapping[str, Any]) -> str:
    """The interval of a difference."""
    return f"[{signed(found['low'])}, {signed(found['high'])}]"


def measured(found: Mapping[str, Any]) -> str:
    """A difference with its interval."""
    return f"{signed(found['estimate'])} {limits(found)}"


def spread(summary: Mapping[str, Any]) -> str:
    """Mean and standard deviation of a cell, and how many of its trainings diverged."""
    lost = f", {summary['diverged']} diverged" if summary["diverged"] else ""
    return f"{points(summary['mean'])} ± {points(summary['std'])}{lost}"


def at(cell: Cell | Mapping[str, Any]) -> str:
    """Learning rate and momentum of a cell."""
    rate, momentum = (
        (cell.learning_rate, cell.momentum) if isinstance(cell, Cell) else (cell["learning_rate"], cell["momentum"])
    )
    return f"{rate:.3g}, {momentum:.3g}"


def regret(found: Mapping[str, Any]) -> tuple[str, str, str]:
    """Plug-in, cross-fitted and interval of a regret."""
    high = "none" if found["high"] is None else points(found["high"])
    return points(found["estimate"]), signed(found["cross_fitted"]), f"{points(found['low'])} to {high}"


def made(studies: Sequence[Trained]) -> str:
    """What stands below a table: n, hardware, versions, time and the command."""
    ns = sorted({f"{s.spec.folds_used} folds x {s.spec.runs} run{'s' * (s.spec.runs > 1)}" for s in studies})
    epochs = sorted({s.spec.epochs for s in studies})
    devices = sorted({f"{s.manifest['numeric_class']}, {s.manifest['threads']} threads" for s in studies})
    days = sorted({datetime.datetime.fromtimestamp(s.manifest["started"], datetime.UTC).date() for s in studies})
    seconds = sum(s.manifest["seconds"] for s in studies)
    trainings = sum(len(s.scores) for s in studies)
    names = " ".join(s.name for s in studies)
    return (
        f"n = {' or '.join(ns)} in each cell, {_listed(epochs)} epochs; {trainings:,} trainings in {seconds:,.0f} s; "
        f"{'; '.join(devices)}; Python {studies[0].manifest['python']}; {days[0]:%Y-%m-%d}. "
        f"Command: `python -m service.findings train {names}`."
    )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
