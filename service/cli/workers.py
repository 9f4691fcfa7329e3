"""`goldenbench worker`: one Dask worker per device of this machine, kept running."""

import asyncio
import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from distributed.comm.core import FatalCommClosedError
from distributed.security import Security

from service.config import Settings
from service.dispatch.cluster import check_scheduler, security_of, worker_environment
from service.dispatch.devices import worker_environments
from service.errors import SetupError
from service.versions import OtherVersion, compare_with
from workers.tasks import CACHE_VARIABLE, DEVICE_VARIABLE

RESTART_SECONDS = 2.0
"""Pause before a worker that ended is started again."""
LONGEST_PAUSE_SECONDS = 60.0
"""Between tries of a worker that fails each time it starts, as with a GPU that does not work."""
SOON_SECONDS = 30.0
"""A worker that fails within this time has failed to start."""
STOP_SECONDS = 20.0
TERMINATE_SECONDS = 1.0
"""Between two times that a worker is told to stop."""
REFUSED_CODE = 1
"""Exit code of a machine that the scheduler has no use for."""


def run_workers(chosen: Settings, host: str | None, ports: str | None) -> int:
    """Start one Dask worker per device and start it again whenever it ends, until this process is told to stop.

    Args:
        chosen: with the scheduler's address.
        host: address to listen on; None: the one from which the scheduler is reached.
        ports: `first:last` to listen on, two for each device; None: any.

    Returns:
        The exit code: 0, or 1 if the scheduler refuses this machine, with the reason on standard error.

    Raises:
        SetupError: no PyTorch, no GPU where one is demanded, or an address or a certificate that cannot be used.
    """
    if importlib.util.find_spec("torch") is None:
        raise SetupError("a worker needs PyTorch, which is not installed here")
    check_scheduler(chosen)
    if ports is not None and not re.fullmatch(r"\d{1,5}:\d{1,5}", ports):
        raise SetupError(f"ports must read first:last, not {ports[:40]!r}")
    cache = chosen.data / "cache"
    devices = worker_environments(chosen.device)
    watch = _Watch(chosen.scheduler, security_of(chosen, "worker"))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: watch.stop.set())
    threads = []
    for index, device in enumerate(devices):
        # With the process, since a second command on the same machine would else be refused as a namesake.
        name = f"{os.uname().nodename}-{os.getpid()}-{device[DEVICE_VARIABLE]}-{index}"
        command = worker_command(chosen, name, host, ports)
        environment = worker_environment() | device | {CACHE_VARIABLE: str(cache)}
        threads.append(threading.Thread(target=watch.keep_running, args=(name, command, environment)))
        threads[-1].start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.5)
    return watch.code


def worker_command(chosen: Settings, name: str, host: str | None, ports: str | None) -> list[str]:
    """The command line of one Dask worker with its nanny."""
    options = {
        "--name": name,
        "--nthreads": "1",
        "--nworkers": "1",
        "--resources": "slot=1",
        "--memory-limit": "0",
        "--preload": "workers.preload",
        "--preload-nanny": "workers.leaving",
        "--local-directory": str(chosen.data / "cache" / "scratch"),
        "--dashboard-address": "127.0.0.1:0",  # it listens without a dashboard too, by default on every interface
    }
    if chosen.tls_ca is None:
        options["--host"] = "127.0.0.1"  # by default Dask listens on every interface
    else:
        files = {"--tls-ca-file": chosen.tls_ca, "--tls-cert": chosen.tls_cert, "--tls-key": chosen.tls_key}
        options |= {flag: str(file) for flag, file in files.items()}
        options |= {"--host": host} if host else {}
    options |= {"--worker-port": ports, "--nanny-port": ports} if ports else {}
    flat = [part for option in options.items() for part in option]
    return [sys.executable, "-m", "dask", "worker", chosen.scheduler, "--no-dashboard", *flat]


@dataclass
class _Watch:
    """What the threads that keep this machine's workers running have in common."""

    scheduler: str
    security: Security | None
    stop: threading.Event = field(default_factory=threading.Event)
    code: int = 0

    def keep_running(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        """Keep one worker running. One whose scheduler went away ends with code 0, so every end is followed up."""
        pre_spawn = "{" + ", ".join(f"{key!r}: {value!r}" for key, value in environment.items()) + "}"
        inherited = os.environ | environment | {"DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON": pre_spawn}
        pause = RESTART_SECONDS
        while self._is_welcome(name):
            began = time.monotonic()
            process = subprocess.Popen(command, env=inherited)
            while process.poll() is None and not self.stop.wait(0.2):
                pass
            if process.poll() is None:
                _end(process)
            elif not self.stop.is_set():
                _tell(f"worker ended with code {process.returncode}; starting it again")
                pause = pause_after(process.returncode, time.monotonic() - began, pause)
                self.stop.wait(pause)

    def _is_welcome(self, name: str) -> bool:
        """Wait for the scheduler, and see whether this machine fits it; False once this process is to end."""
        told = ""
        while not self.stop.is_set():
            try:
                asyncio.run(compare_with(self.scheduler, name, self.security))
            except (OtherVersion, FatalCommClosedError) as error:
                # The latter says that one side's certificate is not of the other's authority.
                self.code = REFUSED_CODE
                self.stop.set()
                _tell(f"worker refused: {error.__cause__ or error}")
            except OSError as error:
                told = _tell_once(f"the scheduler at {self.scheduler} is not there yet: {error}", told)
                self.stop.wait(RESTART_SECONDS)
            else:
                return not self.stop.is_set()
        return False


def pause_after(code: int, lived_seconds: float, last_seconds: float) -> float:
    """How long to wait before a worker is started again, in seconds.

    Args:
        code: with which it ended; negative for a signal.
        lived_seconds: how long it ran.
        last_seconds: how long the pause before it was.
    """
    failed_to_start = code > 0 and lived_seconds < SOON_SECONDS
    return min(2 * last_seconds, LONGEST_PAUSE_SECONDS) if failed_to_start else RESTART_SECONDS


def _end(process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        process.terminate()  # again and again: one that starts just now does not listen yet
        with suppress(subprocess.TimeoutExpired):
            process.wait(TERMINATE_SECONDS)
            return
    process.kill()
    process.wait()


def _tell_once(line: str, told: str) -> str:
    if line != told:
        _tell(line)
    return line


def _tell(line: str) -> None:
    print(f"goldenbench: {line}", file=sys.stderr, flush=True)
