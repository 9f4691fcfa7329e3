"""Where a running service answers: a small file in its data folder."""

import json
import os
from pathlib import Path
from typing import Any

import httpx

FILE = "service.json"


def write_address(data: Path, url: str) -> None:
    """Say that this process serves a data folder, unless another one that answers has said so."""
    if running_address(data) is None:
        (data / FILE).write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")


def remove_address(data: Path) -> None:
    """Say no more, if it was this process that said it."""
    told = _told(data)
    if told is not None and told["pid"] == os.getpid():
        (data / FILE).unlink(missing_ok=True)


def running_address(data: Path) -> str | None:
    """The address of the service that runs on a data folder; None if none answers there."""
    told = _told(data)
    if told is None:
        return None
    try:
        httpx.get(f"{told['url']}/healthz", timeout=5.0).raise_for_status()
    except httpx.HTTPError:
        return None
    return str(told["url"])


def _told(data: Path) -> dict[str, Any] | None:
    """What the file says; None if there is none, or none of ours."""
    try:
        told = json.loads((data / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and told.keys() >= {"url", "pid"} else None
