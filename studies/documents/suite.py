"""The table of a suite. Accuracies and their spreads are fractions; null where nothing can be said yet."""

from typing_extensions import TypedDict

from studies.documents import document
from studies.documents.comparison import DivergenceDocument, IntervalDocument, WarningDocument


@document
class SpreadDocument(TypedDict):
    """A standard deviation of means."""

    std: float | None
    n: int
    """means"""


@document
class PublishedDocument(TypedDict):
    """What a paper reports."""

    mean: float
    source: str
    std: float | None


@document
class RowDocument(TypedDict):
    """One row: a cell of one of the studies."""

    name: str
    study: str
    """the study's name in the suite"""
    study_id: str
    study_status: str
    """as in the study's document, or `deleted`"""
    cell: int
    label: str
    """how the suite names the cell"""
    loss: str
    learning_rate: float
    momentum: float
    effective_learning_rate: float
    mean: float | None
    """test accuracy over all stored trainings of the row"""
    n: int
    """stored trainings"""
    wanted: int
    """trainings of the complete row"""
    complete: bool
    spread_over_folds: SpreadDocument
    spread_over_runs: SpreadDocument
    diverged: int
    divergence: DivergenceDocument | None
    published: PublishedDocument | None


@document
class ContrastDocument(TypedDict):
    """The paired difference of two rows."""

    row: str
    minus: str
    complete: bool
    confidence: float
    n: int
    """paired replicates"""
    difference: IntervalDocument
    sentence: str
    note: str | None


@document
class TableDocument(TypedDict):
    """The rows of a suite beside what a paper reports, and their differences."""

    name: str
    complete: bool
    """whether every row is"""
    confidence: float
    rows: list[RowDocument]
    contrasts: list[ContrastDocument]
    notes: list[str]
    warnings: list[WarningDocument]
    method: str
    data_note: str
