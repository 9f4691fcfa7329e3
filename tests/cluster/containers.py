"""The files that describe containers, as data."""

import re
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from service.cli.main import app

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
STAGES = {name: base for base, name in re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)}
"""The stages of the Dockerfile, each with what it is made from."""


def compose(name: str = "docker-compose.yml") -> dict[str, Any]:
    """A compose file, with its anchors resolved."""
    document: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return document


def command_of(service: str) -> list[str]:
    """What a container runs, behind `goldenbench`."""
    return [str(part) for part in compose()["services"][service]["command"]]


def environment_of(service: str, places: dict[str, str]) -> dict[str, str]:
    """A container's environment.

    Args:
        service: which.
        places: what stands for something of the container, and what is meant here.
    """
    found = compose()["services"][service].get("environment", {})
    return {name: _placed(str(value), places) for name, value in found.items()}


def parse(command: list[str]) -> None:
    """Read a command line as `goldenbench` would, without running it.

    Raises:
        Exception: click's, for a command or an option that does not exist.
    """
    found: Any = get_command(app)
    while command and command[0] in getattr(found, "commands", {}):
        found, command = found.commands[command[0]], command[1:]
    found.make_context("goldenbench", command)


def _placed(text: str, places: dict[str, str]) -> str:
    for inside, here in places.items():
        text = text.replace(inside, here)
    return text
