"""`goldenbench compare A B`: two studies side by side."""

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.client import Client


def compare_pair(study_id: str, other_id: str, as_json: bool, url: str | None) -> None:
    """Print how two studies that share replicates differ."""
    with Client(url) as client:
        answer = client.pair(study_id, other_id)
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        show_pair(answer, Console())


def show_pair(answer: dict[str, Any], console: Console) -> None:
    """Print a pair's answer as a table with its sentences."""
    for name in ("a", "b"):
        one = answer[name]
        console.print(
            f"{name.upper()}: {one['name']}, loss {one['loss']} ({one['study']})", markup=False, highlight=False
        )
    console.print(_table(answer))
    console.print(f"\n{answer['sentence']}", markup=False, highlight=False)
    console.print(f"\n[bold]What this does not say.[/bold] {escape(answer['not_said'])}\n", highlight=False)
    for warning in answer["warnings"]:
        console.print(f"[bold]{warning['code']}[/bold]: {escape(warning['text'])}", highlight=False)


def _table(answer: dict[str, Any]) -> Table:
    """Narrow enough for 80 columns; a best cell is selected on one half of the replicates and measured on the other."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("", "A: rate mom. acc. %", "B: rate mom. acc. %", "n", "A minus B, points"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "n" else "left")
    there, best = answer["prescribed"], answer["best"]
    table.add_row("prescribed", _point(there["a"]), _point(there["b"]), *_measured(there["difference"]))
    if best:
        for one in best["selections"]:
            shown = f"{100 * one['estimate']:+.2f}"
            chosen = f"best, {one['selected_on']} half"
            table.add_row(chosen, _point(one["a"]), _point(one["b"]), str(one["n"]), shown)
        table.add_row("best, both", "", "", *_measured(best["difference"]))
    return table


def _point(cell: dict[str, Any]) -> str:
    return f"{cell['learning_rate']:.3g} {cell['momentum']:.3g} {100 * cell['mean']:.2f}"


def _measured(difference: dict[str, Any]) -> tuple[str, str]:
    estimate, low, high = (difference[name] for name in ("estimate", "low", "high"))
    limits = "" if low is None else escape(f" [{100 * low:+.2f}, {100 * high:+.2f}]")
    return str(difference["n"]), f"{100 * estimate:+.2f}{limits}"
