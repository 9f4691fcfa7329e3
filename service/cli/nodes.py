"""The commands that run parts of a service on this machine."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from service.config import Settings, is_loopback
from service.errors import SetupError

RESTART_SECONDS = 2.0
"""Pause before a worker that ended is started again."""
STOP_SECONDS = 20.0


def settings(**flags: Any) -> Settings:
    """Settings from the environment, with flags that were given in front.

    Raises:
        SetupError: a setting breaks its rule.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}".removeprefix(": ") for e in error.errors())
        raise SetupError(told) from error


def up(**flags: Any) -> None:
    """Run the service with a scheduler and workers of its own."""
    chosen = settings(**flags)
    if chosen.scheduler:
        raise SetupError("GOLDENBENCH_SCHEDULER is set: use `goldenbench serve` for a cluster, or unset it")
    _serve(chosen)


def serve_cluster(**flags: Any) -> None:
    """Run the service against a scheduler elsewhere."""
    chosen = settings(**flags)
    if not chosen.scheduler:
        raise SetupError("serve needs --scheduler or GOLDENBENCH_SCHEDULER; `goldenbench up` brings its own")
    _serve(chosen)


def scheduler(host: str, port: int) -> None:
    """Run a Dask scheduler with the settings that the dispatcher relies on.

    Raises:
        SetupError: an address beyond loopback without TLS: whoever reaches a Dask scheduler runs code there.
    """
    import asyncio

    from distributed import Scheduler

    from service.dispatch.cluster import configure_dask, security_of

    configure_dask()
    chosen = settings()
    security = security_of(chosen, "scheduler")
    _refuse_open(host, chosen)

    async def run() -> None:
        async with Scheduler(host=host, port=port, security=security, dashboard_address="127.0.0.1:0") as running:
            print(f"scheduler at {running.address}", flush=True)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, lambda: asyncio.ensure_future(running.close()))
            await running.finished()

    asyncio.run(run())


def workers(scheduler: str, data: Path | None) -> int:
    """Start one Dask worker per device and start it again whenever it ends, until this process is told to stop.

    Returns:
        The exit code: 0.
    """
    from service.dispatch.cluster import worker_environment
    from workers.devices import visible_gpus
    from workers.tasks import CACHE_VARIABLE, DEVICE_VARIABLE

    chosen = settings(data=data)
    address = urlsplit(scheduler).hostname or ""
    _refuse_open(address, chosen)
    cache = chosen.data / "cache"
    devices = [{DEVICE_VARIABLE: "cuda", "CUDA_VISIBLE_DEVICES": gpu} for gpu in visible_gpus()]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = []
    for index, device in enumerate(devices or [{DEVICE_VARIABLE: "cpu"}]):
        environment = worker_environment() | device | {CACHE_VARIABLE: str(cache)}
        # With the process, since a second command on the same machine would else be refused as a namesake.
        name = f"{os.uname().nodename}-{os.getpid()}-{device[DEVICE_VARIABLE]}-{index}"
        threads.append(
            threading.Thread(
                target=_supervise, args=(_worker_command(scheduler, name, cache, chosen), environment, stop)
            )
        )
        threads[-1].start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.5)
    return 0


def prepare_data(name: str | None, folds: int, data: Path | None) -> None:
    """List the data sets or prepare one."""
    from studies.datasets.errors import DatasetError
    from studies.datasets.prepare import prepare
    from studies.datasets.registry import DATASETS

    if name is None:
        table = Table("Name", "Images", "Paper's data", "Licence", "Note")
        for info in DATASETS.values():
            paper = {True: "yes", False: "no", None: "if it is"}[info.is_paper_data]
            table.add_row(info.name, f"{info.images:,}" if info.images else "?", paper, info.licence, info.note)
        Console().print(table)
        return
    try:
        file = prepare(name, folds, settings(data=data).data)
    except DatasetError as error:
        raise SetupError(str(error)) from error
    print(f"{file.path}\nsha256 {file.sha256}")


def bench(device: str | None, threads: int | None, seconds: float, as_json: bool) -> int:
    """Run the benchmark of `workers.bench`."""
    from workers.bench import main

    if device not in (None, "cpu", "cuda"):
        raise SetupError(f"--device must be cpu or cuda, not {device}")
    flags = {"--device": device, "--threads": threads, "--seconds": seconds}
    given = [part for flag, value in flags.items() if value is not None for part in (flag, str(value))]
    return main([*given, "--json"] if as_json else given)


def import_results(folder: Path, **flags: Any) -> None:
    """Take a folder of `workers.run` into the store."""
    from service.imports import import_folder
    from service.store.engine import Store

    chosen = settings(**flags)
    store = Store(chosen.store_url)
    store.migrate()
    study, count = import_folder(store, folder)
    store.close()
    print(f"study {study}: {count} trainings imported; `goldenbench up` shows them")


def configure_logs() -> None:
    """Log lines on standard error, warnings only unless GOLDENBENCH_LOG says otherwise."""
    import logging

    level = getattr(logging, os.environ.get("GOLDENBENCH_LOG", "warning").upper(), logging.WARNING)
    plain = structlog.dev.plain_traceback  # the default one shows local variables, the database's password among them
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper("iso"),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _serve(chosen: Settings) -> None:
    from service.server import serve

    configure_logs()

    def ready(url: str) -> None:
        print(f"goldenbench   {url}/\nREST          {url}/docs\nOptuna        {url}/dashboard", flush=True)

    serve(chosen, ready)


def _refuse_open(host: str, chosen: Settings) -> None:
    """Beyond loopback, Dask speaks TLS or not at all."""
    if chosen.tls_ca is None and not is_loopback(host):
        raise SetupError(f"{host} is not a loopback address: set GOLDENBENCH_TLS_CA, _TLS_CERT and _TLS_KEY")


def _worker_command(scheduler: str, name: str, cache: Path, chosen: Settings) -> list[str]:
    options = {
        "--name": name,
        "--nthreads": "1",
        "--nworkers": "1",
        "--resources": "slot=1",
        "--memory-limit": "0",
        "--preload": "workers.preload",
        "--local-directory": str(cache / "scratch"),
    }
    if chosen.tls_ca is None:
        options["--host"] = "127.0.0.1"  # by default Dask listens on every interface
    else:
        files = {"--tls-ca-file": chosen.tls_ca, "--tls-cert": chosen.tls_cert, "--tls-key": chosen.tls_key}
        options |= {flag: str(file) for flag, file in files.items() if file is not None}
    flat = [part for option in options.items() for part in option]
    return [sys.executable, "-m", "dask", "worker", scheduler, "--no-dashboard", *flat]


def _supervise(command: list[str], environment: dict[str, str], stop: threading.Event) -> None:
    """Keep one worker running. A worker whose scheduler went away ends with code 0, so every end is followed up."""
    pre_spawn = "{" + ", ".join(f"{key!r}: {value!r}" for key, value in environment.items()) + "}"
    inherited = os.environ | environment | {"DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON": pre_spawn}
    while not stop.is_set():
        process = subprocess.Popen(command, env=inherited)
        while process.poll() is None and not stop.wait(0.2):
            pass
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        elif not stop.is_set():
            print(f"worker ended with code {process.returncode}; starting it again", file=sys.stderr, flush=True)
            stop.wait(RESTART_SECONDS)
