"""The devices of this machine."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from workers.devices import available_threads, default_device, device_name, numeric_class, visible_gpus


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the search path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def nvidia_smi(folder: Path, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_without_a_driver_there_is_no_gpu(programs: Path) -> None:
    assert visible_gpus() == []


def test_the_drivers_gpus_are_listed_by_their_identifiers(programs: Path) -> None:
    nvidia_smi(programs, '[ "$1" = --query-gpu=uuid ] && printf "GPU-1\\nGPU-2\\n"')
    assert visible_gpus() == ["GPU-1", "GPU-2"]


def test_a_driver_that_does_not_answer_means_no_gpu(programs: Path) -> None:
    nvidia_smi(programs, "echo 'No devices were found'; exit 6")
    assert visible_gpus() == []


@pytest.mark.parametrize(
    ("value", "gpus"),
    [("", []), ("-1", []), ("0", ["0"]), ("0,2", ["0", "2"]), (" GPU-a , GPU-b ", ["GPU-a", "GPU-b"])],
)
def test_the_environment_decides_which_gpus_are_used(
    programs: Path, monkeypatch: pytest.MonkeyPatch, value: str, gpus: list[str]
) -> None:
    nvidia_smi(programs, "echo GPU-of-the-driver")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == gpus


def test_the_numeric_class_names_engine_torch_precision_and_instruction_set() -> None:
    name = device_name("cpu")
    assert name.startswith("cpu ")
    assert name.endswith(torch.backends.cpu.get_cpu_capability())
    assert numeric_class("reference", 3, "fp32", "cpu") == f"reference-3 torch-{torch.__version__} fp32 {name}"


def test_the_default_device_is_what_torch_sees() -> None:
    assert default_device() == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity here")
def test_threads_are_those_this_process_may_run_on() -> None:
    assert available_threads() == len(os.sched_getaffinity(0))
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import workers.devices as d, sys; "
    code += "print(d.available_threads(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]
