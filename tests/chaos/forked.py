"""The harness's side of `tests.chaos.nursery`, and signals to processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.chaos.fault_log import Violation

Found = TypeVar("Found")
POLL_SECONDS = 0.03


def eventually(look: Callable[[], Found], seconds: float, what: str) -> Found:
    """The first true value of `look`.

    Raises:
        Violation: not within so many seconds (I3, bounded completion).
    """
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise Violation(f"I3: not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)


class Nursery:
    """Starts roles by forking; everything it started ends with it.

    Args:
        folder: for the logs of what it starts.
        environment: of everything it starts, beyond this process's own.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        own = {name: value for name, value in os.environ.items() if not name.startswith("GOLDENBENCH_")}
        own |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"} | environment
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=own,
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self._read()

    def start(self, role: str, logged_as: str, environment: dict[str, str], **arguments: Any) -> int:
        """Fork a role; its process id."""
        log = str(self._folder / f"{logged_as}.log")
        request = {"role": role, "environment": environment, "arguments": arguments, "log": log}
        return int(self._ask(request)["pid"])

    def code(self, pid: int) -> int | None:
        """The exit code of an ended process; None while it lives."""
        code: int | None = self._ask({"ended": pid})["code"]
        return code

    def wait(self, pid: int, seconds: float) -> int:
        """Wait for a process to end; its exit code."""
        end = time.monotonic() + seconds
        while (code := self.code(pid)) is None:
            if time.monotonic() > end:
                raise Violation(f"I3: process {pid} has not ended within {seconds:g} s")
            time.sleep(POLL_SECONDS)
        return code

    def close(self) -> None:
        """End the nursery, and with it everything that it forked."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        children = psutil.Process(self._process.pid).children(recursive=True) if self._process.poll() is None else []
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the nursery has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


def send(pid: int, number: signal.Signals) -> bool:
    """Send a signal; False if the process is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
