"""Studies: the document, its list, the estimate."""

from typing_extensions import TypedDict

from service.lifecycle import Status
from service.schemas.inherited import document_beyond
from service.schemas.specs import StudySpecDocument
from studies.documents import document
from studies.documents.comparison import AnswerDocument


@document
class ProgressDocument(TypedDict):
    """How far the trainings are."""

    done: int
    """stored trainings"""
    total: int
    """trainings of the whole study, extensions included"""
    fraction: float
    """share of the work that is done, epochs of running packs included, in [0, 1]"""


@document
class StudyLinks(TypedDict):
    """Where the rest of a study is."""

    self: str
    cells: str
    replicates: str
    packs: str
    manifest: str
    comparison: str
    events: str
    page: str
    dashboard: str
    """in the Optuna dashboard; its start page while the study is not recorded there"""


@document
class StudyDocument(TypedDict):
    """One study."""

    id: str
    name: str
    status: Status
    reason: str | None
    """why it failed, or what it waits for"""
    progress: ProgressDocument
    eta_seconds: float | None
    """until the end at the present pace; null before the first pack is done"""
    optuna_study: str
    """its name in Optuna's tables"""
    fingerprint: str
    """sha256 of the specification without name and priority"""
    runs: int
    """per fold and cell, extensions included"""
    looks: int
    """how often its answer could be seen; each extension after a result is one more"""
    race_runs: int | None
    """runs that are open in the present round of a race"""
    priority: int
    dataset_sha256: str | None
    """of the prepared data set, once there is one"""
    numeric_class: str | None
    """engine and its version, precision and device that it is pinned to"""
    created_at: str
    """ISO 8601, UTC, as are all times"""
    started_at: str | None
    finished_at: str | None
    revision: int
    """counts up with each change"""
    spec: StudySpecDocument
    """as submitted, with every default"""
    links: StudyLinks


@document
class StudiesDocument(TypedDict):
    """A page of the list of studies."""

    items: list[StudyDocument]
    next: str | None
    """the `cursor` of the following page; null on the last"""


@document
class PowerDocument(TypedDict):
    """What a study could show."""

    equivalent: float
    """probability of the verdict `equivalent` if the prescribed point is as good as the best"""
    margin: float
    margin_in_test_images: float | None
    """what the margin is worth in images of one fold"""
    assumed_paired_spread: float
    """standard deviation of a paired difference"""
    assumes: str


@document
class EstimateDocument(TypedDict):
    """What a study would cost and could show."""

    cells: int
    replicates_per_cell: int
    trainings: int
    epochs: int
    """of all trainings together"""
    device_seconds: float | None
    """null before anything comparable was measured"""
    eta_seconds: float | None
    devices: int
    """at hand now"""
    measured_on_trainings: int
    """of the same model, data set and engine"""
    power: PowerDocument


@document_beyond(AnswerDocument)
class ComparisonDocument(AnswerDocument):
    """What a study answers."""

    study: str
