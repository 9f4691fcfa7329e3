"""The commands that list studies and control them."""

import json
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.client import Client


def list_studies(limit: int, as_json: bool, url: str | None) -> None:
    """Print the newest studies."""
    with Client(url) as client:
        found = [study for _, study in zip(range(limit), client.studies(), strict=False)]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("id", "status", "trainings", "data set", "loss", "name"):
        table.add_column(heading, no_wrap=heading != "name", justify="right" if heading == "trainings" else "left")
    for study in found:
        progress, spec = study["progress"], study["spec"]
        done = f"{progress['done']:,}/{progress['total']:,}"
        table.add_row(study["id"], study["status"], done, spec["dataset"], spec["loss"], escape(study["name"]))
    Console().print(table)


def act(study_id: str, action: Literal["cancel", "pause", "resume"], url: str | None) -> None:
    """Cancel, pause or resume a study."""
    with Client(url) as client:
        print(client.act(study_id, action)["status"])


def extend(study_id: str, runs: int, url: str | None) -> None:
    """Add runs per fold to a study."""
    with Client(url) as client:
        study = client.extend(study_id, runs)
    print(f"{study['status']}: {study['progress']['done']:,} of {study['progress']['total']:,} trainings")
