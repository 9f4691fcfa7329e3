"""Whole trainings of the packed CUDA engine, its kernels run by Triton's interpreter: no GPU takes part."""

import atexit
import importlib.util
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from worker_data import assert_ends_as_its_curve

from studies.datasets.load import PreparedDataset, from_arrays
from studies.losses import LOSSES
from studies.results import Outcome, TrainingResult
from studies.training import TrainingConfig
from workers.engine import SILENT, Cancelled, DoesNotFit, Hooks
from workers.packed_cuda import PackedCuda, _groups, _replicates
from workers.reference import Reference
from workers.train import choose_engine
from workers.triton.data import DeviceImages
from workers.triton.shapes import TILES

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
pytestmark = needs_triton

TINY = {name: replace(tiles, images=16, backward_images=16, pairs=2, loss_images=8) for name, tiles in TILES.items()}
"""So small that every loop over tiles runs more than once, the last time with less than a tile."""
CONFIG = TrainingConfig(
    cell=0,
    fold=0,
    run=0,
    learning_rate=0.01,
    momentum=0.9,
    weight_decay=1e-4,
    model="paper-cnn",
    loss="dual-process",
    epochs=1,
    batch_size=9,
    bn_statistics="population",
    seed=0,
)
WILD = replace(CONFIG, cell=99, loss="cross-entropy", learning_rate=1e38)


