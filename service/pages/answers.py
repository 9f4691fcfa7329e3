"""Answers for pages, which do not wait long for one and do not keep a processor busy with what still goes on."""

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from service.api.context import Context
from service.api.suites import read_table
from service.errors import GoldenbenchError
from service.lifecycle import TERMINAL, Status
from service.pairs import read_pair
from service.schemas.studies import ComparisonDocument, StudyDocument
from service.schemas.suites import SuiteDocument, SuiteTableDocument
from studies.datasets.errors import UnknownDataset
from studies.documents.pair import PairDocument
from studies.fields import SpecError
from studies.pair_answer import pair_answer

WAIT_SECONDS = 0.4
"""How long a page waits for an answer; what comes later is for the next look."""
REST = 10.0
"""After an answer to what still goes on, a rest of so many times what it took: at most a tenth of one processor."""
RETRY_SECONDS = 60.0
"""After which an answer that could not be computed is tried again without anybody looking at it."""
KEPT = 256
"""Questions whose latest answer is remembered."""

Kept = TypeVar("Kept")
Answer = TypeVar("Answer")

log = structlog.get_logger("goldenbench.pages")


@dataclass(frozen=True)
class Question(Generic[Answer]):
    """Something that takes a while to compute."""

    key: str
    state: tuple[Any, ...]
    """what the answer depends on: another state, another answer"""
    final: bool
    """whether the state will stay"""
    compute: Callable[[], Awaitable[Answer]]


@dataclass(frozen=True)
class Look(Generic[Answer]):
    """What is known of an answer at the moment."""

    answer: Answer | None
    """the latest; None before there is one"""
    pending: bool
    """whether the final one is still being computed"""
    problem: str
    """why it could not be computed; empty while nothing is wrong"""
    number: int
    """tells the answer from any other of this process; 0 before there is one"""


@dataclass(frozen=True)
class _Seen:
    """One finished answer."""

    number: int
    answer: Any
    state: tuple[Any, ...]
    rests_until: float


@dataclass(frozen=True)
class _Failure:
    """An answer that could not be computed."""

    why: str
    state: tuple[Any, ...]
    rests_until: float


@dataclass(frozen=True)
class Badge:
    """The verdict of a study in a list."""

    word: str
    """empty while it is not known, and for a study that is not completed"""
    awaited: bool
    """whether it is being computed"""
    problem: str
    """why it cannot be; empty while nothing is wrong"""


class Answers:
    """The latest answers, by key."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._failures: OrderedDict[str, _Failure] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)

    async def look(self, question: Question[Answer]) -> Look[Answer]:
        """The newest answer that can be had within WAIT_SECONDS."""
        if self._is_due(question):
            await asyncio.wait([self._start(question)], timeout=WAIT_SECONDS)
        seen, problem = self._seen.get(question.key), self.problem(question)
        pending = question.final and self.known(question) is None and not problem
        return Look(None, pending, problem, 0) if seen is None else Look(seen.answer, pending, problem, seen.number)

    def known(self, question: Question[Answer]) -> Answer | None:
        """The answer, if it is there already."""
        seen = self._seen.get(question.key)
        return seen.answer if seen is not None and seen.state == question.state else None

    def problem(self, question: Question[Any]) -> str:
        """Why the answer could not be computed; empty if nothing was wrong so far."""
        failure = self._failures.get(question.key)
        return failure.why if failure is not None and failure.state == question.state else ""

    def read_ahead(self, questions: Sequence[Question[Any]]) -> None:
        """Have answers computed one after another, for a later look."""
        due = [question for question in questions if self._is_due(question) and not self._rests(question)]
        if due and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self._read(due))

    async def _read(self, questions: Sequence[Question[Any]]) -> None:
        for question in questions:
            await asyncio.wait([self._start(question)])

    def _is_due(self, question: Question[Any]) -> bool:
        seen = self._seen.get(question.key)
        if seen is None or seen.state == question.state:
            return seen is None
        return question.final or time.monotonic() > seen.rests_until

    def _rests(self, question: Question[Any]) -> bool:
        """Whether it has failed a short while ago."""
        failure = self._failures.get(question.key)
        return failure is not None and failure.state == question.state and time.monotonic() < failure.rests_until

    def _start(self, question: Question[Any]) -> asyncio.Task[None]:
        """The computation of an answer, one at a time for each key."""
        found = self._tasks.get(question.key)
        if found is None:
            found = self._tasks[question.key] = asyncio.create_task(self._compute(question))
            found.add_done_callback(lambda _done: self._tasks.pop(question.key))
        return found

    async def _compute(self, question: Question[Any]) -> None:
        began = time.monotonic()
        try:
            answer = await question.compute()
        except Exception as error:  # the page shows the state without it, and asks again at the next look
            log.warning("no answer", question=question.key, error=repr(error))
            rests_until = time.monotonic() + RETRY_SECONDS
            _keep(self._failures, question.key, _Failure(_why(error), question.state, rests_until))
            return
        now = time.monotonic()
        rests_until = now + REST * (now - began)
        _keep(self._seen, question.key, _Seen(next(self._numbers), answer, question.state, rests_until))
        self._failures.pop(question.key, None)


def _keep(kept: OrderedDict[str, Kept], key: str, value: Kept) -> None:
    """Remember a value, and forget the oldest beyond KEPT."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)


