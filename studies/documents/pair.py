"""What two studies that share replicates answer. Every difference is A minus B, in fractions."""

from typing import Literal

from typing_extensions import TypedDict

from studies.documents import document
from studies.documents.comparison import WarningDocument


@document
class PairMemberDocument(TypedDict):
    """One of the two studies."""

    study: str
    name: str
    loss: str


@document
class PairCellDocument(TypedDict):
    """A cell of one of the studies, over the replicates that both have."""

    cell: int
    labels: list[str]
    learning_rate: float
    momentum: float
    mean: float
    std: float | None
    diverged: int


@document
class PairDifferenceDocument(TypedDict):
    """A minus B."""

    estimate: float
    low: float | None
    """null where no variance can be had"""
    high: float | None
    standard_error: float | None
    df: int
    n: int
    """paired replicates"""


@document
class PairPrescribedDocument(TypedDict):
    """Both studies at their prescribed points."""

    a: PairCellDocument
    b: PairCellDocument
    difference: PairDifferenceDocument


@document
class PairSelectionDocument(TypedDict):
    """The best cells on one half of the replicates, measured on the other."""

    selected_on: Literal["even", "odd"]
    a: PairCellDocument
    b: PairCellDocument
    estimate: float
    """A minus B on the other half"""
    n: int
    """replicates of the other half"""


@document
class PairBestDocument(TypedDict):
    """Each study at the cell that the other half of the replicates selects."""

    difference: PairDifferenceDocument
    selections: list[PairSelectionDocument]


@document
class PairDocument(TypedDict):
    """Two studies compared replicate by replicate."""

    a: PairMemberDocument
    b: PairMemberDocument
    differs: list[str]
    """fields of the specification in which they differ, apart from those that change no training"""
    n: int
    """paired replicates"""
    folds: int
    confidence: float
    """of the limits"""
    looks: int
    """how often the answer could be seen; each extension after a result is one more"""
    prescribed: PairPrescribedDocument
    best: PairBestDocument | None
    """null with one replicate"""
    sentence: str
    not_said: str
    warnings: list[WarningDocument]
    method: str
    data_note: str
