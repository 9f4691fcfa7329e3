"""The specifications behind the findings, in YAML in `studies/catalog/findings`, and the studies of Table I."""

from importlib import resources
from typing import Any

import yaml

from studies.catalog import Preset, suites
from studies.spec import StudySpec
from studies.suite import SuiteSpec

FOLDER = "studies/catalog/findings"
TABLE_1 = "table-1"

FIRST = (
    "landscape-dual-process",
    "landscape-sse",
    "landscape-cross-entropy",
    "landscape-energy",
    "steps-sse",
    "steps-dual-process",
    "alpha",
    "square-rule",
    "random-pairs",
)
SECOND = (
    "scale-quadruple",
    "scale-quarter",
    "batch-16",
    "batch-1024",
    "epochs-3",
    "epochs-30",
    "batch-64",
    "batch-256",
    "scale-double",
    "scale-half",
    "epochs-100",
    "base",
)
"""After Table I; together the order of importance, so that what a limited time leaves out stands at the end."""


def findings() -> dict[str, Preset]:
    """Every study by name, the most important first, checked as it is read."""
    table = {table_1_name(study): Preset(table_1_name(study), study.name, study) for study in table_1().studies}
    return {name: _read(name) for name in FIRST} | table | {name: _read(name) for name in SECOND}


def table_1() -> SuiteSpec:
    """The quick version of Table I."""
    return suites()[TABLE_1].quick


def table_1_name(study: StudySpec) -> str:
    """What a study of Table I goes by here."""
    return f"{TABLE_1}-{study.loss}"


def _read(name: str) -> Preset:
    text = resources.files("studies.catalog").joinpath("findings", f"{name}.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return Preset(name, document["title"], StudySpec.from_json(document["spec"]))
