"""The commands that run parts of a service on this machine."""

import signal
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from service.config import Settings
from service.errors import SetupError
from service.logs import configure_logs


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
    from service.dispatch.devices import worker_environments

    worker_environments(chosen.device)  # to be refused here, and not in the dispatcher again and again
    _serve(chosen)


def serve_cluster(**flags: Any) -> None:
    """Run the service against a scheduler elsewhere."""
    chosen = settings(**flags)
    if not chosen.scheduler:
        raise SetupError("serve needs --scheduler or GOLDENBENCH_SCHEDULER; `goldenbench up` brings its own")
    from service.dispatch.cluster import check_scheduler, security_of

    check_scheduler(chosen)
    security_of(chosen, "client")
    _serve(chosen)


def scheduler(host: str, port: int) -> None:
    """Run a Dask scheduler with the settings that the dispatcher relies on.

    Raises:
        SetupError: an address beyond loopback without TLS: whoever reaches a Dask scheduler runs code there.
    """
    import asyncio
    import warnings

    from distributed import Scheduler

    from service.dispatch.cluster import check_open, configure_dask, security_of
    from service.versions import answer_with_versions

    configure_dask()
    chosen = settings()
    check_open(host, chosen)
    security = security_of(chosen, "scheduler")
    # Dask wants to know an address of its own to tell to others; ours are all told the scheduler's.
    warnings.filterwarnings("ignore", "Couldn't detect a suitable IP address", RuntimeWarning)

    async def run() -> None:
        started = Scheduler(host=host, port=port, security=security, dashboard_address="127.0.0.1:0")
        answer_with_versions(started)
        async with started as running:
            shown = f"[{host}]" if ":" in host else host
            print(f"scheduler at {'tcp' if security is None else 'tls'}://{shown}:{running.port}", flush=True)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, lambda: asyncio.ensure_future(running.close()))
            await running.finished()

    asyncio.run(run())


def workers(host: str | None, ports: str | None, **flags: Any) -> int:
    """Run this machine's workers until told to stop; exit code 1 if the scheduler refuses them."""
    from service.cli.workers import run_workers

    chosen = settings(**flags)
    if not chosen.scheduler:
        raise SetupError("worker needs --scheduler or GOLDENBENCH_SCHEDULER")
    return run_workers(chosen, host, ports)


def certificates(folder: Path, hosts: list[str], days: int, if_missing: bool) -> None:
    """Make TLS files and print the settings that name them."""
    from service.certificates import CertificateSet, make_certificates

    made = CertificateSet.within(folder.expanduser().absolute())
    if not (if_missing and made.authority.exists()):
        made = make_certificates(made.authority.parent, hosts, days)
    for name, value in made.variables().items():
        print(f"{name}={value}")
    print(f"valid until {made.valid_until():%Y-%m-%d}; every machine needs all three files", file=sys.stderr)


def migrate(**flags: Any) -> None:
    """Make the tables, or bring them to this version."""
    from sqlalchemy.exc import SQLAlchemyError

    from service.store.engine import Store

    store = Store(settings(**flags).store_url)
    try:
        store.migrate()
    except SQLAlchemyError as error:
        raise SetupError(f"the database cannot be used: {str(error).splitlines()[0]}") from error
    finally:
        store.close()


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
    from sqlalchemy.exc import SQLAlchemyError

    from service.imports import import_folder
    from service.store.engine import Store

    store = Store(settings(**flags).store_url)
    try:
        store.migrate()
        study, count = import_folder(store, folder)
    except SQLAlchemyError as error:
        told = str(error).splitlines()[0]
        raise SetupError(f"the database failed ({told}); import again, which makes no second study") from error
    finally:
        store.close()
    print(f"study {study}: {count} trainings imported; `goldenbench up` shows them")


def _serve(chosen: Settings) -> None:
    from service.server import serve

    configure_logs()

    def ready(url: str) -> None:
        print(f"goldenbench   {url}/\nREST          {url}/docs\nOptuna        {url}/dashboard", flush=True)

    serve(chosen, ready)
