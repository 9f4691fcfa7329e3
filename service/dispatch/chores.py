"""Slow work in other threads, and the inbox through which its outcome comes back to the loop."""

import queue
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError

from service.errors import LeadershipLost

THREADS = 8
HOPELESS = (IntegrityError, DataError, ProgrammingError, NotSupportedError)
"""What a database raises because of the statement, now and at every later try; its other errors pass."""

log = structlog.get_logger("goldenbench.chores")


class Chores:
    """Callbacks from other threads run one by one in the loop's thread, and each until it succeeds."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._unhandled: deque[Callable[[], None]] = deque()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dispatch-chore")

    def enqueue(self, message: Callable[[], None]) -> None:
        """Have the loop call `message`; safe from any thread."""
        self._inbox.put(message)

    def start(self, work: Callable[[], Any], then: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
        """Do `work` in another thread; the loop then calls `then` with its value or `failed` with its error."""

        def job() -> None:
            try:
                value = work()
            except Exception as caught:
                error = caught
                self.enqueue(lambda: failed(error))
            else:
                self.enqueue(lambda: then(value))

        self._pool.submit(job)

    def wait(self, seconds: float) -> None:
        """Wait until something has come in, at most so long."""
        with suppress(queue.Empty):
            self._unhandled.append(self._inbox.get(timeout=seconds))

    def handle(self) -> None:
        """Call what has come in.

        A message that finds the database away, or the leadership lost, stays first in line. One that fails otherwise
        would fail for ever and hold up every study, so it is logged and dropped.
        """
        while not self._inbox.empty():
            self._unhandled.append(self._inbox.get())
        while self._unhandled:
            try:
                self._unhandled[0]()
            except Exception as error:
                if passes(error):
                    raise
                log.error("message dropped", exc_info=error)
            self._unhandled.popleft()

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def passes(error: Exception) -> bool:
    """Whether the same transaction may succeed later: the database is away, or another dispatcher leads."""
    return isinstance(error, DBAPIError | LeadershipLost) and not isinstance(error, HOPELESS)
