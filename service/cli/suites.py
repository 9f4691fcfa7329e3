"""The commands about suites."""

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.cli.answers import exit_code, show_progress
from service.client import Client
from service.suite_text import SuiteText, suite_text


def submit(spec: dict[str, Any], wait: bool, url: str | None) -> int:
    """Queue a suite and print its id; exit code 0, or 3 if it waits and the suite did not complete."""
    with Client(url) as client:
        suite = client.submit_suite(spec)
        print(suite["id"], flush=True)
        if not wait:
            return 0
        ended = show_progress(lambda seen: client.wait_suite(suite["id"], seen))
        show_table(client, suite["id"], Console())
    return exit_code(ended)


def table(suite_id: str, as_json: bool, url: str | None) -> None:
    """Print a suite's table."""
    with Client(url) as client:
        if as_json:
            print(json.dumps(client.suite_table(suite_id), indent=2))
        else:
            show_table(client, suite_id, Console())


def show_table(client: Client, suite_id: str, console: Console) -> None:
    """Print the rows beside the published figures, then the contrasts in words, notes and warnings."""
    text = suite_text(client.suite_table(suite_id))
    console.print(f"[bold]{escape(text.name)}[/bold], {text.status}", highlight=False)
    console.print(_table(text))
    for source in text.sources:
        console.print(f"published: {escape(source)}", highlight=False)
    console.print()
    for sentence, note in text.contrasts:
        console.print(f"{escape(sentence)}" + (f" [dim]{escape(note)}[/dim]" if note else ""), highlight=False)
    console.print()
    for note in text.notes:
        console.print(escape(note), highlight=False)
    console.print(f"\n{escape(text.method)}\n", highlight=False)
    for code, warning in text.warnings:
        console.print(f"[bold]{code}[/bold]: {escape(warning)}", highlight=False)


def _table(text: SuiteText) -> Table:
    """Accuracies in percent, narrow enough for 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("")
    for heading in ("rate", "mom.", "acc. %", "± folds", "± runs", "n", "div.", "published"):
        table.add_column(heading, no_wrap=True, justify="right")
    for line in text.lines:
        figures = (line.mean, line.over_folds, line.over_runs, line.n, line.diverged, line.published)
        table.add_row(escape(line.name), line.learning_rate, line.momentum, *figures)
    return table
