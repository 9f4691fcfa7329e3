"""What goes through the pipe between the process that answers requests and the dispatcher's."""

import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from service.dispatch.status import DispatcherStatus
from service.schemas.studies import ComparisonDocument

TELL_SECONDS = 0.25
"""How often the dispatcher's process tells how it fares."""
STOP = "stop"


@dataclass(frozen=True)
class Question:
    """The dispatcher's process wants the comparison of a study."""

    number: int
    study_id: str


@dataclass(frozen=True)
class Answer:
    """To the question of that number."""

    number: int
    document: ComparisonDocument | None
    error: str = ""
    """Why there is no document."""


class Pipe:
    """One end, from which any thread may send and one receives."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._sending = threading.Lock()

    def send(self, message: Any) -> bool:
        """Send; False if nobody is at the other end any more."""
        try:
            with self._sending:
                self.connection.send(message)
        except OSError:
            return False
        return True

    def receive(self) -> Any:
        """The next message; None once nobody is at the other end any more."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None


class Teller:
    """The dispatcher's end: tells, asks, and takes orders.

    Args:
        pipe: to the process that answers requests.
        status: what is told.
        stop: ends it when set, as an order would.
    """

    def __init__(self, pipe: Pipe, status: Callable[[], DispatcherStatus], stop: threading.Event) -> None:
        self._pipe = pipe
        self._status = status
        self._stop = stop
        self._numbers = itertools.count()
        self._asked: dict[int, Future[ComparisonDocument]] = {}

    def compare(self, study_id: str) -> ComparisonDocument:
        """Ask for the comparison of a study, and wait for it, in a thread that may wait for minutes.

        Raises:
            RuntimeError: it could not be computed, or there is nobody to ask any more.
        """
        question = Question(next(self._numbers), study_id)
        future: Future[ComparisonDocument] = Future()
        self._asked[question.number] = future
        if self._stop.is_set() or not self._pipe.send(question):
            raise RuntimeError("the service ends")
        return future.result()

    def run(self) -> None:
        """Tell now and then until told to stop; if the service has died, the process ends as if killed with it."""
        parent = multiprocessing.parent_process()
        assert parent is not None
        while not self._stop.is_set():
            ready = wait([self._pipe.connection, parent.sentinel], TELL_SECONDS) if self._tell() else [parent.sentinel]
            if parent.sentinel in ready:
                os._exit(1)
            if ready:
                self._take(self._pipe.receive())
        for future in list(self._asked.values()):
            future.set_exception(RuntimeError("the service ends"))

    def _tell(self) -> bool:
        return self._pipe.send(self._status())

    def _take(self, order: Any) -> None:
        if isinstance(order, Answer):
            future = self._asked.pop(order.number)
            if order.document is None:
                future.set_exception(RuntimeError(order.error))
            else:
                future.set_result(order.document)
        else:  # to stop, or there is nobody to give orders any more
            self._stop.set()
