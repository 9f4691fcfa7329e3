"""Presets: ready specifications of studies and suites, in YAML beside this file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
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


@cache
def presets() -> Mapping[str, Preset]:
    """Every preset of a study by name, checked as it is read, once."""
    return MappingProxyType(
        {
            name: Preset(name, document["title"], StudySpec.from_json(document["spec"]))
            for name, document in _documents()
            if "spec" in document
        }
    )


@cache
def suites() -> Mapping[str, SuitePreset]:
    """Every preset of a suite by name, checked as it is read, once."""
    found = {}
    for name, document in _documents():
        if "suite" in document:
            full = SuiteSpec.from_json(document["suite"])
            found[name] = SuitePreset(name, document["title"], full, quick_version(full, **document["quick"]))
    return MappingProxyType(found)


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in sorted(resources.files(__name__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            yield entry.name.removesuffix(".yaml"), yaml.safe_load(entry.read_text(encoding="utf-8"))
