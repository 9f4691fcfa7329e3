"""A running service: store, dispatcher, record, app; put together here and nowhere else."""

import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import structlog
import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp

from service.access import tokens
from service.api.context import Context
from service.app import create_app
from service.certificates import valid_until
from service.config import Settings, is_wildcard
from service.connections import Connection
from service.dispatcher_process import DispatcherProcess
from service.errors import DispatcherDied, SetupError
from service.garbage import leave_alone_what_stays
from service.metrics.exposed import Metrics, Sources
from service.record import find_number, open_storage
from service.reports import Reports
from service.server_address import remove_address, write_address
from service.store.engine import Store

SHUTDOWN_SECONDS = 5
"""How long open requests (event streams, above all) may delay the end."""
PORTS_TRIED = 50
CONNECTIONS_PER_REQUEST = 2
"""Open connections for each request that may be answered at once: browsers keep some between requests."""

log = structlog.get_logger("goldenbench")


def serve(settings: Settings, ready: Callable[[str], None], stopping: threading.Event | None = None) -> None:
    """Run the service until it is told to stop (SIGTERM, SIGINT).

    Args:
        settings: how.
        ready: called with the base address once it answers.
        stopping: ends the service when set, as a signal would.

    Raises:
        SetupError: no free port, a database or certificate that cannot be used, or nobody who could get in.
    """
    stopping = stopping or threading.Event()
    with _signals(stopping):
        _serve(settings, ready, stopping)


def _serve(settings: Settings, ready: Callable[[str], None], stopping: threading.Event) -> None:
    settings.data.mkdir(parents=True, exist_ok=True)
    store = Store(settings.store_url)
    try:
        store.migrate()
        storage = open_storage(store)
    except SQLAlchemyError as error:
        raise SetupError(f"the database cannot be used: {str(error).splitlines()[0]}") from error
    _check_tokens(settings, store)
    ends = {use: valid_until(path) for use, path in settings.certificates.items()}
    with ExitStack() as ending:
        ending.callback(store.close)
        dispatcher = DispatcherProcess(settings, stopping.set, lambda study: reports.comparison_now(study))
        ending.callback(dispatcher.stop)
        listener = _listen(settings.host, settings.port)
        url = _url(settings, listener.getsockname()[1])
        metrics = Metrics(Sources(store, settings.data, dispatcher.status, dispatcher.pid, ends))
        reports = Reports(store, metrics.comparison)
        ending.callback(reports.close)
        number = partial(find_number, storage)
        context = Context(settings, store, reports, dispatcher.status, metrics, number)
        config = _config(settings, create_app(context, storage))
        server = _Server(config, lambda: ready(url), dispatcher.begin_stop, stopping)
        write_address(settings.data, url)
        ending.callback(remove_address, settings.data)
        leave_alone_what_stays()
        server.run(sockets=[listener])
    if dispatcher.died:
        raise DispatcherDied


def _check_tokens(settings: Settings, store: Store) -> None:
    """Refuse to serve where strangers come and nobody else could get in."""
    with store.read() as session:
        if settings.tokens_required and not tokens.any_valid(session):
            raise SetupError(
                "nobody could get in: tokens are required, since the service listens or is named beyond loopback or "
                "GOLDENBENCH_REQUIRE_TOKENS is set, and none is valid; `goldenbench token create NAME --scope admin` "
                "makes one"
            )


def _config(settings: Settings, app: ASGIApp) -> uvicorn.Config:
    """How uvicorn serves the app.

    Raises:
        SetupError: the certificate cannot be used.
    """
    config = uvicorn.Config(
        app,
        http=partial(Connection, most=CONNECTIONS_PER_REQUEST * settings.max_requests),  # type: ignore[arg-type]
        ssl_certfile=settings.https_cert,
        ssl_keyfile=settings.https_key,
        forwarded_allow_ips=settings.proxies,
        log_config=None,  # its lines end where `service.logs` sends all others
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        server_header=False,
    )
    try:
        config.load()
    except OSError as error:
        raise SetupError(f"GOLDENBENCH_HTTPS_CERT and _HTTPS_KEY cannot be used: {error}") from error
    return config


class _Server(uvicorn.Server):
    """Says when it answers and when it begins to end, which it does when an event is set."""

    def __init__(
        self,
        config: uvicorn.Config,
        started: Callable[[], None],
        ending: Callable[[], None],
        stopping: threading.Event,
    ) -> None:
        super().__init__(config)
        self._started = started
        self._ending = ending
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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell, then end: no pack is leased while open requests are waited for."""
        self._ending()
        await super().shutdown(sockets)

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
        # Named in full: asyncio turns Nagle's delay off only for sockets whose protocol says TCP, and an answer of two
        # packets would wait 40 ms for the first to be acknowledged.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(128)
        except OSError:
            listener.close()
            continue
        return listener
    raise SetupError(f"no free port from {port} to {port + PORTS_TRIED - 1} on {host}")


def _url(settings: Settings, port: int) -> str:
    """The base address for users: encrypted under the name that a certificate is likely to have."""
    encrypted = settings.https_cert is not None
    host = settings.host
    if is_wildcard(host):
        host = settings.allowed_hosts[0] if encrypted and settings.allowed_hosts else "127.0.0.1"
    return f"{'https' if encrypted else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