def interpreted(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process in which Triton interprets kernels; it decides that once, when it is imported."""
    return _interpreter().submit(function, *arguments).result()


@cache
def _interpreter() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_interpret)
    atexit.register(pool.shutdown)
    return pool


def _interpret() -> None:
    os.environ["TRITON_INTERPRET"] = "1"
    torch.set_num_threads(1)
    np.seterr(all="ignore")  # a GPU divides by zero silently, too


def _train(configs: list[TrainingConfig], dataset: PreparedDataset) -> list[TrainingResult]:
    return PackedCuda(TINY).train(configs, dataset, "cpu", 1, SILENT)


def train(configs: list[TrainingConfig], dataset: PreparedDataset) -> list[TrainingResult]:
    found: list[TrainingResult] = interpreted(_train, configs, dataset)
    return found


def noisy_prototypes() -> PreparedDataset:
    """6 x 7 images of 3 classes in 3 folds of 9, 10 and 11 images: 2 batches of 9, the rest dropped."""
    generator = np.random.default_rng(11)
    prototypes = generator.integers(0, 100, (3, 6, 7))
    labels = np.arange(30) % 3
    pixels = prototypes[labels] + generator.integers(0, 156, (30, 6, 7))
    return from_arrays("noisy prototypes", pixels, labels, np.repeat([0, 1, 2], [9, 10, 11]))


@pytest.fixture(scope="module")
def digits() -> PreparedDataset:
    return noisy_prototypes()


PACK = [
    replace(CONFIG, learning_rate=0.01),
    replace(CONFIG, cell=1, fold=1, run=1, momentum=0.5, weight_decay=0.0, loss="cross-entropy"),
    replace(CONFIG, cell=2, seed=1, learning_rate=0.02, loss="energy"),
]
"""Members that go in step, and differ in everything in which such may."""


@pytest.fixture(scope="module")
def alone(digits: PreparedDataset) -> list[TrainingResult]:
    """Each member of PACK trained by itself."""
    return [train([config], digits)[0] for config in PACK]


def bits(results: list[TrainingResult]) -> list[TrainingResult]:
    """All of some results but their durations."""
    return [replace(result, seconds=0) for result in results]


def assert_close(found: TrainingResult, truth: TrainingResult) -> None:
    """Curves of a short training agree to 1e-5 of their values, and its classes exactly."""
    assert (found.key, found.outcome, found.correct) == (truth.key, truth.outcome, truth.correct)
    for name in ("loss", "train_loss"):
        np.testing.assert_allclose(getattr(found.curve, name), getattr(truth.curve, name), rtol=1e-5)
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), rtol=1e-5)
    np.testing.assert_allclose(found.curve.accuracy, truth.curve.accuracy)
    np.testing.assert_allclose(found.brier, truth.brier, rtol=1e-5)
    assert_ends_as_its_curve(found)


def test_a_pack_of_all_losses_and_folds_follows_the_reference(digits: PreparedDataset) -> None:
    configs = [
        replace(
            CONFIG, cell=i, fold=i % 3, run=i // 2, loss=loss, learning_rate=0.005 * (i + 1), batch_size=18, epochs=2
        )
        for i, loss in enumerate(LOSSES)
    ]
    truths = Reference().train(configs, digits, "cpu", 1, SILENT)
    for found, truth in zip(train(configs, digits), truths, strict=True):
        assert_close(found, truth)
    assert len({truth.accuracy for truth in truths}) > 1


@pytest.mark.parametrize("turn", range(3))
def test_a_member_has_the_same_bits_alone_and_in_every_slot(
    digits: PreparedDataset, alone: list[TrainingResult], turn: int
) -> None:
    results = train(PACK[turn:] + PACK[:turn], digits)
    assert bits(results) == bits(alone[turn:] + alone[:turn])
    assert len({result.train_loss for result in results}) == 3


def test_members_share_what_seed_fold_and_run_have_in_common() -> None:
    others = [replace(CONFIG, **{name: 1}) for name in ("seed", "fold", "run")]
    distinct, rows = _replicates([CONFIG, *others, replace(CONFIG, cell=1, momentum=0.0)])
    assert (distinct, rows) == ([replace(CONFIG, cell=1, momentum=0.0), *others], [0, 1, 2, 3, 0])


def test_members_go_in_step_if_batches_and_epochs_are_equal_in_size_and_number(digits: PreparedDataset) -> None:
    # Of 21, 20 and 19 training images.
    configs = [replace(CONFIG, fold=fold, batch_size=10) for fold in (0, 1, 2)]
    configs += [replace(CONFIG, batch_size=9), replace(CONFIG, batch_size=10, epochs=2), replace(CONFIG, batch_size=10)]
    assert _groups(configs, digits) == [[0, 1, 5], [2], [3], [4]]


def test_the_resident_images_are_those_of_the_data_set(digits: PreparedDataset) -> None:
    engine = PackedCuda(TINY)
    first = engine._images(digits, "cpu")
    other = from_arrays(digits.name, 255 - digits.images, digits.labels, digits.folds)
    assert engine._images(digits, "cpu") is first
    found = engine._images(other, "cpu")
    assert found.dataset is other
    assert (found.pixels.numpy() == other.images.reshape(30, -1)).all()


def test_the_bit_comparison_sees_two_swapped_slots(alone: list[TrainingResult]) -> None:
    first, second, third = alone
    moved = [
        replace(second, cell=first.cell, fold=first.fold, run=first.run),
        replace(first, cell=second.cell, fold=second.fold, run=second.run),
        third,
    ]
    assert bits(moved) != bits(alone)


def test_a_diverging_neighbour_changes_nothing(digits: PreparedDataset, alone: list[TrainingResult]) -> None:
    results = train([PACK[0], WILD, PACK[1]], digits)
    assert results[1].outcome is Outcome.DIVERGED
    assert bits([results[0], results[2]]) == bits(alone[:2])


def test_divergence_is_recorded_as_the_reference_records_it(digits: PreparedDataset) -> None:
    # One step an epoch: its loss is that of the initial weights, and finite.
    in_the_last_step = replace(CONFIG, batch_size=18, weight_decay=1e25, learning_rate=1e25)
    configs = [WILD, in_the_last_step]
    truths = Reference().train(configs, digits, "cpu", 1, SILENT)
    for found, truth in zip(train(configs, digits), truths, strict=True):
        same = {"seconds": 0.0, "engine": "", "numeric_class": ""}
        assert replace(found, **same) == replace(truth, **same)
        assert (found.outcome, found.curve.train_loss) == (Outcome.DIVERGED, (None,))


def test_a_training_that_diverges_late_keeps_its_first_epochs(digits: PreparedDataset) -> None:
    # Weight decay multiplies the weights by -1e7 a step, and float32 ends after a few.
    wild = replace(CONFIG, batch_size=18, learning_rate=1e4, weight_decay=1e3, momentum=0.0, epochs=7)
    (found,) = train([wild], digits)
    assert found.outcome is Outcome.DIVERGED
    lost = [value is None for value in found.curve.train_loss]
    assert lost == sorted(lost)
    assert not lost[0]
    assert [value is None for value in found.curve.accuracy] == lost


def _counted(configs: list[TrainingConfig], dataset: PreparedDataset, most: int) -> tuple[list[int], bool]:
    counts: list[int] = []
    try:
        PackedCuda(TINY).train(configs, dataset, "cpu", 1, Hooks(counts.append, lambda: len(counts) >= most))
    except Cancelled:
        return counts, True
    return counts, False


def test_every_network_epoch_is_reported_and_cancelling_ends_between_epochs(digits: PreparedDataset) -> None:
    # A batch size of its own makes a group of its own.
    configs = [replace(CONFIG, epochs=2), replace(WILD, epochs=2), replace(CONFIG, batch_size=18)]
    assert interpreted(_counted, configs, digits, 99) == ([3, 1, 1], False)
    assert interpreted(_counted, configs, digits, 1) == ([3], True)


def test_a_fold_smaller_than_a_batch_is_refused(digits: PreparedDataset) -> None:
    with pytest.raises(ValueError, match="batch_size must be at most the 21 training images"):
        train([replace(CONFIG, batch_size=22)], digits)


def test_too_little_memory_asks_for_a_smaller_pack(digits: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(dataset: PreparedDataset, device: str) -> DeviceImages:
        raise torch.OutOfMemoryError("no room for 7 networks")

    monkeypatch.setattr(DeviceImages, "of", full)
    with pytest.raises(DoesNotFit, match="no room for 7 networks"):
        PackedCuda().train([CONFIG], digits, "cpu", 1, SILENT)


@pytest.mark.parametrize(
    ("changes", "device"),
    [({"bn_statistics": "moving"}, "cuda"), ({"precision": "tf32"}, "cuda"), ({"model": "other"}, "cuda"), ({}, "cpu")],
)
def test_what_it_cannot_train_it_does_not_claim(changes: dict[str, str], device: str) -> None:
    assert not PackedCuda().supports(replace(CONFIG, **changes), device)  # type: ignore[arg-type]


def test_only_a_study_that_names_it_gets_it() -> None:
    assert choose_engine(CONFIG, "cuda").name == "reference"
    assert choose_engine(CONFIG, "cuda", "packed-cuda").name == "packed-cuda"
    with pytest.raises(ValueError, match="engine packed-cuda cannot train"):
        choose_engine(CONFIG, "cpu", "packed-cuda")
    # Only it has the other precision, and even so `auto` does not take it.
    split = replace(CONFIG, precision="tf32x3")
    assert choose_engine(split, "cuda", "packed-cuda").name == "packed-cuda"
    with pytest.raises(ValueError, match="engine auto cannot train paper-cnn in tf32x3 on cuda"):
        choose_engine(split, "cuda")
