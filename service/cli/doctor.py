"""`goldenbench doctor`: what is installed, what would train, and whether the parts of a service reach each other."""

import importlib.util
import json
import os
import platform
import socket
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.cli.finding import Finding
from service.cli.machine import certificates, devices, disk, entry_points
from service.config import Settings
from service.server_address import running_address
from service.store.engine import Store

PACKAGES = ("goldenbench", "torch", "numpy", "scipy", "scikit-learn", "optuna", "optuna-dashboard", "distributed")
CONNECT_SECONDS = 5.0
MARKS = {"good": "[green]ok[/green]", "note": "[yellow]note[/yellow]", "bad": "[red]BAD[/red]"}


def doctor(settings: Settings, url: str | None, as_json: bool) -> int:
    """Look at everything and print it.

    Args:
        settings: of the service that would run here.
        url: of a service that is asked how it is; None: the one that runs on the data folder, if any.
        as_json: print JSON instead of a table.

    Returns:
        The exit code: 0 if nothing is bad, else 1.
    """
    findings = list(_findings(settings, url))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for finding in findings:
            table.add_row(MARKS[finding.state], escape(finding.what), escape(finding.told))
        Console().print(table)
    return int(any(finding.state == "bad" for finding in findings))


def _findings(settings: Settings, url: str | None) -> Iterator[Finding]:
    installed = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    yield Finding("installed", "good", f"Python {platform.python_version()}, {installed}")
    yield from entry_points()
    if importlib.util.find_spec("torch") is None:
        yield Finding("device", "note", "no PyTorch here: this installation serves, and trains nothing")
    else:
        yield from devices(settings.device)
    yield disk(settings.data)
    yield from certificates(settings)
    yield _database(settings)
    if settings.scheduler:
        yield _scheduler(settings.scheduler)
    yield from _service(settings, url)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _database(settings: Settings) -> Finding:
    url = sa.make_url(settings.store_url)
    shown = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return Finding("database", "note", f"{shown} is not there yet; the first start makes it")
    store = Store(settings.store_url)
    try:
        with store.read() as session:
            session.execute(sa.text("SELECT 1"))
    except sa.exc.SQLAlchemyError as error:
        return Finding("database", "bad", f"{shown}: {str(error).splitlines()[0]}")
    finally:
        store.close()
    return Finding("database", "good", f"{shown} answers")


def _scheduler(address: str) -> Finding:
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), CONNECT_SECONDS).close()
    except OSError as error:
        return Finding("scheduler", "bad", f"{address} does not answer: {error}")
    return Finding("scheduler", "good", f"{address} accepts connections")


def _service(settings: Settings, url: str | None) -> Iterator[Finding]:
    """A running service and its workers."""
    found = url or running_address(settings.data)
    if found is None:
        yield Finding("service", "note", f"none runs on {settings.data}; `goldenbench up` starts one")
        return
    token = os.environ.get("GOLDENBENCH_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(base_url=found, timeout=CONNECT_SECONDS, headers=headers) as http:
            if http.get("/readyz").status_code == 401:
                yield Finding("service", "bad", f"{found} asks for a token: set GOLDENBENCH_TOKEN to a valid one")
                return
            ready, workers = http.get("/readyz").json(), http.get("/v1/workers").json()["items"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        yield Finding("service", "bad", f"{found} does not answer as goldenbench: {type(error).__name__}: {error}")
        return
    checks = ", ".join(f"{name} {state}" for name, state in ready["checks"].items())
    yield Finding("service", "good" if ready["status"] == "ready" else "bad", f"{found} is {ready['status']}: {checks}")
    for worker in workers:
        busy = f"trains for study {worker['study']}" if worker["study"] else "idle"
        yield Finding("worker", "good", f"{worker['name']}, {worker['device']}, {busy}")
