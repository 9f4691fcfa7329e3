"""What there is to choose from: the derivation, presets, data sets, models, workers."""

from fastapi import APIRouter

from service.api.context import Shared
from service.api.documents import package_of
from service.schemas.catalog import (
    DatasetDocument,
    DatasetsDocument,
    DerivedDocument,
    ModelDocument,
    ModelsDocument,
    PresetDocument,
    PresetsDocument,
    SuitePresetDocument,
    SuiteVersion,
    WorkersDocument,
)
from studies import golden
from studies.catalog import presets, suites
from studies.datasets.registry import DATASETS
from studies.grid import cells
from studies.models.registry import MODELS
from studies.suite import SuiteSpec

router = APIRouter(prefix="/v1", tags=["catalog"])


@router.get("/derived")
def get_derived() -> DerivedDocument:
    """Show how the golden ratio gives a learning rate and a momentum, step by step."""
    return {
        "learning_rate": golden.LEARNING_RATE,
        "momentum": golden.MOMENTUM,
        "effective_learning_rate": golden.EFFECTIVE_LEARNING_RATE,
        "source": "S. Jaeger, The Golden Ratio in Machine Learning, IEEE AIPR 2021",
        "steps": [
            {"equation": step.equation, "symbol": step.symbol, "statement": step.statement, "value": step.value}
            for step in golden.DERIVATION
        ],
    }


@router.get("/presets")
def get_presets() -> PresetsDocument:
    """List ready specifications of studies, and of suites with the quick version of each."""
    items: list[PresetDocument] = [
        {
            "name": preset.name,
            "title": preset.title,
            "trainings": len(cells(preset.spec)) * preset.spec.replicates_per_cell,
            "spec": preset.spec.to_json(),
        }
        for preset in presets().values()
    ]
    ready: list[SuitePresetDocument] = [
        {"name": preset.name, "title": preset.title, **_suite(preset.spec), "quick": _suite(preset.quick)}
        for preset in suites().values()
    ]
    return {"items": items, "next": None, "suites": ready}


def _suite(spec: SuiteSpec) -> SuiteVersion:
    trainings = sum(len(cells(study)) * study.replicates_per_cell for study in spec.studies)
    return {"trainings": trainings, "spec": spec.to_json()}


@router.get("/datasets")
def get_datasets() -> DatasetsDocument:
    """List the data sets with licence, checksums and whether they are the paper's data."""
    items: list[DatasetDocument] = [
        {
            "name": info.name,
            "title": info.title,
            "source": info.source,
            "licence": info.licence,
            "image_shape": info.image_shape,
            "classes": info.classes,
            "images": info.images,
            "is_paper_data": info.is_paper_data,
            "note": info.note,
            "grouped": info.grouped,
            "checksums": dict(info.checksums),
            "content_sha256": info.content_sha256,
            "package": package_of(DATASETS, info.name),
        }
        for info in DATASETS.values()
    ]
    return {"items": items, "next": None, "problems": list(DATASETS.problems.values())}


@router.get("/models")
def get_models() -> ModelsDocument:
    """List the models."""
    items: list[ModelDocument] = [
        {
            "name": info.name,
            "title": info.title,
            "learnables_28x28x10": info.learnables_28x28x10,
            "source": info.source,
            "package": package_of(MODELS, info.name),
        }
        for info in MODELS.values()
    ]
    return {"items": items, "next": None, "problems": list(MODELS.problems.values())}


@router.get("/workers")
def get_workers(context: Shared) -> WorkersDocument:
    """List the workers that this service's dispatcher sees, each with what it trains."""
    return {"items": list(context.dispatcher().workers), "next": None}
