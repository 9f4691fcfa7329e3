"""The benchmark: its parity figure for every packed engine, its yardsticks' precision, and a whole run on little."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_packed_cpu_step import PARITY, digits
from test_packed_cuda import interpreted, needs_triton

from studies.datasets.load import PreparedDataset
from workers import bench, bench_product
from workers.bench_parity import UPDATES, step_error, true_update
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
@pytest.mark.parametrize("precision", TILES)
def test_parity_of_the_cuda_engine(precision: str) -> None:
    config = replace(SMALL, precision=precision)
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
