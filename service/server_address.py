"""Where a running service answers: a small file in its data folder."""

import json
import os
from pathlib import Path

FILE = "service.json"


def write_address(data: Path, url: str) -> None:
    """Say that this process serves a data folder."""
    (data / FILE).write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")


def remove_address(data: Path) -> None:
    """Say no more."""
    (data / FILE).unlink(missing_ok=True)


def running_address(data: Path) -> str | None:
    """The address of the service that runs on a data folder; None if none does."""
    try:
        told = json.loads((data / FILE).read_text(encoding="utf-8"))
        os.kill(told["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(told["url"])
