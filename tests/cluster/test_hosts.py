"""A study over three hosts, one of which is lost: what docker-compose.yml runs, each part on a host of its own.

The service and the scheduler run without PyTorch, as in their image; every part runs without privileges, and as the
containers' user where that user can read this installation, with the secrets that the containers would make.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service.store.engine import Store
from service.store.tables import Pack, Replicate
from tests.acceptance.running import STORM, Part, eventually
from tests.cluster.containers import command_of
from tests.cluster.deployment import DATABASE, Database, Deployment
from tests.cluster.hosts import NotAllowed, Wire
from tests.private_postgresql import PostgreSQL
from workers.folder import read_results

URL = "http://127.0.0.1:8765"
SPEC = STORM | {"name": "three hosts", "epochs": 4}
RESULT = ("cell", "fold", "run", "outcome", "accuracy", "brier", "loss", "train_loss", "curve", "correct")


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Three hosts on one wire."""
    try:
        made = Wire(["a", "b", "c"])
    except NotAllowed as error:
        pytest.skip(f"no network namespaces here: {error}")
    with made:
        yield made


class Visitor:
    """Somebody with a token who asks the service on its own host."""

    def __init__(self, wire: Wire, token: str) -> None:
        self._thread: ThreadPoolExecutor = wire.visitor("a")
        self._http = httpx.Client(base_url=URL, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """The document that answers; None while nothing does."""
        try:
            answer = self._thread.submit(self._http.request, method, path, **more).result()
        except httpx.TransportError:
            return None
        return answer.json() if answer.is_success else None

    def close(self) -> None:
        """Leave."""
        self._thread.submit(self._http.close).result()
        self._thread.shutdown()


def _alone(folder: Path) -> "subprocess.Popen[bytes]":
    """The same study on one machine, in the background."""
    (folder / "spec.json").write_text(json.dumps(SPEC))
    command = [sys.executable, "-m", "workers.run", str(folder / "spec.json"), str(folder / "alone")]
    return subprocess.Popen([*command, "--data", str(folder / "alone-data"), "--pack", "4"], stdout=subprocess.DEVNULL)


def _table(rows: Any) -> list[dict[str, Any]]:
    found = [{name: getattr(row, name) for name in RESULT} for row in rows]
    return sorted(found, key=lambda row: (row["cell"], row["fold"], row["run"]))


def test_a_lost_host_changes_nothing(wire: Wire, tmp_path: Path, postgresql: PostgreSQL) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:  # pytest's own folders are their owner's only
        parent.chmod(parent.stat().st_mode | 0o055)
    alone = _alone(tmp_path)
    with ExitStack() as running:
        running.callback(alone.kill)
        database = running.enter_context(Database(postgresql, wire, "a"))
        cluster = Deployment(wire, tmp_path / "cluster", running)
        database.open(cluster.password())
        cluster.run("migrate", "a", *command_of("migrate"))
        cluster.start("scheduler", "a")
        workers = {host: cluster.start("worker", host, f"worker-{host}") for host in ("b", "c")}
        token = cluster.run("service", "a", "token", "create", "me", "--scope", "admin")
        service = cluster.start("service", "a")
        visitor = Visitor(wire, token)
        running.callback(visitor.close)
        _joined(visitor, 2)

        _check_refusals(cluster, service)

        study = visitor.ask("POST", "/v1/studies", json=SPEC)["id"]
        lost = str(workers["b"].process.pid)

        def in_the_middle() -> bool:
            busy = [worker["name"] for worker in visitor.ask("GET", "/v1/workers")["items"] if worker["study"] == study]
            done = visitor.ask("GET", f"/v1/studies/{study}")["progress"]["done"]
            return done >= 1 and any(f"-{lost}-" in name for name in busy)

        eventually(in_the_middle, 60, "the study runs, on host b too")
        wire.cut("b")
        workers["b"].kill()

        def ended() -> Any:
            return visitor.ask("GET", f"/v1/studies/{study}")["status"] == "completed"

        eventually(ended, 120, f"study {study} completes; the service says:\n{service.log[-2000:]}")
        assert alone.wait(120) == 0
        store = running.enter_context(closing(Store(postgresql.url(DATABASE))))
        with store.read() as session:
            together = _table(session.scalars(sa.select(Replicate).where(Replicate.study_id == study)))
            charged = session.scalars(sa.select(Pack.charged).where(Pack.study_id == study)).all()
    expected = [
        {**row, "outcome": row["outcome"].value, "curve": row["curve"].to_json()}
        for row in _table(read_results(tmp_path / "alone"))
    ]
    assert together == expected
    assert len(together) == 8
    assert sum(charged) >= 1, "no pack was on the lost host"


def _joined(visitor: Visitor, number: int) -> None:
    eventually(lambda: len((visitor.ask("GET", "/v1/workers") or {"items": []})["items"]) == number, 90, "workers join")


def _check_refusals(cluster: Deployment, service: Part) -> None:
    """A machine with certificates of another authority, and one with another version, end with a reason."""
    made = cluster.run("worker", "c", "certificates", str(cluster.data("foreign") / "tls")).splitlines()
    foreign = cluster.start("worker", "c", "foreign", **dict(line.split("=", 1) for line in made))
    old = cluster.start("worker", "c", "old", PYTHONPATH=str(cluster.folder / "other-version"))
    assert foreign.process.wait(30) == 1
    assert "TLS certificate does not match" in foreign.log
    assert old.process.wait(30) == 1
    assert "goldenbench 0.0.1 here and" in old.log
    eventually(
        lambda: "worker refused" in service.log and f"-{old.process.pid}-" in service.log, 10, "the service says so"
    )
    assert "0.0.1" in service.log
