"""A process that has imported everything and forks services, schedulers and workers from itself.

A new Python that imports torch and distributed takes seconds, a fork a hundredth; so a kill costs about what it would
cost a running system, and hundreds of them fit into minutes. The forked code is that of `goldenbench serve`,
`goldenbench scheduler` and of a Dask worker with the options that goldenbench gives it; only the supervision of the
workers (a Dask nanny in `goldenbench worker`) is done here. A worker that ends is forked again at once.

It is spoken to in lines of JSON, one answer to each request, and ends with everything it forked when its input ends.
"""

import ctypes
import json
import multiprocessing
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

READ_SECONDS = 0.02


def main() -> None:
    """Answer requests: `start` a role, or tell how a process `ended`."""
    _import_everything()
    kept: dict[int, dict[str, Any]] = {}
    codes: dict[int, int] = {}
    successors: dict[int, int] = {}
    print(json.dumps({"ready": os.getpid()}), flush=True)
    while True:
        for pid, code in _ended():
            codes[pid] = code
            request = kept.pop(pid, None)
            if request is not None:
                successors[pid] = _fork(request)
                kept[successors[pid]] = request
        if not select.select([sys.stdin], [], [], READ_SECONDS)[0]:
            continue
        line = sys.stdin.readline()
        if not line:
            return  # children die with us
        request = json.loads(line)
        if "ended" in request:
            print(json.dumps({"code": codes.get(request["ended"])}), flush=True)
            continue
        if "forget" in request:  # a worker that is to end for good
            kept.pop(request["forget"], None)
            print(json.dumps({}), flush=True)
            continue
        pid = _fork(request)
        if request["role"] == "worker":
            kept[pid] = request
        print(json.dumps({"pid": pid}), flush=True)


def _import_everything() -> None:
    import optuna_dashboard
    import torch

    import service.cli.main
    import service.dispatch.loop
    import service.recorder
    import service.server
    import studies.answer
    import workers.train
    from studies.datasets.prepare import prepare

    torch.set_num_threads(1)
    torch.optim.SGD([torch.zeros(1)], lr=0.1)  # the first optimiser imports a thousand modules
    assert all(
        (
            torch,
            optuna_dashboard,
            service.cli.main,
            service.dispatch.loop,
            service.recorder,
            service.server,
            studies.answer,
            workers.train,
            prepare,
        )
    )


def _ended() -> list[tuple[int, int]]:
    found = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, os.waitstatus_to_exitcode(status)))


def _fork(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        _end_with_parent()
        with open(os.devnull) as nothing, Path(request["log"]).open("a") as log:
            os.dup2(nothing.fileno(), 0)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.environ.update(request["environment"])
        ROLES[request["role"]](**request["arguments"])
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _end_with_parent() -> None:
    """Linux kills this process when the one that started it is gone, however it went (PR_SET_PDEATHSIG = 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _service(**flags: Any) -> None:
    from service import dispatcher_process
    from service.cli.nodes import serve_cluster

    dispatcher_process.CONTEXT = multiprocessing.get_context("fork")  # everything is imported, and no thread runs yet
    serve_cluster(**flags)


def _scheduler(host: str, port: int) -> None:
    from service.cli.nodes import scheduler

    scheduler(host, port)


def _worker(scheduler: str, name: str, cache: str) -> None:
    """What `goldenbench worker` runs under its nanny."""
    import asyncio

    from distributed import Worker

    from service.dispatch.cluster import configure_dask, worker_environment, worker_options
    from workers.tasks import DEVICE_VARIABLE

    os.environ.update(worker_environment() | {DEVICE_VARIABLE: "cpu"})
    configure_dask()
    options = worker_options(Path(cache))
    os.environ.update(options.pop("env"))

    async def run() -> None:
        async with Worker(scheduler, name=name, host="127.0.0.1", **options) as worker:
            await worker.finished()

    asyncio.run(run())


ROLES = {"service": _service, "scheduler": _scheduler, "worker": _worker}

if __name__ == "__main__":
    _end_with_parent()
    main()
    os._exit(0)  # what the imported libraries do at exit is not for this process
