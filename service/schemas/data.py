"""The data of a study: cells, trainings, packs, the manifest."""

from typing import Literal

from typing_extensions import TypedDict

from service.lifecycle import Status
from service.schemas.specs import StudySpecDocument
from studies.documents import document
from studies.results import Outcome

PackState = Literal["waiting", "running", "done", "split", "discarded", "quarantined"]


@document
class CellDocument(TypedDict):
    """One learning rate and momentum with its present statistics."""

    cell: int
    """its number; 0 is the prescribed point"""
    learning_rate: float
    momentum: float
    effective_learning_rate: float
    """learning_rate / (1 - momentum)"""
    labels: list[str]
    """the names it goes by; none for a plain grid point"""
    in_grid: bool
    n: int
    """trainings with a score: finished and diverged"""
    diverged: int
    failed: int
    dropped_after: int | None
    """runs per fold after which a race gave it no more"""
    mean: float | None
    """of the accuracy over its own trainings"""
    std: float | None
    """of one training; null below two"""


@document
class CellsDocument(TypedDict):
    """All cells of a study, in order; none before its data set is prepared."""

    items: list[CellDocument]
    next: None


@document
class CurveDocument(TypedDict):
    """Scores after each epoch; null from the epoch on in which a training diverged."""

    accuracy: list[float | None]
    loss: list[float | None]
    train_loss: list[float | None]


@document
class ReplicateDocument(TypedDict):
    """One training."""

    cell: int
    learning_rate: float
    momentum: float
    fold: int
    run: int
    outcome: Outcome
    accuracy: float | None
    """on the fold's test images after the last epoch; 1/classes where it diverged, null where it failed"""
    brier: float | None
    loss: float | None
    """on the test images"""
    train_loss: float | None
    curve: CurveDocument
    engine: str
    precision: str
    device: str
    seconds: float
    """its share of its pack's time"""
    attempt: int
    """of its pack"""
    reason: str | None
    """why it failed"""


@document
class ReplicatesDocument(TypedDict):
    """A page of the trainings, by cell, fold and run."""

    items: list[ReplicateDocument]
    next: str | None
    """the `cursor` of the following page; null on the last"""


@document
class PackMember(TypedDict):
    """Which training."""

    cell: int
    fold: int
    run: int


@document
class PackDocument(TypedDict):
    """Trainings that were leased together, with the log of their attempts."""

    id: str
    state: PackState
    members: list[PackMember]
    attempt: int
    """counts submissions to a worker"""
    charged: int
    """attempts that ended with the death of their worker"""
    worker: str | None
    seconds: float | None
    """of the attempt that succeeded"""
    log: str
    created_at: str
    started_at: str | None
    finished_at: str | None


@document
class PacksDocument(TypedDict):
    """A page of the packs, the oldest first."""

    items: list[PackDocument]
    next: str | None
    """the `cursor` of the following page; null on the last"""


@document
class ManifestDataset(TypedDict):
    """What the study was trained on."""

    name: str
    package: str | None
    """that registered it; null for what ships"""
    sha256: str | None
    source: str
    licence: str
    is_paper_data: bool | None
    note: str


@document
class ManifestModel(TypedDict):
    """The network."""

    name: str
    package: str | None


@document
class ManifestPacks(TypedDict):
    """What the trainings took."""

    done: int
    attempts: int
    charged: int
    device_seconds: float


@document
class ManifestDocument(TypedDict):
    """Everything that is needed to repeat a study and to judge its numbers."""

    study: str
    status: Status
    spec: StudySpecDocument
    fingerprint: str
    runs: int
    dataset: ManifestDataset
    model: ManifestModel
    numeric_class: str | None
    seeds: str
    """how the seed of a training is made"""
    packs: ManifestPacks
    versions: dict[str, str]
    """of the service, of Python and of the libraries"""
    created_at: str
    started_at: str | None
    finished_at: str | None
