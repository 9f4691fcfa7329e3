"""What there is to choose from: the derivation, presets, data sets, models, workers."""

import dataclasses
from typing import Any

from fastapi import APIRouter

from service.api.context import Shared
from studies import golden
from studies.catalog import presets, suites
from studies.datasets.registry import DATASETS, DatasetInfo
from studies.entry_points import Registry
from studies.grid import cells
from studies.models.registry import MODELS
from studies.suite import SuiteSpec

router = APIRouter(prefix="/v1", tags=["catalog"])


@router.get("/derived")
def get_derived() -> dict[str, Any]:
    """Show how the golden ratio gives a learning rate and a momentum, step by step."""
    return {
        "learning_rate": golden.LEARNING_RATE,
        "momentum": golden.MOMENTUM,
        "effective_learning_rate": golden.EFFECTIVE_LEARNING_RATE,
        "source": "S. Jaeger, The Golden Ratio in Machine Learning, IEEE AIPR 2021",
        "steps": [dataclasses.asdict(step) for step in golden.DERIVATION],
    }


@router.get("/presets")
def get_presets() -> dict[str, Any]:
    """List ready specifications of studies, and of suites with the quick version of each."""
    items = [
        {
            "name": preset.name,
            "title": preset.title,
            "trainings": len(cells(preset.spec)) * preset.spec.replicates_per_cell,
            "spec": preset.spec.to_json(),
        }
        for preset in presets().values()
    ]
    ready = [
        {"name": preset.name, "title": preset.title, **_suite(preset.spec), "quick": _suite(preset.quick)}
        for preset in suites().values()
    ]
    return {"items": items, "next": None, "suites": ready}


def _suite(spec: SuiteSpec) -> dict[str, Any]:
    trainings = sum(len(cells(study)) * study.replicates_per_cell for study in spec.studies)
    return {"trainings": trainings, "spec": spec.to_json()}


@router.get("/datasets")
def get_datasets() -> dict[str, Any]:
    """List the data sets with licence, checksums and whether they are the paper's data."""
    shown = [field.name for field in dataclasses.fields(DatasetInfo) if field.name not in ("maker", "folder")]
    items = [{name: getattr(info, name) for name in shown} for info in DATASETS.values()]
    return _listed(DATASETS, [item | {"checksums": dict(item["checksums"])} for item in items])


@router.get("/models")
def get_models() -> dict[str, Any]:
    """List the models."""
    rows = [dataclasses.asdict(info) for info in MODELS.values()]
    return _listed(MODELS, [{k: v for k, v in row.items() if k != "factory"} for row in rows])


def _listed(names: Registry[Any], items: list[dict[str, Any]]) -> dict[str, Any]:
    """The items, each with the package that registered it, and the entry points that are broken."""
    for item in items:
        origin = names.origin(item["name"])
        item["package"] = None if origin is None else str(origin)
    return {"items": items, "next": None, "problems": list(names.problems.values())}


@router.get("/workers")
def get_workers(context: Shared) -> dict[str, Any]:
    """List the workers that this process's dispatcher sees, each with what it trains."""
    return {"items": context.workers(), "next": None}
