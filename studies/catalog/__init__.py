"""Presets: ready specifications of studies and suites, in YAML beside this file."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from studies.spec import StudySpec
from studies.suite import SuiteSpec, quick_version


@dataclass(frozen=True)
class Preset:
    """A named, ready specification of a study."""

    name: str
    title: str
    spec: StudySpec


@dataclass(frozen=True)
class SuitePreset:
    """A named, ready specification of a suite."""

    name: str
    title: str
    spec: SuiteSpec
    quick: SuiteSpec
    """The same with less to train."""


def presets() -> dict[str, Preset]:
    """Every preset of a study by name, checked as it is read."""
    return {
        name: Preset(name, document["title"], StudySpec.from_json(document["spec"]))
        for name, document in _documents()
        if "spec" in document
    }


def suites() -> dict[str, SuitePreset]:
    """Every preset of a suite by name, checked as it is read."""
    found = {}
    for name, document in _documents():
        if "suite" in document:
            full = SuiteSpec.from_json(document["suite"])
            found[name] = SuitePreset(name, document["title"], full, quick_version(full, **document["quick"]))
    return found


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in sorted(resources.files(__name__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            yield entry.name.removesuffix(".yaml"), yaml.safe_load(entry.read_text(encoding="utf-8"))
