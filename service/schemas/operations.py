"""Documents about the service itself."""

from typing import Literal

from typing_extensions import TypedDict

from studies.documents import document


@document
class HealthDocument(TypedDict):
    """That the process answers."""

    status: Literal["ok"]


@document
class ReadyChecks(TypedDict):
    """What was looked at."""

    database: str
    """`ok`, or why not"""
    schema: str
    """of the database: `ok`, or which one there is and which one this program works with"""
    dispatcher: str
    """`leading`, `waiting` while another one leads, or what is missing"""
    scheduler: str
    """`connected`, `away`, or `not needed` while another dispatcher leads"""
    workers: int
    """that this process's dispatcher sees"""


@document
class ReadyDocument(TypedDict):
    """Whether studies can be stored and trained."""

    status: Literal["ready", "not ready"]
    checks: ReadyChecks
    missing: list[str]
    """one sentence for each thing that has to come before; empty when ready"""
