"""Suites: the document, its list, the table."""

from typing_extensions import TypedDict

from service.lifecycle import Status
from service.schemas.inherited import document_beyond
from service.schemas.specs import SuiteSpecDocument
from service.schemas.studies import ProgressDocument, StudyLinks
from studies.documents import document
from studies.documents.suite import TableDocument


@document
class SuiteLinks(TypedDict):
    """Where the rest of a suite is."""

    self: str
    table: str
    page: str


@document
class SuiteStudyDocument(TypedDict):
    """One study of a suite; null stands for what a deleted one has no more."""

    id: str
    name: str
    status: str
    """as in the study's document, or `deleted`"""
    reason: str | None
    progress: ProgressDocument | None
    eta_seconds: float | None
    links: StudyLinks | None


@document
class SuiteDocument(TypedDict):
    """One suite with its studies."""

    id: str
    name: str
    status: Status
    """of its studies together"""
    progress: ProgressDocument
    eta_seconds: float | None
    created_at: str
    studies: list[SuiteStudyDocument]
    spec: SuiteSpecDocument
    """as submitted, with every default"""
    links: SuiteLinks


@document
class SuitesDocument(TypedDict):
    """A page of the list of suites."""

    items: list[SuiteDocument]
    next: str | None
    """the `cursor` of the following page; null on the last"""


@document_beyond(TableDocument)
class SuiteTableDocument(TableDocument):
    """The table of a suite as it stands."""

    suite: str
    status: Status
