"""The precision `tf32x3`: two parts of each number, whose products a GPU's tensor cores and the interpreter share."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from test_packed_cpu_step import PARITY, digits, start_model
from test_packed_cuda import CONFIG, PACK, TINY, bits, interpreted, needs_triton, noisy_prototypes, train
from test_packed_cuda_step import STEP, _stepped, errors_of, of_each_loss, worst

from studies.datasets.load import PreparedDataset, from_arrays
from studies.models.paper_cnn import PaperCnn
from studies.spec import StudySpec
from studies.training import TrainingConfig
from workers.folder import read_results
from workers.packed_cuda import PackedCuda
from workers.train import AUTOMATIC

pytestmark = needs_triton

SPLIT = TINY["tf32x3"]
NUMBERS = 1 << 16


def _parts(values: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    import kernels

    high, low = torch.empty_like(values), torch.empty_like(values)
    kernels.parts[(1,)](values, high, low, len(values))
    return high.numpy(), low.numpy()


def significant_bits(values: NDArray[np.float32]) -> int:
    """The most that one of them needs."""
    fractions = np.frexp(values.astype(np.float64))[0]
    return next(n for n in range(54) if (np.ldexp(fractions, n) % 1 == 0).all())


def test_the_parts_have_eleven_bits_and_make_the_number() -> None:
    generator = np.random.default_rng(5)
    values = (generator.normal(size=NUMBERS) * 10.0 ** generator.uniform(-20, 20, NUMBERS)).astype(np.float32)
    values[:4] = [0, 1, 1 + 2**-23, -(2 - 2**-23)]
    assert significant_bits(values) == 24
    high, low = interpreted(_parts, torch.from_numpy(values))
    assert significant_bits(high) <= 11
    assert significant_bits(low) <= 11
    rest = np.abs(values.astype(np.float64) - high - low)
    assert (rest <= 2.0**-21 * np.abs(values)).all()
    assert (rest <= 2.0**-22 * np.abs(values)).mean() > 0.9


def test_what_is_centred_pixels_has_no_low_part() -> None:
    pixels = torch.arange(-256, 256, dtype=torch.float32)
    high, low = interpreted(_parts, pixels)
    np.testing.assert_array_equal(high, pixels)
    assert not low.any()


def test_what_is_not_finite_has_parts_that_are_not() -> None:
    bad = np.array([np.nan, np.inf, -np.inf, -np.nan], np.float32)
    payload = np.array([0x7FFFFFFF, 0x7F800001, 0xFFC00000, 0xFF800FFF], np.uint32).view(np.float32)
    high, low = interpreted(_parts, torch.from_numpy(np.concatenate([bad, payload])))
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(high + low).any()


@contextmanager
def _plain_tf32() -> Iterator[None]:
    """Without the low parts."""
    from workers.triton import split

    before, split.LOW_BITS = split.LOW_BITS, type(split.LOW_BITS)(0)
    try:
        yield
    finally:
        split.LOW_BITS = before


@contextmanager
def _cut_sums() -> Iterator[None]:
    """Products summed as tensor cores do it: eight at a time with what came before, each cut below the largest one's
    24th bit, and the sum cut again. They cut where float32 arithmetic rounds, so that errors add up instead of
    cancelling. Without a spare bit, as the first generation (Fasi et al., 2021); later ones were found to have some."""
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    def cut(values: NDArray[np.float64], largest: NDArray[np.float64]) -> NDArray[np.float64]:
        unit = np.ldexp(1.0, np.frexp(largest)[1] - 24)
        cut_off: NDArray[np.float64] = np.trunc(values / unit) * unit
        return cut_off

    def dot(self: Any, a: Any, b: Any, sums: Any, *rest: Any) -> Any:
        left, right, total = (operand.data.astype(np.float64) for operand in (a, b, sums))
        for at in range(0, left.shape[1], 8):
            products = left.T[at : at + 8, :, None] * right[at : at + 8, None, :]
            terms = np.concatenate([total[None], products])
            total = cut(terms, np.abs(terms).max(0)).sum(0)
            total = cut(total, np.abs(total))
        return TensorHandle(total.astype(np.float32), sums.dtype.scalar)

    before, InterpreterBuilder.create_dot = InterpreterBuilder.create_dot, dot
    try:
        yield
    finally:
        InterpreterBuilder.create_dot = before


def _stepped_with(change: str, configs: list[TrainingConfig], dataset: PreparedDataset, models: list[PaperCnn]) -> Any:
    with {"plain tf32": _plain_tf32, "cut sums": _cut_sums}[change]():
        return _stepped(configs, dataset, models, SPLIT)


def step_errors_with(change: str, configs: list[TrainingConfig], logit_scale: float) -> list[dict[str, float]]:
    """As `test_packed_cuda_step.step_errors`, with another arithmetic."""
    dataset = digits(2 * 24, 7, 7, 5)
    models = [start_model(config, dataset, logit_scale) for config in configs]
    return errors_of(interpreted(_stepped_with, change, configs, dataset, models), configs, dataset, models)


def test_without_the_low_parts_the_parity_of_a_step_is_lost() -> None:
    for errors in step_errors_with("plain tf32", of_each_loss(STEP), 1):
        assert min(errors.values()) > PARITY, errors
        assert max(errors.values()) > 30 * PARITY, errors


def test_a_step_keeps_its_parity_where_tensor_cores_cut_their_sums() -> None:
    errors = step_errors_with("cut sums", of_each_loss(STEP), 10)
    assert worst(errors) <= PARITY, errors


def test_members_keep_their_bits_beside_others_of_either_precision() -> None:
    dataset = noisy_prototypes()
    split = [replace(config, precision="tf32x3") for config in PACK[:2]]
    together = train([split[1], PACK[0], split[0]], dataset)
    alone = [train([config], dataset)[0] for config in (split[1], PACK[0], split[0])]
    assert bits(together) == bits(alone)
    assert [result.precision for result in together] == ["tf32x3", "fp32", "tf32x3"]
    assert [" tf32x3 " in result.numeric_class for result in together] == [True, False, True]
    assert together[1].train_loss is not None
    assert together[2].train_loss != together[1].train_loss
    assert together[2].train_loss == pytest.approx(together[1].train_loss, rel=1e-5)


def test_it_is_part_of_the_numeric_class() -> None:
    assert PackedCuda().supports(replace(CONFIG, precision="tf32x3"), "cuda")
    assert len({PackedCuda().numeric_class(precision, "cpu") for precision in TINY}) == 2


def _ran(spec: dict[str, Any], dataset: PreparedDataset, out: Path) -> None:
    """`workers.run` as on a GPU, of which the interpreter takes the place."""
    from workers import run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PackedCuda, "supports", lambda self, config, device: config.precision in TINY)
        patch.setattr("workers.train.ENGINES", (*AUTOMATIC, PackedCuda(TINY)))
        run.run(StudySpec.from_json(spec), dataset, out, "cpu", 2)


def test_a_study_that_names_it_has_it_stored_with_each_replicate(tmp_path: Path) -> None:
    generator = np.random.default_rng(2)
    pixels = generator.integers(0, 256, (24, 5, 6))
    dataset = from_arrays("rotated-digits", pixels, np.arange(24) % 2, np.arange(24) // 2 % 2)
    axes = {"learning_rate": {"values": [0.01]}, "momentum": {"values": [0.5]}}
    own = {"engine": "packed-cuda", "precision": "tf32x3", "folds": 2, "folds_used": 1, "runs": 1, "epochs": 1}
    spec = own | {"dataset": "rotated-digits", "loss": "sse", "batch_size": 12, "grid": axes, "references": []}
    interpreted(_ran, spec, dataset, tmp_path)
    results = list(read_results(tmp_path))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert {(result.engine, result.precision) for result in results} == {("packed-cuda", "tf32x3")}
    assert {result.numeric_class for result in results} == {manifest["numeric_class"]}
    assert manifest["trained"] == len(results) == 2