def _why(error: Exception) -> str:
    """What a person is told of an error, as the API would put it."""
    if isinstance(error, GoldenbenchError):
        return error.detail.rstrip(".")
    if isinstance(error, SpecError | UnknownDataset):  # a stored specification that cannot be read any more
        return f"the study needs what is not installed here: {error}"
    return "an error of the service; its log says more"


def about_study(context: Context, study: StudyDocument) -> Question[ComparisonDocument]:
    """What the comparison of a study says.

    Args:
        context: the parts of the service.
        study: its document.
    """
    state = (study["status"], study["runs"], study["looks"], study["race_runs"], study["progress"]["done"])
    final = study["status"] in TERMINAL
    return Question(f"study {study['id']}", state, final, lambda: context.reports.comparison(study["id"]))


def about_suite(context: Context, suite: SuiteDocument) -> Question[SuiteTableDocument]:
    """What the table of a suite says; arguments as for `about_study`."""
    state = (*(one["status"] for one in suite["studies"]), suite["progress"]["done"], suite["progress"]["total"])
    return Question(
        f"suite {suite['id']}", state, suite["status"] in TERMINAL, lambda: read_table(context, suite["id"])
    )


def about_pair(context: Context, a: StudyDocument, b: StudyDocument) -> Question[PairDocument]:
    """What the comparison of two studies says; arguments as for `about_study`."""
    state = tuple((one["status"], one["looks"], one["progress"]["done"]) for one in (a, b))

    async def compute() -> PairDocument:
        members = await asyncio.to_thread(read_pair, context.store, a["id"], b["id"])
        return await context.reports.run(pair_answer, *members)

    return Question(f"pair {a['id']} {b['id']}", state, {a["status"], b["status"]} <= TERMINAL, compute)


def badges(answers: Answers, context: Context, studies: Sequence[StudyDocument]) -> list[Badge]:
    """The verdicts of the completed ones among some studies, as far as they are known; the others will be soon.

    They are kept in memory, so a service that has just begun computes those on the page that somebody looks at.
    """
    asked = {study["id"]: about_study(context, study) for study in studies if study["status"] == Status.COMPLETED}
    answers.read_ahead(list(asked.values()))
    return [_badge(answers, asked.get(study["id"])) for study in studies]


def _badge(answers: Answers, question: Question[ComparisonDocument] | None) -> Badge:
    if question is None:
        return Badge("", awaited=False, problem="")
    answer, problem = answers.known(question), answers.problem(question)
    return Badge("" if answer is None else answer["verdict"], answer is None and not problem, problem)
