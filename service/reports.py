"""The comparison of a study, computed in a process of its own and kept per (study, accepted replicates)."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from typing import ParamSpec, TypeVar

from sqlalchemy.orm import Session

from service.lifecycle import Status
from service.schemas.studies import ComparisonDocument
from service.store.engine import Store
from service.store.queries import dropped_cells, find_study, scores
from studies.answer import answer
from studies.columns import Score
from studies.grid import cells
from studies.spec import StudySpec

KEPT = 256
"""Comparisons kept in memory."""
P = ParamSpec("P")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Request:
    """Everything a comparison is computed from; crosses to the computing process."""

    study_id: str
    spec: str
    status: Status
    runs: int
    images: int | None
    scores: tuple[Score, ...]
    looks: int
    dropped: dict[int, int]
    """Cells that a race dropped, with the runs that they have."""


class Reports:
    """Comparisons on demand; no thread of the API computes one.

    Args:
        store: with the scores.
        observe: is told the seconds that each comparison took.
    """

    def __init__(self, store: Store, observe: Callable[[float], None] = lambda _seconds: None) -> None:
        self._store = store
        self._observe = observe
        self._pool = _pool()
        self._under_way: dict[tuple[str, int, int, Status], asyncio.Future[ComparisonDocument]] = {}
        self._kept: OrderedDict[tuple[str, int, int, Status], ComparisonDocument] = OrderedDict()

    async def comparison(self, study_id: str) -> ComparisonDocument:
        """The comparison document of a study as it stands.

        Raises:
            NotFound: no such study.
        """
        request = await asyncio.to_thread(self._request, study_id)
        key = (study_id, request.runs, len(request.scores), request.status)
        if key in self._kept:
            return self._kept[key]
        if key not in self._under_way:  # whoever asks the same meanwhile waits for the same computation
            self._under_way[key] = asyncio.ensure_future(self._compute(request))
            self._under_way[key].add_done_callback(lambda _done: self._under_way.pop(key, None))
        self._kept[key] = document = await asyncio.shield(self._under_way[key])
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return document

    async def _compute(self, request: Request) -> ComparisonDocument:
        began = time.monotonic()
        document = await self.run(comparison_document, request)
        self._observe(time.monotonic() - began)
        return document

    async def run(self, function: Callable[P, Result], *arguments: P.args, **named: P.kwargs) -> Result:
        """Call a pure function in the computing process; it, its arguments and its result cross as pickles."""
        loop = asyncio.get_running_loop()
        call = partial(function, *arguments, **named)
        try:
            return await loop.run_in_executor(self._pool, call)
        except BrokenProcessPool:  # somebody killed the computing process: a new one takes over
            self._pool = _pool()
            return await loop.run_in_executor(self._pool, call)

    def comparison_now(self, study_id: str) -> ComparisonDocument:
        """The comparison document, for a thread of its own that can wait for the computing process.

        Raises:
            NotFound: no such study.
        """
        request = self._request(study_id)
        began = time.monotonic()
        try:
            document = self._pool.submit(comparison_document, request).result()
        except BrokenProcessPool:
            self._pool = _pool()
            document = self._pool.submit(comparison_document, request).result()
        self._observe(time.monotonic() - began)
        return document

    def close(self) -> None:
        """End the computing process."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _request(self, study_id: str) -> Request:
        with self._store.read() as session:
            return comparison_request(session, study_id)


def comparison_request(session: Session, study_id: str) -> Request:
    """What the comparison of a study as it stands is computed from.

    Raises:
        NotFound: no such study.
    """
    study = find_study(session, study_id)
    stored, dropped = tuple(scores(session, study_id)), dropped_cells(session, study_id)
    runs = study.race_runs or study.runs
    return Request(study.id, study.spec, study.shown, runs, study.images, stored, study.looks, dropped)


def comparison_document(request: Request) -> ComparisonDocument:
    """Compute the document that `/v1/studies/{id}/comparison` answers with."""
    spec = StudySpec.from_json_text(request.spec)
    document = answer(
        spec,
        cells(spec),
        request.scores,
        request.runs,
        request.status,
        request.images,
        looks=request.looks,
        dropped=request.dropped,
    )
    return {"study": request.study_id, **document}


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """In the computing process: Ctrl-C is the service's affair, and the service's end is ours.

    It holds both ends of the queue it reads, so it would outlive a killed service.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
