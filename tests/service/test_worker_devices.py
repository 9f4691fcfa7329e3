"""Which devices of a machine get a worker, and when there is to be none rather than one on the processor."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.cli.workers import pause_after
from service.dispatch import devices
from service.dispatch.devices import worker_environments
from service.errors import SetupError
from workers.gpus import GpusUnknown

CPU = [{"GOLDENBENCH_DEVICE": "cpu"}]


def machine(monkeypatch: pytest.MonkeyPatch, *gpus: str) -> None:
    monkeypatch.setattr(devices, "visible_gpus", lambda: list(gpus))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose driver does not answer."""

    def fail() -> list[str]:
        raise GpusUnknown("nvidia-smi -L fails with code 9: no driver")

    monkeypatch.setattr(devices, "visible_gpus", fail)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_each_gpu_gets_a_worker(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    machine(monkeypatch, "GPU-a", "MIG-b")
    assert worker_environments(device) == [
        {"GOLDENBENCH_DEVICE": "cuda", "CUDA_VISIBLE_DEVICES": gpu} for gpu in ("GPU-a", "MIG-b")
    ]


def test_the_processor_is_used_where_there_is_no_gpu_or_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    assert worker_environments("auto") == CPU
    machine(monkeypatch, "GPU-a")
    assert worker_environments("cpu") == CPU


def test_a_demanded_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    with pytest.raises(SetupError, match="GOLDENBENCH_DEVICE is cuda, and there is no GPU"):
        worker_environments("cuda")


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_broken_gpus_are_not_passed_over(broken: None, device: str) -> None:
    with pytest.raises(SetupError, match=r"code 9: no driver\. Mend the driver, or choose the processor"):
        worker_environments(device)
    assert worker_environments("cpu") == CPU


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_service_with_broken_gpus_does_not_start(broken: None, command: str, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, [command, "--data", str(tmp_path)])
    assert isinstance(refused.exception, SetupError)
    assert "no driver" in str(refused.exception)


@pytest.mark.parametrize(
    ("code", "lived", "last", "pause"), [(1, 5, 2, 4), (1, 5, 40, 60), (1, 31, 40, 2), (0, 5, 40, 2), (-9, 5, 40, 2)]
)
def test_a_worker_that_fails_to_start_is_tried_ever_more_seldom(
    code: int, lived: float, last: float, pause: float
) -> None:
    """Each try imports torch; one that was killed, or lost its scheduler, is wanted back at once."""
    assert pause_after(code, lived, last) == pause


@pytest.mark.parametrize("given", ["--device=cuda", ""])
def test_a_worker_can_be_told_to_take_gpus_only(monkeypatch: pytest.MonkeyPatch, given: str, tmp_path: Path) -> None:
    machine(monkeypatch)
    monkeypatch.setenv("GOLDENBENCH_DEVICE", "auto" if given else "cuda")
    command = ["worker", "--data", str(tmp_path), "--scheduler", "tcp://127.0.0.1:1", *filter(None, [given])]
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, SetupError)
    assert "there is no GPU" in str(refused.exception)
