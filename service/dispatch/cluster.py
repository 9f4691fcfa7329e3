"""The Dask cluster as the dispatcher sees it: slots, submissions, cancellations, data sets.

Only packs that have a slot are submitted, each to one worker, with no retries of Dask's own: tasks with resources
bypass Dask's queue, and a worker's death would blame packs that never ran.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
import structlog
from distributed import Client, Future, Nanny, Scheduler, SpecCluster
from distributed.security import Security

from service.config import Settings, is_loopback
from service.dispatch.accept import Lease
from service.dispatch.devices import worker_environments
from service.errors import SetupError
from service.versions import REFUSED_TOPIC, OtherVersion, compare_as_client
from studies.models import registry as models
from studies.spec import BN_STATISTICS, ENGINES, PRECISIONS
from workers import tasks
from workers.devices import available_threads

CALL_SECONDS = 20
"""How long a worker may take to answer a question before it counts as absent."""
CONNECT_SECONDS = 10
"""How long one try to reach a scheduler elsewhere may take; SIGTERM waits for its end."""
WORKER_TTL_SECONDS = 10
"""Silence after which the scheduler gives a worker up (it applies at least ten heartbeats)."""
CALM = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "500ms"}
"""Dask looks a hundred times a second at what a worker does and fifty times at whether its own event loop is late, for
pages that we do not serve: more than half of what a service without work costs."""

WANTED = [
    (model, engine, precision, statistics)
    for model in models.MODELS
    for engine in ENGINES
    for precision in PRECISIONS
    for statistics in BN_STATISTICS
]
"""Everything a specification can ask of a worker."""

log = structlog.get_logger("goldenbench.cluster")


@dataclass(frozen=True)
class Slot:
    """A worker that can train one pack at a time."""

    address: str
    name: str
    announcement: tasks.Announcement


def configure_dask() -> None:
    """Settings that every scheduler and worker process of ours needs."""
    logging.getLogger("distributed").setLevel(logging.ERROR)  # its own news; the dispatcher logs what matters
    dask.config.set(
        CALM
        | {
            "distributed.scheduler.allowed-failures": 0,
            "distributed.scheduler.worker-ttl": f"{WORKER_TTL_SECONDS}s",
            "distributed.scheduler.work-stealing": False,
            "distributed.worker.daemon": True,
            "distributed.admin.log-format": "%(asctime)s %(name)s %(levelname)s %(message)s",
            "distributed.nanny.pre-spawn-environ": worker_environment(),
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
        }
    )


def worker_environment() -> dict[str, str]:
    """Environment of a worker process: its threads (Dask's nanny would set 1) and how glibc keeps freed memory.

    A training allocates and frees the same few tensors of some megabytes in each step; given back to the system each
    time, they cost as many seconds in page faults as the arithmetic.
    """
    threads = str(available_threads())
    return {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
        "MALLOC_TOP_PAD_": str(1 << 27),
        "DASK_LOGGING__DISTRIBUTED": "error",
        **{f"DASK_{name.upper().replace('.', '__')}": str(value) for name, value in CALM.items()},
    }


def worker_options(cache: Path) -> dict[str, Any]:
    """Options of every nanny and its worker."""
    return {
        "nthreads": 1,
        "resources": {"slot": 1},
        "memory_limit": 0,  # training memory is bounded by the pack; CUDA reserves address space that looks like use
        "preload": ["workers.preload"],
        "death_timeout": 60,
        "env": {tasks.CACHE_VARIABLE: str(cache)},
        "local_directory": str(cache / "scratch"),
        "dashboard_address": "127.0.0.1:0",
    }


class Cluster:
    """A connection to a scheduler, with a scheduler and workers of its own if none is configured.

    Raises:
        OtherVersion: the scheduler elsewhere is not of this service's versions.
        OSError: it does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        configure_dask()
        self._settings = settings
        self._own: SpecCluster | None = None
        self.own_workers: int | None = None
        """How many workers it starts itself; None with a scheduler elsewhere."""
        security = security_of(settings, "client")
        if settings.scheduler:
            self.client = Client(settings.scheduler, security=security, timeout=CONNECT_SECONDS, set_as_default=False)
            self._compare_versions()
        else:
            self._own = _embedded(settings.data / "cache", settings.device)
            self.own_workers = len(self._own.worker_spec)
            self.client = Client(self._own, set_as_default=False)

    @property
    def alive(self) -> bool:
        """Whether the scheduler still answers."""
        return self.client.status == "running"

    def workers(self) -> dict[str, str]:
        """Address and name of every worker that offers a slot."""
        found = self.client.scheduler_info(n_workers=-1)["workers"]
        return {address: str(info["name"]) for address, info in found.items() if info.get("resources", {}).get("slot")}

    def greet(self, address: str, name: str) -> Slot:
        """Ask a worker what it is.

        Raises:
            OSError, TimeoutError: it does not answer.
        """
        return Slot(address, name, self._ask(address, tasks.announce, WANTED))

    def place(self, address: str, sha256: str, path: Path) -> None:
        """See to it that a worker holds a data set."""
        if not self._ask(address, tasks.has_dataset, sha256):
            self._ask(address, tasks.put_dataset, sha256, path.read_bytes())

    def submit(self, lease: Lease, slot: Slot) -> "Future[Any]":
        """Hand a pack to a slot."""
        return self.client.submit(
            tasks.run_pack,
            lease.pack,
            lease.attempt,
            lease.dataset_sha256,
            lease.engine,
            [member.to_json() for member in lease.members],
            key=f"pack-{lease.pack}-{lease.attempt}",
            workers=[slot.address],
            allow_other_workers=False,
            resources={"slot": 1},
            retries=0,
            pure=False,
        )

    def stop(self, address: str, pack: str, attempt: int) -> None:
        """Ask a worker to end a pack within one epoch."""
        self._ask(address, tasks.cancel_pack, pack, attempt)

    def on_progress(self, handler: Callable[[dict[str, Any]], None]) -> None:
        """Call `handler` with each progress event (from another thread; it must only enqueue)."""
        self.client.subscribe_topic(tasks.PROGRESS_TOPIC, lambda event: handler(event[1]))

    def on_leaving(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with the address of each worker that is about to leave, before it does (as `on_progress`)."""
        self.client.subscribe_topic(tasks.LEAVING_TOPIC, lambda event: handler(event[1]["worker"]))

    def close(self) -> None:
        """Leave the scheduler; end it and its workers if they are ours."""
        self.client.close(timeout=5)
        if self._own is not None:
            self._own.close(timeout=15)

    def _compare_versions(self) -> None:
        """See whether the scheduler fits, and listen to what it hears from workers that do not."""
        try:
            compare_as_client(self.client)
        except OtherVersion:
            self.client.close(timeout=5)
            raise
        self.client.subscribe_topic(REFUSED_TOPIC, lambda event: log.error("worker refused", **event[1]))

    def _ask(self, address: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in a worker's process, with a time limit."""
        run = self.client._run  # Client.run takes no time limit; sync() with callback_timeout does
        answers = self.client.sync(run, function, *arguments, workers=[address], callback_timeout=CALL_SECONDS)
        return answers[address]


def _embedded(cache: Path, device: str) -> SpecCluster:
    """A scheduler and one worker per GPU (or one on the CPU) on 127.0.0.1, with TLS of this process's own."""
    environments = worker_environments(device)
    security = Security.temporary()
    options = worker_options(cache) | {"security": security, "host": "127.0.0.1", "protocol": "tls"}
    return SpecCluster(
        scheduler={
            "cls": Scheduler,
            "options": {
                "host": "127.0.0.1",
                "protocol": "tls",
                "security": security,
                "dashboard_address": "127.0.0.1:0",
            },
        },
        workers={
            f"{environment[tasks.DEVICE_VARIABLE]}-{index}": {
                "cls": Nanny,
                "options": options | {"env": options["env"] | environment},
            }
            for index, environment in enumerate(environments)
        },
        security=security,
        silence_logs=False,
    )


def security_of(settings: Settings, role: str) -> Security | None:
    """TLS as settings give it; None without.

    Args:
        settings: name the files.
        role: `client`, `worker` or `scheduler`.

    Raises:
        SetupError: a file is not named, or cannot be used.
    """
    files = {"ca": settings.tls_ca, "cert": settings.tls_cert, "key": settings.tls_key}
    missing = [f"GOLDENBENCH_TLS_{name.upper()}" for name, path in files.items() if path is None]
    if len(missing) == len(files):
        return None
    if missing:
        raise SetupError(f"TLS needs all three of its files; {' and '.join(missing)} not set")
    named = {"tls_ca_file": files["ca"], f"tls_{role}_cert": files["cert"], f"tls_{role}_key": files["key"]}
    security = Security(require_encryption=True, **{name: os.fspath(path or "") for name, path in named.items()})
    try:
        security.get_connection_args(role)
    except OSError as error:  # ssl's errors too
        told = ", ".join(str(path) for path in files.values())
        raise SetupError(f"TLS cannot use {told}: {error}") from error
    return security


def check_scheduler(settings: Settings) -> None:
    """Refuse the address of a scheduler that would be spoken to in the clear across a network.

    Raises:
        SetupError: no such address, or TLS on one side only.
    """
    parts = urlsplit(settings.scheduler)
    if parts.scheme not in ("tcp", "tls") or not parts.hostname:
        raise SetupError(f"a scheduler's address reads tls://HOST:PORT, not {settings.scheduler!r}")
    if parts.scheme == "tcp":
        check_open(parts.hostname, settings)
    if (parts.scheme == "tls") != (settings.tls_ca is not None):
        raise SetupError(f"{settings.scheduler}: tls:// and GOLDENBENCH_TLS_CA, _TLS_CERT and _TLS_KEY go together")


def check_open(host: str, settings: Settings) -> None:
    """Refuse to speak Dask in the clear beyond loopback: whoever reaches a scheduler runs code there.

    Raises:
        SetupError: no TLS.
    """
    if settings.tls_ca is None and not is_loopback(host):
        raise SetupError(f"{host} is not a loopback address: set GOLDENBENCH_TLS_CA, _TLS_CERT and _TLS_KEY")
