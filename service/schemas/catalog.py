"""What there is to choose from: the derivation, presets, data sets, models, workers."""

from typing_extensions import TypedDict

from service.schemas.specs import StudySpecDocument, SuiteSpecDocument
from studies.documents import document


@document
class StepDocument(TypedDict):
    """One equation of the derivation."""

    equation: int
    """its number in the paper"""
    symbol: str
    statement: str
    value: float


@document
class DerivedDocument(TypedDict):
    """How the golden ratio gives a learning rate and a momentum."""

    learning_rate: float
    momentum: float
    effective_learning_rate: float
    source: str
    steps: list[StepDocument]


@document
class PresetDocument(TypedDict):
    """A ready specification."""

    name: str
    title: str
    trainings: int
    spec: StudySpecDocument


@document
class SuiteVersion(TypedDict):
    """A shorter version of a suite."""

    trainings: int
    spec: SuiteSpecDocument


@document
class SuitePresetDocument(TypedDict):
    """A ready suite."""

    name: str
    title: str
    trainings: int
    spec: SuiteSpecDocument
    quick: SuiteVersion


@document
class PresetsDocument(TypedDict):
    """Every preset."""

    items: list[PresetDocument]
    next: None
    suites: list[SuitePresetDocument]


@document
class DatasetDocument(TypedDict):
    """A data set; null where it is not known beforehand."""

    name: str
    title: str
    source: str
    licence: str
    image_shape: tuple[int, int] | None
    """height and width in pixels"""
    classes: int | None
    images: int | None
    is_paper_data: bool | None
    """whether these are the paper's images; null if only the owner of the folder can tell"""
    note: str
    """what stands beside every result on it"""
    grouped: bool
    """whether it is known which images stem from one source; these never stand on both sides of a split"""
    checksums: dict[str, str]
    """of the source archives, by file"""
    content_sha256: str | None
    package: str | None
    """that registered it; null for what ships"""


@document
class DatasetsDocument(TypedDict):
    """Every data set."""

    items: list[DatasetDocument]
    next: None
    problems: list[str]
    """entry points that are broken, and why"""


@document
class ModelDocument(TypedDict):
    """A network."""

    name: str
    title: str
    learnables_28x28x10: int
    """learnable parameters for 28 x 28 images of ten classes"""
    source: str
    package: str | None
    """that registered it; null for what ships"""


@document
class ModelsDocument(TypedDict):
    """Every model."""

    items: list[ModelDocument]
    next: None
    problems: list[str]
    """entry points that are broken, and why"""


@document
class WorkerDocument(TypedDict):
    """A worker with what it trains now."""

    name: str
    address: str
    device: str
    threads: int
    pid: int
    pack: str | None
    study: str | None
    trainings_per_second: float | None
    """while it trains, over its last packs; null before the first"""


@document
class WorkersDocument(TypedDict):
    """The workers that the answering process's dispatcher sees."""

    items: list[WorkerDocument]
    next: None
