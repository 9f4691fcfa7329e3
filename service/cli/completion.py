"""What a shell may put in place of a half-typed word; silent where nothing is known."""

import os
from itertools import islice
from pathlib import Path

MOST = 50
"""Studies offered, the newest."""


def presets_and_suites(incomplete: str) -> list[str]:
    """Names of what ships."""
    from studies.catalog import presets, suites

    return [name for name in (*presets(), *suites()) if name.startswith(incomplete)]


def studies(incomplete: str) -> list[tuple[str, str]]:
    """Ids of the studies of the service that runs on the data folder, each with name and status."""
    from service.client import Client
    from service.errors import GoldenbenchError
    from service.server_address import running_address

    url = running_address(Path(os.environ.get("GOLDENBENCH_DATA", "var")))
    if url is None:
        return []
    try:
        with Client(url) as client:
            found = list(islice(client.studies(), MOST))
    except GoldenbenchError:  # a shell has no place for a message while somebody types
        return []
    return [(one["id"], f"{one['name']}, {one['status']}") for one in found if one["id"].startswith(incomplete)]
