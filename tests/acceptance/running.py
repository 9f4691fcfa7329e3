"""Processes of goldenbench as a user starts them, and what the tests ask of them."""

import atexit
import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import optuna
import psutil
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from studies.datasets.prepare import prepare

Found = TypeVar("Found")
COMMAND = Path(sys.executable).parent / "goldenbench"
STOP_SECONDS = 30
"""Within which every part has to end when it is told to."""
READY_SECONDS = 90
STUDY_SECONDS = 180
ENDED = ("completed", "cancelled", "failed")
PACK_SECONDS = "1"
"""Short packs, so that a fault has several to hit."""

TINY = {
    "name": "tiny",
    "dataset": "rotated-digits",
    "loss": "dual-process",
    "grid": {"learning_rate": {"factor": 1.6, "steps": 1}, "momentum": {"values": [0.5, 0.9]}},
    "references": ["plain"],
    "folds_used": 1,
    "runs": 1,
    "epochs": 1,
}
"""8 cells, 8 trainings."""
STORM = {
    "name": "storm",
    "dataset": "rotated-digits",
    "loss": "dual-process",
    "grid": {"learning_rate": {"values": [0.004, 10]}, "momentum": {"values": [0.9]}},
    "references": ["plain"],
    "folds_used": 2,
    "runs": 1,
    "epochs": 3,
}
"""4 cells, 8 trainings; long enough to be struck in the middle."""
SLOW = STORM | {"name": "slow", "epochs": 60}
"""Does not end by itself while a test looks."""


def eventually(look: Callable[[], Found], seconds: float, what: str) -> Found:
    """The first true value of `look`; fails after so many seconds."""
    end = time.monotonic() + seconds
    pause = 0.02
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(pause)
        pause = min(1.2 * pause, 0.2)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of goldenbench, with those given."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GOLDENBENCH_")}
    own |= {"GOLDENBENCH_LOG": "info", "GOLDENBENCH_PACK_SECONDS": PACK_SECONDS, "NO_COLOR": "1", "COLUMNS": "160"}
    return own | {"PYTHONDONTWRITEBYTECODE": "1"} | more


def goldenbench(*arguments: str, timeout: float = 120, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of goldenbench to its end, without a terminal."""
    command = [str(COMMAND), *arguments]
    return subprocess.run(
        command, env=environment(**more), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
    )


class Part:
    """A long-running process in a group of its own, with its output in files.

    Args:
        folder: for `{name}.out` and `{name}.err`.
        name: of the files.
        arguments: of `goldenbench`.
        behind: a command to start it through, such as `nice`.
        more: environment variables.
    """

    def __init__(
        self, folder: Path, name: str, arguments: Sequence[str], behind: Sequence[str] = (), **more: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._name = name
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [*behind, str(COMMAND), *arguments],
                env=environment(**more),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        """Stop, and hold it to its word unless a test has failed already."""
        try:
            if self.process.poll() is None and kind is None:
                self.stop()
        finally:
            self.kill()

    @property
    def printed(self) -> str:
        """Standard output so far."""
        return self._out.read_text()

    @property
    def log(self) -> str:
        """Standard error so far."""
        return self._err.read_text()

    def group(self) -> list[psutil.Process]:
        """The live processes of the group, orphans included."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getpgid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    def stop(self) -> float:
        """SIGTERM: ends with code 0 in time and leaves no process behind.

        Returns:
            The seconds it took.
        """
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self._name} had not ended {STOP_SECONDS} s after SIGTERM:\n{self.log}") from None
        assert code == 0, f"{self._name} ended with code {code} after SIGTERM:\n{self.log}"
        seconds = time.monotonic() - began
        self.assert_nothing_left(2)
        return seconds

    def sigkill(self) -> None:
        """SIGKILL of the process itself; its children have to notice."""
        self.process.kill()
        self.process.wait(10)

    def assert_nothing_left(self, seconds: float) -> None:
        """Every process that it started ends by itself."""
        end = time.monotonic() + seconds
        while left := self.group():
            told = [(process.pid, process.status()) for process in left]
            assert time.monotonic() < end, f"{self._name} has ended, its processes live on: {told}"
            time.sleep(0.05)

    def kill(self) -> None:
        """End the whole group, whatever state it is in."""
        for process in self.group():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait(10)


@functools.cache
def _digits() -> str:
    """A data folder with nothing in it but the prepared digits; gone with this process."""
    folder = tempfile.mkdtemp(prefix="goldenbench-digits-")
    atexit.register(shutil.rmtree, folder)
    prepare("rotated-digits", 10, folder)
    return folder


