"""A service with scheduler, workers and database of its own, each of which can be struck."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from service.store.engine import Store
from service.store.tables import Pack
from tests.chaos.fault_log import FaultLog, Violation
from tests.chaos.forked import Nursery, eventually, send
from tests.chaos.proxy import Proxy
from tests.private_postgresql import PostgreSQL, open_server

PLUGIN = Path(__file__).parent / "plugin"
KEEP = "CHAOS_KEEP"
"""Environment variable: keep a deployment's folder although nothing failed."""
READY_SECONDS = 120
STUDY_SECONDS = float(os.environ.get("CHAOS_STUDY_SECONDS", "300"))
"""Within which a study has to end after a fault (I3); a hundred times what it takes on an idle machine."""
RETRY_SECONDS = 0.1
DURABLE = ("synchronous_commit=on", "fsync=on", "full_page_writes=on")
"""What a server needs to keep its promises when it is ended at once."""
ENTRY_POINTS = """[goldenbench.models]
chaos-linear = chaos_plugin.registration:MODEL
[goldenbench.datasets]
chaos-spots = chaos_plugin.registration:DATASET
chaos-nothing = chaos_plugin.registration:BROKEN
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Deployment:
    """`goldenbench serve` against a scheduler and workers.

    Args:
        log: where faults are noted; its database says which kind.
        workers: how many.
        training_seconds: how long each training lasts at least.
        pack_seconds: how long a pack should last.
        proxied: whether the service reaches its scheduler through `self.proxy`.
        supervised: whether workers are `goldenbench worker` with its own supervision, instead of forks.
    """

    def __init__(
        self,
        log: FaultLog,
        workers: int = 3,
        training_seconds: float = 0.08,
        pack_seconds: float = 0.5,
        proxied: bool = False,
        supervised: bool = False,
    ) -> None:
        self.log = log
        self.folder = Path(tempfile.mkdtemp(prefix="goldenbench-chaos-"))
        self.poison, self.pages = self.folder / "poison.json", self.folder / "pages"
        self._training_seconds, self._pack_seconds = training_seconds, pack_seconds
        self.server: PostgreSQL | None = open_server(DURABLE) if log.database == "postgresql" else None
        self.url = self._make_database()
        self._environment = self._make_environment()
        self.nursery = Nursery(self.folder, self._environment)
        self.scheduler_port, self.port = free_port(), free_port()
        self.nursery.start("scheduler", "scheduler", {}, host="127.0.0.1", port=self.scheduler_port)
        self.proxy = Proxy(self.scheduler_port) if proxied else None
        self._supervised: list[subprocess.Popen[bytes]] = []
        for index in range(workers):
            (self._add_supervised if supervised else self._add_forked)(f"worker-{index}")
        self.http = self._client()
        self.store = Store(self.url)
        self.service = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        for supervisor in self._supervised:
            supervisor.terminate()
        for supervisor in self._supervised:
            supervisor.wait(60)
        self.nursery.close()
        self.http.close()
        self.store.close()
        if self.proxy is not None:
            self.proxy.close()
        if self.server is not None:
            self.server.stop_immediately()
            shutil.rmtree(self.server.folder, ignore_errors=True)
        if error is None and KEEP not in os.environ:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.log.note("kept", folder=str(self.folder))

    def _add_forked(self, name: str) -> None:
        address = f"tcp://127.0.0.1:{self.scheduler_port}"
        self.nursery.start("worker", name, {}, scheduler=address, name=name, cache=str(self.folder / name))

    def _add_supervised(self, name: str) -> None:
        run = "from service.cli.main import main; main()"  # what `goldenbench` does, of the tree that is tested
        command = [sys.executable, "-c", run, "worker", "--data", str(self.folder / name)]
        command += ["--scheduler", f"tcp://127.0.0.1:{self.scheduler_port}"]
        environment = os.environ | self._environment
        with (self.folder / f"{name}.log").open("wb") as log:
            self._supervised.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    def start(self, crash_point: str = "", name: str = "service") -> int:
        """Start the service, at `self.port`; its process id. It may not be ready yet."""
        scheduler = self.scheduler_port if self.proxy is None else self.proxy.port
        environment = {"GOLDENBENCH_CRASH_POINT": crash_point} if crash_point else {}
        pid = self.nursery.start(
            "service",
            name,
            environment,
            scheduler=f"tcp://127.0.0.1:{scheduler}",
            data=str(self.folder / "data"),
            database_url=self.url,
            port=self.port,
        )
        self.service = pid
        return pid

    def start_second(self) -> int:
        """Start another service on the same database, which from now on is the one that is talked to."""
        self.port = free_port()
        self.http.close()
        self.http = self._client()
        pid = self.start(name=f"service-at-{self.port}")
        eventually(self.answers, READY_SECONDS, "the second service answers")
        return pid

    def take_lock_away(self) -> None:
        """End every connection of PostgreSQL but our own, and with it the leader's lock."""
        with self.store.read() as session:
            others = "pid <> pg_backend_pid() AND datname = current_database()"
            session.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))

    def ready(self, workers: int = 1) -> Self:
        """Wait until the service leads and has so many workers."""
        eventually(lambda: self._is_ready(workers), READY_SECONDS, f"ready with {workers} workers")
        return self

    def run(self, arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python with the plugin until it ends."""
        own = os.environ | self._environment | environment
        return subprocess.run(
            [sys.executable, *arguments], env=own, capture_output=True, text=True, timeout=STUDY_SECONDS
        )

    def run_import(self, folder: Path, crash_point: str = "") -> subprocess.CompletedProcess[str]:
        """`goldenbench import`, while no service runs."""
        run = "from service.cli.main import main; main()"
        flags = ["--data", str(self.folder / "data"), "--database-url", self.url]
        environment = {"GOLDENBENCH_CRASH_POINT": crash_point} if crash_point else {}
        return self.run(["-c", run, "import", str(folder), *flags], **environment)

    def kill_service(self) -> None:
        """SIGKILL."""
        send(self.service, signal.SIGKILL)
        self.nursery.wait(self.service, 30)

    def submit(self, spec: dict[str, Any], key: str, seconds: float = READY_SECONDS) -> str:
        """Queue a study as a careful client does: the same key until there is an answer; the study's id."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                answer = self.http.post("/v1/studies", json=spec, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                time.sleep(RETRY_SECONDS)
                continue
            if answer.status_code == 201:
                return str(answer.json()["id"])
            if answer.status_code != 503:
                raise Violation(f"I4: a submission was answered {answer.status_code}: {answer.text[:300]}")
            time.sleep(RETRY_SECONDS)
        raise Violation(f"I3: no submission within {seconds:g} s")

    def busy_workers(self) -> list[dict[str, Any]]:
        """Workers that train a pack, as the service says; none while it does not answer."""
        try:
            items = self.http.get("/v1/workers").json()["items"]
        except (httpx.TransportError, ValueError, KeyError):
            return []
        return [worker for worker in items if worker["pack"] is not None]

    def packs(self, study: str, states: Sequence[str] | None = None) -> list[Pack]:
        """The packs of a study as stored, the oldest first."""
        query = sa.select(Pack).where(Pack.study_id == study).order_by(Pack.ordinal)
        with self.store.read() as session:
            return list(session.scalars(query if states is None else query.where(Pack.state.in_(states))))

    def status(self, study: str) -> str:
        """A study's status as stored; empty while the database is away."""
        try:
            with self.store.read() as session:
                return str(session.scalar(sa.text("SELECT status FROM gb_studies WHERE id = :id"), {"id": study}))
        except DBAPIError:
            return ""

    def has_ended(self, study: str) -> bool:
        """Whether a study is in a terminal state, as stored; False while the database is away."""
        return self.status(study) in ("completed", "failed", "cancelled")

    def wait(self, study: str, seconds: float = STUDY_SECONDS) -> None:
        """Wait for a study to end."""
        eventually(lambda: self.has_ended(study), seconds, f"study {study} ends")

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)

    def answers(self) -> bool:
        """Whether the service answers at all."""
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def _is_ready(self, workers: int) -> bool:
        if self.nursery.code(self.service) is not None:
            raise Violation(f"the service ended with {self.nursery.code(self.service)}; see {self.folder}/service.log")
        try:
            checks = self.http.get("/readyz").json()["checks"]
        except (httpx.TransportError, ValueError, KeyError):
            return False
        return bool(checks["dispatcher"] == "leading" and checks["workers"] >= workers and checks["database"] == "ok")

    def _make_database(self) -> str:
        (self.folder / "data").mkdir()
        if self.server is None:
            return f"sqlite:///{self.folder / 'data' / 'goldenbench.db'}"
        self.server.execute("CREATE DATABASE chaos")
        return self.server.url("chaos")

    def _make_environment(self) -> dict[str, str]:
        info = self.folder / "plugin" / "goldenbench_chaos-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: goldenbench-chaos\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(ENTRY_POINTS)
        self.poison.write_text(json.dumps({}))
        path = [str(info.parent), str(PLUGIN), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "PYTHONPATH": os.pathsep.join(path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GOLDENBENCH_LOG": "info",
            "GOLDENBENCH_PACK_SECONDS": str(self._pack_seconds),
            "CHAOS_TRAINING_SECONDS": str(self._training_seconds),
            "CHAOS_POISON": str(self.poison),
            **({} if self.server else {"CHAOS_SQLITE_PAGES": str(self.pages)}),
        }
