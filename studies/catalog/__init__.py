"""Presets: ready specifications in YAML beside this file."""

from dataclasses import dataclass
from importlib import resources

import yaml

from studies.spec import StudySpec


@dataclass(frozen=True)
class Preset:
    """A named, ready specification."""

    name: str
    title: str
    spec: StudySpec


def presets() -> dict[str, Preset]:
    """Every preset by name, checked as it is read."""
    found = {}
    for entry in sorted(resources.files(__name__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            document = yaml.safe_load(entry.read_text(encoding="utf-8"))
            name = entry.name.removesuffix(".yaml")
            found[name] = Preset(name, document["title"], StudySpec.from_json(document["spec"]))
    return found
