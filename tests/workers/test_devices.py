"""The devices of this machine."""

import os
import subprocess
import sys

import pytest
import torch

import workers.devices
from workers.devices import available_threads, default_device, device_name, numeric_class


def test_the_numeric_class_names_engine_torch_precision_and_instruction_set() -> None:
    name = device_name("cpu")
    assert name.startswith("cpu ")
    assert name.endswith(torch.backends.cpu.get_cpu_capability())
    assert numeric_class("reference", 3, "fp32", "cpu") == f"reference-3 torch-{torch.__version__} fp32 {name}"


def test_the_default_device_is_what_torch_sees() -> None:
    assert default_device() == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity here")
def test_threads_are_those_this_process_may_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.devices, "processor_limit", lambda: None)
    assert available_threads() == len(os.sched_getaffinity(0))
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import workers.devices as d, sys; "
    code += "print(d.available_threads(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


@pytest.mark.parametrize(("limit", "threads"), [(1, 1), (10_000, len(os.sched_getaffinity(0)))])
def test_threads_are_no_more_than_a_container_pays_for(
    monkeypatch: pytest.MonkeyPatch, limit: int, threads: int
) -> None:
    monkeypatch.setattr(workers.devices, "processor_limit", lambda: limit)
    assert available_threads() == threads
