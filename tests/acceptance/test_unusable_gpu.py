"""A worker on a GPU that does not work: it says why, and never joins."""

import os
from pathlib import Path

from distributed import Client

from tests.acceptance.running import Part, eventually, free_port


def test_a_worker_whose_gpu_does_not_work_says_so_and_never_joins(tmp_path: Path) -> None:
    nvidia_smi = tmp_path / "bin" / "nvidia-smi"
    nvidia_smi.parent.mkdir()
    nvidia_smi.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-nowhere)'\n")
    nvidia_smi.chmod(0o755)
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    path = f"{nvidia_smi.parent}:{os.environ['PATH']}"
    with Part(tmp_path, "scheduler", ["scheduler", "--port", str(port)]) as scheduler:
        eventually(lambda: "scheduler at" in scheduler.printed, 30, "the scheduler listens")
        command = ["worker", "--scheduler", address, "--data", str(tmp_path / "data")]
        with Part(tmp_path, "worker", command, PATH=path) as worker, Client(address, set_as_default=False) as client:
            eventually(lambda: "cannot use GPU-nowhere: " in worker.log, 60, "the worker says why")
            eventually(lambda: "starting it again" in worker.log, 30, "its process has ended")
            assert client.scheduler_info()["workers"] == {}
