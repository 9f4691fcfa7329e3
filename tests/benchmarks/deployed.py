"""A service, a scheduler and simulated devices, each in a process of its own, on a database of their own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from service.store.engine import Store
from tests.acceptance.running import free_port
from tests.private_postgresql import open_server

DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=512MB", "max_wal_size=4GB")
COMMAND = "from service.cli.main import main; main()"
PER_PROCESS = 32
"""Simulated devices in one process."""
READY_SECONDS = 120
STOP_SECONDS = 60


@contextmanager
def database(kind: str) -> Iterator[tuple[Path, str]]:
    """A new folder and the address of a new database, which end with the block."""
    folder = Path(tempfile.mkdtemp(prefix="goldenbench-scale-"))
    try:
        if kind == "sqlite":
            yield folder, f"sqlite:///{folder / 'goldenbench.db'}"
            return
        server = open_server(DURABLE)
        try:
            server.execute("CREATE DATABASE scale")
            yield folder, server.url("scale")
        finally:
            server.stop_immediately()
            shutil.rmtree(server.folder, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def process(command: list[str], log: Path, **environment: str) -> Iterator[None]:
    """A process that ends with the block."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GOLDENBENCH_")}
    with log.open("ab") as output:
        started = subprocess.Popen(command, env=own | environment, stdout=output, stderr=output)
    try:
        yield
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def deployment(kind: str, devices: int, rate: float, pack_seconds: float) -> Iterator[tuple[httpx.Client, Store]]:
    """A service that has its devices; a client of it, and its store.

    Args:
        kind: `sqlite` or `postgresql`.
        devices: how many are simulated.
        rate: trainings per second of each.
        pack_seconds: how long a pack should last.
    """
    with ExitStack() as stack:
        folder, url = stack.enter_context(database(kind))
        port, scheduler_port = free_port(), free_port()
        scheduler = f"tcp://127.0.0.1:{scheduler_port}"
        goldenbench = [sys.executable, "-c", COMMAND]
        stack.enter_context(
            process([*goldenbench, "scheduler", "--port", str(scheduler_port)], folder / "scheduler.log")
        )
        for first in range(0, devices, PER_PROCESS):
            flags = ["--devices", str(min(PER_PROCESS, devices - first)), "--rate", str(rate)]
            simulated = [sys.executable, "-m", "tests.benchmarks.simulated", scheduler, *flags]
            stack.enter_context(process([*simulated, "--cache", str(folder / "cache")], folder / "devices.log"))
        serve = [*goldenbench, "serve", "--scheduler", scheduler, "--port", str(port), "--data", str(folder / "data")]
        environment = {"GOLDENBENCH_DATABASE_URL": url, "GOLDENBENCH_PACK_SECONDS": str(pack_seconds)}
        stack.enter_context(process(serve, folder / "service.log", **environment))
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False))
        wait(lambda: _ready(client, devices), f"{devices} devices; see {folder}/*.log")
        store = Store(url)
        stack.callback(store.close)
        yield client, store


def wait(look: Callable[[], Any], what: str, seconds: float = READY_SECONDS) -> None:
    """Wait until `look` is true.

    Raises:
        TimeoutError: it is not within so many seconds.
    """
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)


def _ready(client: httpx.Client, devices: int) -> bool:
    try:
        return len(client.get("/v1/workers").json()["items"]) >= devices
    except (httpx.TransportError, ValueError, KeyError):
        return False


def grid(cells: tuple[int, int], runs: int, **changes: Any) -> dict[str, Any]:
    """A study of so many cells, of ten folds and 30 epochs."""
    rates = [round(0.001 * 1.01**step, 9) for step in range(cells[0])]
    momenta = [round(0.9 * step / cells[1], 9) for step in range(cells[1])]
    document = {
        "name": "scale",
        "dataset": "rotated-digits",
        "loss": "dual-process",
        "prescribed": {"learning_rate": rates[0], "momentum": momenta[0]},
        "grid": {"learning_rate": {"values": rates}, "momentum": {"values": momenta}},
        "references": [],
        "runs": runs,
    }
    return document | changes