class Service(Part):
    """A service with the data folder `folder/data`, the digits prepared; test_the_demo.py starts without."""

    def __init__(
        self,
        folder: Path,
        command: str = "up",
        arguments: Sequence[str] = (),
        port: int | None = None,
        name: str = "service",
        **more: str,
    ) -> None:
        self.data = folder / "data"
        if not self.data.exists():
            shutil.copytree(_digits(), self.data)
        self._asked = port or free_port()
        own = [command, "--port", str(self._asked), "--data", str(self.data), *arguments]
        super().__init__(folder, name, own, **more)
        self.url = f"http://127.0.0.1:{self._asked}"
        token = more.get("GOLDENBENCH_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(timeout=60, trust_env=False, headers=headers)
        self.storage_url = f"sqlite:///{self.data / 'goldenbench.db'}"

    def ready(self) -> Self:
        """Wait until it answers that it is ready."""
        eventually(self._is_ready, READY_SECONDS, f"{self.url}/readyz says ready")
        return self

    def kill(self) -> None:
        """End the whole group, and the connections to it."""
        super().kill()
        self._http.close()

    def find_printed_url(self) -> None:
        """Talk to the address that it prints, not to the port that it was asked for."""

        def printed() -> str | None:
            found = re.search(r"(http://127\.0\.0\.1:\d+)/docs", self.printed)
            return found and found[1]

        self.url = str(eventually(printed, READY_SECONDS, "it prints where it is"))

    def get(self, path: str, **query: Any) -> Any:
        """The document at a path."""
        answer = self._http.get(self.url + path, params=query)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, document: Any = None) -> Any:
        """Ask for something."""
        answer = self._http.post(self.url + path, json=document)
        assert answer.status_code in (200, 201), f"POST {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def submit(self, spec: dict[str, Any]) -> str:
        """Queue a study; its id."""
        return str(self.post("/v1/studies", spec)["id"])

    def study(self, study: str) -> Any:
        """A study's document."""
        return self.get(f"/v1/studies/{study}")

    def wait(self, study: str, status: str = "completed", seconds: float = STUDY_SECONDS) -> Any:
        """Wait for a study to end, in the way that is expected."""

        def ended() -> Any:
            document = self.study(study)
            return document if document["status"] in ENDED else None

        document = eventually(ended, seconds, f"study {study} ends")
        assert document["status"] == status, f"{document['status']}: {document['reason']}\n{self.log}"
        return document

    def run(self, spec: dict[str, Any]) -> str:
        """Queue a study and wait for its completion; its id."""
        study = self.submit(spec)
        self.wait(study)
        return study

    def replicates(self, study: str) -> list[dict[str, Any]]:
        """Every stored training of a study."""
        page = self.get(f"/v1/studies/{study}/replicates", limit=10_000)
        assert page["next"] is None
        return list(page["items"])

    def table(self, study: str) -> list[str]:
        """The replicates without what may differ between runs, as JSON: equal text is equality to the bit."""
        rows = self.replicates(study)
        return [json.dumps({k: v for k, v in row.items() if k not in ("seconds", "attempt")}) for row in rows]

    def trials(self, study: str) -> list[FrozenTrial]:
        """Optuna's record of a study."""
        return trials(self.storage_url, self.study(study)["optuna_study"])

    def packs(self, study: str) -> list[dict[str, Any]]:
        """The packs of a study."""
        return list(self.get(f"/v1/studies/{study}/packs")["items"])

    def busy_worker(self, study: str) -> dict[str, Any]:
        """A worker that has just begun with a pack of the study, not its first."""
        eventually(lambda: self.study(study)["progress"]["done"], 60, f"study {study} has its first results")
        present = self._trained(study)

        def begun() -> dict[str, Any] | None:
            found = self._trained(study)
            return found if found and found["pack"] != (present or {}).get("pack") else None

        found = eventually(begun, 60, f"a worker begins with a pack of study {study}")
        assert found is not None
        return found

    def _trained(self, study: str) -> dict[str, Any] | None:
        return next((worker for worker in self.get("/v1/workers")["items"] if worker["study"] == study), None)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"{self._name} ended with code {self.process.returncode}:\n{self.log}"
        try:
            return self._http.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False


@dataclass(frozen=True)
class FirstDemo:
    """`goldenbench demo` on an empty data folder, without a terminal."""

    part: Part
    data: Path


def trials(storage_url: str, name: str) -> list[FrozenTrial]:
    """The trials of a study as the Optuna library reads them, by number; none if it does not know the study."""
    storage = RDBStorage(storage_url)
    try:
        return optuna.load_study(study_name=name, storage=storage).get_trials()
    except KeyError:
        return []
    finally:
        storage.engine.dispose()


def assert_exactly_once(rows: Sequence[dict[str, Any]], cells: int, folds: int, runs: int) -> None:
    """Each (cell, fold, run) is there once."""
    keys = [(row["cell"], row["fold"], row["run"]) for row in rows]
    assert keys == [(c, f, r) for c in range(cells) for f in range(folds) for r in range(runs)]
