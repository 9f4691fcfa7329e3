"""A running service: store, dispatcher, record, app; put together here and nowhere else."""

import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from service.api.context import Context
from service.app import create_app
from service.config import Settings
from service.dispatch.cluster import Cluster
from service.dispatch.loop import Dispatcher
from service.errors import SetupError
from service.record import Record, find_number, open_storage
from service.recorder import Recorder
from service.reports import Reports
from service.server_address import remove_address, write_address
from service.store.engine import Store

SHUTDOWN_SECONDS = 5
"""How long open requests (event streams, above all) may delay the end."""
PORTS_TRIED = 50

log = structlog.get_logger("goldenbench")


def serve(settings: Settings, ready: Callable[[str], None], stopping: threading.Event | None = None) -> None:
    """Run the service until it is told to stop (SIGTERM, SIGINT).

    Args:
        settings: how.
        ready: called with the base address once it answers.
        stopping: ends the service when set, as a signal would.

    Raises:
        SetupError: no free port, or a database that cannot be used.
    """
    stopping = stopping or threading.Event()
    with _signals(stopping):
        _serve(settings, ready, stopping)


def _serve(settings: Settings, ready: Callable[[str], None], stopping: threading.Event) -> None:
    settings.data.mkdir(parents=True, exist_ok=True)
    listener = _listen(settings.host, settings.port)
    url = f"http://{_bracketed(settings.host)}:{listener.getsockname()[1]}"
    store = Store(settings.store_url)
    try:
        store.migrate()
        storage = open_storage(store)
    except SQLAlchemyError as error:
        raise SetupError(f"the database cannot be used: {str(error).splitlines()[0]}") from error
    dispatcher = Dispatcher(store, settings, lambda: Cluster(settings))
    reports = Reports(store)
    recorder = Recorder(store, Record(storage), dispatcher.leadership, dispatcher.leads, reports.comparison_now)
    context = Context(
        settings,
        store,
        reports,
        dispatcher.workers,
        lambda: dispatcher.state,
        lambda name: find_number(storage, name),
    )
    config = uvicorn.Config(
        create_app(context, storage),
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        server_header=False,
    )
    server = _Server(config, lambda: ready(url), stopping)
    try:
        dispatcher.start()
        recorder.start()
        write_address(settings.data, url)
        server.run(sockets=[listener])
    finally:
        remove_address(settings.data)
        dispatcher.begin_stop()
        recorder.stop()
        dispatcher.stop()
        reports.close()
        store.close()


class _Server(uvicorn.Server):
    """Says when it answers, and ends when an event is set."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None], stopping: threading.Event) -> None:
        super().__init__(config)
        self._started = started
        self._stopping = stopping

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to `serve`: uvicorn raises them again when it ends, which would skip the clean-up."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            self._started()

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether to end."""
        return await super().on_tick(counter) or self._stopping.is_set()


@contextmanager
def _signals(stopping: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stopping`, from before anything starts until everything has ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket on the port, or on the next free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + PORTS_TRIED, 65_536)):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(128)
        except OSError:
            listener.close()
            continue
        return listener
    raise SetupError(f"no free port from {port} to {port + PORTS_TRIED - 1} on {host}")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
