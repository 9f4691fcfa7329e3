"""The benchmark: its parity figure for every packed engine, its yardsticks' precision, and a whole run on little."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_packed_cpu_step import PARITY, digits
from test_packed_cuda import interpreted, needs_triton

from studies.datasets.load import PreparedDataset
from workers import bench, bench_kernels, bench_product
from workers.bench_kernels import kernel_microseconds, line
from workers.bench_parity import UPDATES, step_error, true_update
from workers.engine import DoesNotFit
from workers.native import library
from workers.triton.shapes import TILES

built = pytest.mark.skipif(not library.usable_isas(), reason="the native library was not built")
SMALL = replace(bench.CONFIG, batch_size=32)


@built
def test_parity_of_the_cpu_engine() -> None:
    found = step_error(SMALL, digits(64, 9, 9, 10), "packed-cpu", "cpu")
    assert found is not None
    assert 0 < found <= PARITY


@needs_triton
def test_parity_of_the_cuda_engine() -> None:
    config = replace(SMALL, precision="tf32x3")
    found = interpreted(step_error, config, digits(64, 6, 6, 10), "packed-cuda", "cpu")
    assert 0 < found <= PARITY


def test_the_reference_has_no_parity() -> None:
    assert step_error(SMALL, digits(64, 9, 9, 10), "reference", "cpu") is None


@built
def test_parity_sees_a_wrong_update(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(config: bench.TrainingConfig, dataset: PreparedDataset, device: str) -> dict[str, np.ndarray]:
        return {name: value + 1e-3 * np.abs(value).max() for name, value in true_update(config, dataset).items()}

    monkeypatch.setitem(UPDATES, "packed-cpu", wrong)
    assert step_error(SMALL, digits(64, 9, 9, 10), "packed-cpu", "cpu") == pytest.approx(1e-3)


@built
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"output.weight": np.nan}, "the update of output.weight is not finite"),
        ({"norm.bias": np.inf}, "the update of norm.bias is not finite"),
        ({"norm.weight": None}, "updates must be of .* not of "),
    ],
)
def test_parity_sees_what_is_not_finite_or_not_there(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, float | None], words: str
) -> None:
    def broken(config: bench.TrainingConfig, dataset: PreparedDataset, device: str) -> dict[str, np.ndarray]:
        found = true_update(config, dataset)
        for name, value in change.items():
            entries = found.pop(name)
            if value is not None:
                found[name] = np.append(entries[:-1], value)
        return found

    monkeypatch.setitem(UPDATES, "packed-cpu", broken)
    with pytest.raises(ValueError, match=words):
        step_error(SMALL, digits(64, 9, 9, 10), "packed-cpu", "cpu")


def test_yardsticks_are_in_full_float32_but_for_the_product_beside_tf32() -> None:
    before = torch.get_float32_matmul_precision()
    for precision, wanted in (("fp32", "highest"), ("tf32x3", "high")):
        with bench_product.pinned(precision):
            assert torch.get_float32_matmul_precision() == wanted
            assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == before


def test_a_run_names_what_it_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "noise", lambda: digits(400, 9, 9, 10))
    monkeypatch.setattr(bench, "LEAST_ROUNDS", 1)
    monkeypatch.setattr(bench, "EPOCHS", 1)
    monkeypatch.setattr(bench, "CONFIG", replace(bench.CONFIG, epochs=1))
    monkeypatch.setitem(bench_product.SIZES, "cpu", 64)
    assert bench.main(["--device", "cpu", "--engine", "reference", "--seconds", "0", "--threads", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["engine"], found["precision"], found["members"], found["rounds"]) == ("reference", "fp32", 2, 1)
    assert found["command"] == ("python -m workers.bench --device cpu --threads 1 --engine reference --precision fp32")
    assert found["trainings_per_second"] > 0


def test_on_a_gpu_the_packed_engine_is_measured_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measure(*how: object) -> object:
        asked.append(how)
        raise SystemExit

    monkeypatch.setattr(bench, "measure", measure)
    for arguments in (["--device", "cuda", "--precision", "tf32x3"], ["--device", "cpu"]):
        with pytest.raises(SystemExit):
            bench.main([*arguments, "--threads", "3"])
    assert asked == [("cuda", 3, 40, "packed-cuda", "tf32x3"), ("cpu", 3, 40, "auto", "fp32")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "cuda"], "device must be cpu: torch sees no GPU here"),
        (["--engine", "nonsense"], "engine must be one of auto, packed-cpu, packed-cuda, reference, not nonsense"),
        (["--engine", "packed-cuda"], "must fit one another: engine packed-cuda cannot train paper-cnn in fp32 on cpu"),
        (["--precision", "tf32x3"], "must fit one another: engine auto cannot train paper-cnn in tf32x3 on cpu"),
        (["--threads", "-1"], "threads must be at least 1, not -1"),
        (["--threads", "0"], "threads must be at least 1, not 0"),
        (["--seconds", "nan"], "seconds must be finite and at least 0, not nan"),
        (["--seconds", "inf"], "seconds must be finite and at least 0, not inf"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    monkeypatch.setattr(bench, "default_device", lambda: "cpu")
    monkeypatch.setattr(bench, "LEAST_ROUNDS", 0)
    assert bench.main(["--device", "cpu", "--seconds", "0", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.endswith(f"{words}\n")
    assert said.count("\n") == 1


def test_a_pack_that_does_not_fit_the_device_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise DoesNotFit("CUDA out of memory")

    monkeypatch.setattr(bench, "train_pack", full)
    assert bench.main(["--device", "cpu", "--engine", "reference"]) == 2
    assert capsys.readouterr().err == "error: CUDA out of memory\n"


@needs_triton
def test_kernels_are_timed_one_by_one() -> None:
    tiles = replace(TILES["tf32x3"], backward_images=128, pairs=2, loss_images=128)
    found = interpreted(kernel_microseconds, "tf32x3", tiles, 2, digits(256, 5, 6, 10), "cpu", 1)
    assert list(found) == ["fold", "forward", "train_loss", "backward", "unfold_and_move"]
    assert min(found.values()) > 0
    told = line("tf32x3", tiles, 2, dict.fromkeys(found, 100.0))
    assert told.startswith("tf32x3 backward_images 128, pairs 2, loss_images 128: fold 100, forward 100,")
    assert told.endswith("us; 1.9 trainings per second without tests")


def test_without_a_gpu_there_are_no_kernels_to_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench_kernels.main([]) == 2
    assert "no GPU" in capsys.readouterr().err
