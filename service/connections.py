"""Connections that end when their client is too slow: one that drips a request, or never reads its answer.

uvicorn itself would keep them for ever.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 15.0
"""Within which a request's head has to come, counted from the connection's begin or the last answer's end."""
READING_SECONDS = 60.0
"""How long a client may leave an answer unread once the buffers are full."""


class Connection(H11Protocol):
    """A connection with time limits, closed at once if there are too many.

    Args:
        most: connections at the same time.
        arguments: as uvicorn makes its own.
    """

    def __init__(self, *, most: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._most = most
        self._hurry: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it."""
        super().connection_made(transport)
        if len(self.connections) > self._most:
            transport.abort()
        else:
            self._hurry_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time limits."""
        super().connection_lost(exc)
        for timer in (self._hurry, self._unread):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take bytes in; a request whose head is complete has the time it needs, its body has a limit of its own."""
        super().data_received(data)
        self._hurry_up()

    def on_response_complete(self) -> None:
        """Wait for the next request. (It may have come already, and be under way.)"""
        super().on_response_complete()
        self._hurry_up()

    def pause_writing(self) -> None:
        """The client does not read as fast as we write."""
        super().pause_writing()
        self._unread = self.loop.call_later(READING_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _hurry_up(self) -> None:
        """Begin to count when no request is under way, end when one is."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None
        elif not answering and self._hurry is None:
            self._hurry = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)
