"""The containers of docker-compose.yml, each on a host of its own, and the database that they reach by a password."""

import os
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from tests.acceptance.running import COMMAND, Part, environment
from tests.cluster.containers import ROOT, command_of, environment_of
from tests.cluster.hosts import Wire
from tests.private_postgresql import PORT, PostgreSQL

DATABASE = "goldenbench"
"""The database and its owner, as docker-compose.yml names them."""


class Deployment:
    """The containers, with the secrets that `make-secrets` has made as their user.

    Args:
        wire: has their hosts; the scheduler's is `a`.
        folder: for everything.
        running: ends them.
    """

    def __init__(self, wire: Wire, folder: Path, running: ExitStack) -> None:
        self.wire, self.folder, self._running = wire, folder, running
        self._secrets = folder / "secrets"
        self._places = {"/secrets": str(self._secrets), "scheduler:8786": f"{wire.address('a')}:8786"}
        hollow = folder / "without-torch" / "torch"
        hollow.mkdir(parents=True)
        (hollow / "__init__.py").write_text("raise ImportError('there is no PyTorch in this image')\n")
        old = folder / "other-version" / "goldenbench-0.0.1.dist-info"
        old.mkdir(parents=True)
        (old / "METADATA").write_text("Metadata-Version: 2.1\nName: goldenbench\nVersion: 0.0.1\n")
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode | 0o055)
        for place in (self._secrets, self._secrets / "tls", self._secrets / "database"):
            place.mkdir(mode=0o700)
            wire.give(place)
        script = shutil.copy(ROOT / "deploy" / "container" / "make-secrets", folder)
        self._call("secrets", [*wire.on("a"), "sh", str(script), str(self._secrets)])

    def password(self) -> str:
        """What the database's container reads from its file."""
        return (self._secrets / "database" / "password").read_text(encoding="ascii").strip()

    def start(self, container: str, host: str, name: str = "", **more: str) -> Part:
        """Start a container's command; it ends with the test."""
        part = Part(
            self.data(name or container).parent,
            name or container,
            command_of(container),
            self.wire.on(host),
            **self._settings(container, name) | more,
        )
        return self._running.enter_context(part)

    def run(self, container: str, host: str, *arguments: str) -> str:
        """Run another command in a container's place, as `docker compose run` does; what it printed."""
        return self._call(container, [*self.wire.on(host), str(COMMAND), *arguments])

    def data(self, name: str) -> Path:
        """A container's data folder."""
        data = self.folder / name / "data"
        data.mkdir(parents=True, exist_ok=True)
        for folder in (data, data.parent):
            folder.chmod(0o777)
        return data

    def _call(self, container: str, command: list[str]) -> str:
        env = environment(**self._settings(container, ""))
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _settings(self, container: str, name: str) -> dict[str, str]:
        data = str(self.data(name or container))
        found = environment_of(container, self._places) | {"GOLDENBENCH_DATA": data, "HOME": data}
        hollow = {} if container == "worker" else {"PYTHONPATH": str(self.folder / "without-torch")}
        # Nobody here resolves `database`; libpq looks for the password under that name nevertheless.
        path = f"{COMMAND.parent}:{os.environ['PATH']}"
        return found | hollow | {"PGHOSTADDR": "127.0.0.1", "PATH": path}


class Database:
    """The database of docker-compose.yml in a server of the tests, on a host's own address, gone with the context.

    Args:
        server: which; it listens on a socket only.
        wire: has the host.
        host: from which it is reached.
    """

    def __init__(self, server: PostgreSQL, wire: Wire, host: str) -> None:
        self._server = server
        with wire.visitor(host) as there:
            self._listener = there.submit(socket.create_server, ("127.0.0.1", PORT)).result()
        self._rules = server.folder / "data" / "pg_hba.conf"
        self._before = self._rules.read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        self._server.execute(f"DROP ROLE IF EXISTS {DATABASE}")
        self._apply(self._before)

    def open(self, password: str) -> None:
        """Make the database, for whoever shows this password."""
        self._apply(f"local all {DATABASE} scram-sha-256\n{self._before}")
        self._server.execute(f"CREATE ROLE {DATABASE} LOGIN PASSWORD '{password}'")
        self._server.execute(f"CREATE DATABASE {DATABASE} OWNER {DATABASE}")

    def _apply(self, rules: str) -> None:
        self._rules.write_text(rules, encoding="utf-8")
        self._server.execute("SELECT pg_reload_conf()")

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self._server.folder / f".s.PGSQL.{PORT}"))
                threading.Thread(target=_connect, args=(near, far), daemon=True).start()


def _connect(near: socket.socket, far: socket.socket) -> None:
    with near, far:
        back = threading.Thread(target=_pump, args=(far, near), daemon=True)
        back.start()
        _pump(near, far)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes until one side ends, then end both."""
    with suppress(OSError):
        while content := source.recv(65_536):
            sink.sendall(content)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
