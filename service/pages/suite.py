"""What `/suites/{id}` shows: the table beside the figures of a paper."""

from dataclasses import dataclass

from service.lifecycle import TERMINAL
from service.pages import wording
from service.pages.answers import Look
from service.pages.wording import Fact
from service.schemas.suites import SuiteDocument, SuiteStudyDocument, SuiteTableDocument
from service.suite_text import SuiteText, suite_text

REFRESH_SECONDS = 3
"""How often the page of a suite that goes on looks again."""


@dataclass(frozen=True)
class Member:
    """One study of the suite."""

    id: str
    name: str
    status: str
    progress: str
    there: bool
    """False for one that was deleted"""


@dataclass(frozen=True)
class SuitePage:
    """Everything on the page of a suite."""

    id: str
    name: str
    status: str
    progress: Fact
    fraction: str
    left: str
    created: str
    members: tuple[Member, ...]
    table: SuiteText | None
    """None while it is being computed"""
    problem: str
    """why it cannot be; empty while nothing is wrong"""
    refresh_seconds: int | None
    can_cancel: bool
    table_address: str


def suite_page(suite: SuiteDocument, look: Look[SuiteTableDocument]) -> SuitePage:
    """Gather the page of a suite.

    Args:
        suite: its document.
        look: its table as far as it is known.
    """
    progress, goes_on = suite["progress"], suite["status"] not in TERMINAL
    eta = suite["eta_seconds"]
    return SuitePage(
        id=suite["id"],
        name=suite["name"],
        status=suite["status"],
        progress=Fact(
            f"{progress['done']:,} of {progress['total']:,}", f"trainings of {len(suite['studies'])} studies together"
        ),
        fraction=f"{progress['fraction']:.4f}",
        left=f"about {wording.duration(eta)} left" if goes_on and eta else "",
        created=wording.moment(suite["created_at"]),
        members=tuple(map(_member, suite["studies"])),
        table=None if look.answer is None else suite_text(look.answer),
        problem=look.problem,
        refresh_seconds=REFRESH_SECONDS if goes_on or look.pending else None,
        can_cancel=goes_on,
        table_address=suite["links"]["table"],
    )


def _member(study: SuiteStudyDocument) -> Member:
    progress = study["progress"]
    text = wording.NOTHING if progress is None else f"{progress['done']:,} of {progress['total']:,}"
    return Member(study["id"], study["name"], study["status"], text, progress is not None)
