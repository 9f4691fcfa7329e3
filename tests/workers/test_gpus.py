"""The NVIDIA GPUs of a machine, and what is said of those that do not work."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from workers.gpus import GpusUnknown, visible_gpus, why_unusable

WHOLE = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-0a6f6c0e-0000-1111-2222-333344445555)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-1b6f6c0e-0000-1111-2222-333344445555)
"""
SLICED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-0a6f6c0e-0000-1111-2222-333344445555)
  MIG 3g.20gb     Device  0: (UUID: MIG-c7384736-a75d-5afc-978f-d2f1294409fd)
  MIG 3g.20gb     Device  1: (UUID: MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-1b6f6c0e-0000-1111-2222-333344445555)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-2c6f6c0e-0000-1111-2222-333344445555)
  MIG 1g.5gb Device 0: (UUID: MIG-GPU-2c6f6c0e-0000-1111-2222-333344445555/7/0)
"""
"""As drivers print it: two halves, a whole GPU, and a slice with the name that drivers before R470 gave it."""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the search path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def nvidia_smi(folder: Path, listing: str, code: int = 0) -> None:
    """A program that lists GPUs, and nothing else."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ \"$*\" = -L ] || exit 2\nprintf '%s' '{listing}'\nexit {code}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_without_a_driver_there_is_no_gpu(programs: Path) -> None:
    assert visible_gpus() == []


def test_the_drivers_gpus_are_listed_by_their_identifiers(programs: Path) -> None:
    nvidia_smi(programs, WHOLE)
    assert visible_gpus() == [f"GPU-{start}6f6c0e-0000-1111-2222-333344445555" for start in ("0a", "1b")]


def test_of_a_gpu_in_slices_each_slice_is_listed_and_not_the_whole(programs: Path) -> None:
    nvidia_smi(programs, SLICED)
    assert visible_gpus() == [
        "MIG-c7384736-a75d-5afc-978f-d2f1294409fd",
        "MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d",
        "GPU-1b6f6c0e-0000-1111-2222-333344445555",
        "MIG-GPU-2c6f6c0e-0000-1111-2222-333344445555/7/0",
    ]


def test_a_driver_that_fails_is_no_machine_without_gpus(programs: Path) -> None:
    nvidia_smi(programs, "Failed to initialize NVML: Driver/library version mismatch", 18)
    with pytest.raises(GpusUnknown, match=r"nvidia-smi -L fails with code 18: Failed to initialize NVML: Driver"):
        visible_gpus()


def test_a_driver_that_hangs_is_no_machine_without_gpus(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], timeout: float, **_more: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    nvidia_smi(programs, WHOLE)
    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(GpusUnknown, match="timed out after 60 seconds"):
        visible_gpus()


@pytest.mark.parametrize(
    ("value", "gpus"),
    [("", []), ("-1", []), ("0", ["0"]), ("0,2", ["0", "2"]), (" GPU-a , MIG-b ", ["GPU-a", "MIG-b"])],
)
def test_the_environment_decides_which_gpus_are_used(
    programs: Path, monkeypatch: pytest.MonkeyPatch, value: str, gpus: list[str]
) -> None:
    nvidia_smi(programs, WHOLE)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == gpus


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_that_works_is_usable() -> None:
    assert why_unusable() is None


def test_a_gpu_that_is_not_there_is_told_with_the_versions() -> None:
    """In a process of its own: where there is a GPU, this one may have used it already."""
    script = "import workers.gpus as g, sys; print('torch' in sys.modules); print(g.why_unusable())"
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "GPU-nowhere"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    early, told = done.stdout.splitlines()
    assert early == "False"
    assert told.startswith(f"torch {torch.__version__} with CUDA {torch.version.cuda} cannot use GPU-nowhere: ")
    assert len(told) > 100
