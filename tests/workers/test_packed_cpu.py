"""Whole trainings of the packed CPU engine: against the reference, and against itself in other packs."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from worker_data import assert_ends_as_its_curve

from studies.datasets.load import PreparedDataset, from_arrays
from studies.losses import LOSSES
from studies.results import Outcome, TrainingResult
from studies.training import TrainingConfig
from workers.engine import SILENT, Cancelled, Hooks
from workers.native import library
from workers.packed_cpu import PackedCpu
from workers.reference import Reference
from workers.train import choose_engine

ISAS = library.usable_isas()
pytestmark = pytest.mark.skipif(not ISAS, reason="the native library was not built")

CONFIG = TrainingConfig(
    cell=0,
    fold=0,
    run=0,
    learning_rate=0.01,
    momentum=0.9,
    weight_decay=1e-4,
    model="paper-cnn",
    loss="dual-process",
    epochs=3,
    batch_size=32,
    bn_statistics="population",
    seed=0,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Torch's threads only wait for each other on tensors this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits() -> PreparedDataset:
    """16 x 16 images of 5 classes in 3 folds, hard enough that accuracy stays below 1."""
    generator = np.random.default_rng(11)
    prototypes = generator.integers(0, 50, (5, 16, 16))
    labels = np.arange(300) % 5
    pixels = prototypes[labels] + generator.integers(0, 206, (300, 16, 16))
    return from_arrays("noisy prototypes", pixels, labels, np.arange(300) // 5 % 3)


def pack(count: int) -> list[TrainingConfig]:
    """Members that differ in everything that members may differ in."""
    return [
        replace(
            CONFIG,
            cell=i,
            fold=i % 2,
            run=i // 8,
            learning_rate=0.003 * 1.3**i,
            momentum=0.9 - 0.05 * i,
            weight_decay=1e-4 * (i % 3),
            loss=tuple(LOSSES)[i % 4],
            epochs=2,
            batch_size=32 if i % 4 < 2 else 25,
            seed=i // 4 % 2,
        )
        for i in range(count)
    ]


def train(configs: list[TrainingConfig], dataset: PreparedDataset, threads: int = 1) -> list[TrainingResult]:
    return PackedCpu().train(configs, dataset, "cpu", threads, SILENT)


def bits(result: TrainingResult) -> TrainingResult:
    """All of a result but its duration."""
    return replace(result, seconds=0)


def assert_same_bits(found: list[TrainingResult], expected: list[TrainingResult]) -> None:
    assert [bits(result) for result in found] == [bits(result) for result in expected]


def assert_close(found: TrainingResult, truth: TrainingResult, images: int) -> None:
    """Curves of a short training agree to 1e-5 of their values, and its accuracy to one test image."""
    assert (found.key, found.outcome) == (truth.key, truth.outcome)
    for name in ("loss", "train_loss"):
        np.testing.assert_allclose(getattr(found.curve, name), getattr(truth.curve, name), rtol=1e-5)
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), rtol=1e-5)
    np.testing.assert_allclose(found.curve.accuracy, truth.curve.accuracy, atol=1.01 / images)
    np.testing.assert_allclose(found.brier, truth.brier, rtol=1e-5)
    assert_ends_as_its_curve(found)
    different = np.unpackbits(np.bitwise_xor(*(np.frombuffer(r.correct or b"", np.uint8) for r in (found, truth))))
    assert different.sum() <= 1


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_short_training_follows_the_reference(digits: PreparedDataset, loss: str, isa: str) -> None:
    config = replace(CONFIG, loss=loss)
    (truth,) = Reference().train([config], digits, "cpu", 1, SILENT)
    (found,) = PackedCpu(isa).train([config], digits, "cpu", 1, SILENT)
    assert_close(found, truth, 100)
    assert truth.accuracy is not None
    assert 0.3 < truth.accuracy < 1
    assert found.engine == "packed-cpu"
    assert isa in found.numeric_class


def test_members_of_two_folds_and_two_losses_each_follow_the_reference(digits: PreparedDataset) -> None:
    configs = [replace(CONFIG, fold=1), replace(CONFIG, cell=1, fold=2, run=3, loss="cross-entropy", momentum=0.0)]
    truths = Reference().train(configs, digits, "cpu", 1, SILENT)
    for found, truth in zip(train(configs, digits), truths, strict=True):
        assert_close(found, truth, 100)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_member_has_the_same_bits_alone_and_in_every_slot_of_sixteen(digits: PreparedDataset, threads: int) -> None:
    configs = pack(16)
    alone = [result for config in configs for result in train([config], digits)]
    assert_same_bits(train(configs, digits, threads), alone)
    assert_same_bits(train(configs[::-1], digits, threads), alone[::-1])
    assert len({result.train_loss for result in alone}) == 16


def test_the_bit_comparison_sees_two_swapped_slots(digits: PreparedDataset) -> None:
    results = train(pack(4), digits)
    with pytest.raises(AssertionError):
        assert_same_bits([results[1], results[0], *results[2:]], results)
    moved = [replace(a, cell=b.cell, fold=b.fold, run=b.run) for a, b in zip(results[::-1], results, strict=True)]
    with pytest.raises(AssertionError):
        assert_same_bits(moved, results)


def test_a_diverging_neighbour_changes_nothing(digits: PreparedDataset) -> None:
    quiet = pack(4)
    wild = replace(CONFIG, cell=99, loss="cross-entropy", learning_rate=1e38)
    results = train([quiet[0], wild, *quiet[1:]], digits, 2)
    assert results[1].outcome is Outcome.DIVERGED
    assert_same_bits([results[0], *results[2:]], train(quiet, digits))


def test_divergence_is_recorded_as_the_reference_records_it(digits: PreparedDataset) -> None:
    wild = replace(CONFIG, loss="cross-entropy", learning_rate=1e38)
    (truth,) = Reference().train([wild], digits, "cpu", 1, SILENT)
    (found,) = train([wild], digits)
    same = {"seconds": 0.0, "engine": "", "numeric_class": ""}
    assert replace(found, **same) == replace(truth, **same)
    assert (found.outcome, found.accuracy, found.brier, found.correct) == (Outcome.DIVERGED, 0.2, 0.8, None)
    assert found.curve.train_loss == (None, None, None)


def test_weights_that_overflow_in_the_last_step_of_an_epoch_are_divergence(digits: PreparedDataset) -> None:
    # One step an epoch: its loss is that of the initial weights, and finite.
    wild = replace(CONFIG, batch_size=200, weight_decay=1e25, learning_rate=1e25)
    for engine in (Reference(), PackedCpu()):
        (result,) = engine.train([wild], digits, "cpu", 1, SILENT)
        assert result.outcome is Outcome.DIVERGED
        assert result.curve.train_loss == (None, None, None)


@pytest.mark.parametrize("learning_rate", [10.0, 31.6, 100.0, 1e4])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_finite_weights_whose_logits_overflow_are_divergence(
    digits: PreparedDataset, loss: str, learning_rate: float
) -> None:
    wild = replace(CONFIG, loss=loss, weight_decay=1.0, learning_rate=learning_rate)
    (truth,) = Reference().train([wild], digits, "cpu", 1, SILENT)
    (found,) = train([wild], digits)
    assert found.outcome is truth.outcome
    assert [value is None for value in found.curve.loss] == [value is None for value in truth.curve.loss]


def test_a_training_that_diverges_late_keeps_its_first_epochs(digits: PreparedDataset) -> None:
    # Weight decay multiplies the weights by -99 a step, six times an epoch, and float32 ends after nineteen.
    wild = replace(CONFIG, learning_rate=10, weight_decay=10, momentum=0.0, epochs=12)
    (found,) = train([wild], digits)
    assert found.outcome is Outcome.DIVERGED
    lost = [value is None for value in found.curve.train_loss]
    assert lost == sorted(lost)
    assert not lost[0]
    assert [value is None for value in found.curve.accuracy] == lost


def test_every_network_epoch_is_reported(digits: PreparedDataset) -> None:
    counts: list[int] = []
    wild = replace(CONFIG, cell=9, loss="cross-entropy", learning_rate=1e38)
    PackedCpu().train([CONFIG, wild], digits, "cpu", 2, Hooks(counts.append, lambda: False))
    assert sum(counts) == 2 * CONFIG.epochs


@pytest.mark.parametrize("threads", [1, 2])
def test_cancelling_ends_the_pack_between_epochs(digits: PreparedDataset, threads: int) -> None:
    counts: list[int] = []
    hooks = Hooks(counts.append, lambda: len(counts) >= 3)
    with pytest.raises(Cancelled):
        PackedCpu().train([replace(c, epochs=50) for c in pack(4)], digits, "cpu", threads, hooks)
    assert 3 <= len(counts) <= 3 + threads


def test_a_fold_smaller_than_a_batch_is_refused(digits: PreparedDataset) -> None:
    with pytest.raises(ValueError, match="batch_size must be at most the 200 training images"):
        train([replace(CONFIG, batch_size=201)], digits)


def test_torch_state_is_left_alone(digits: PreparedDataset) -> None:
    torch.set_num_threads(2)
    torch.manual_seed(1)
    first = train([CONFIG], digits)
    torch.manual_seed(2)
    assert_same_bits(train([CONFIG], digits), first)
    assert torch.get_num_threads() == 2


def test_variants_agree(digits: PreparedDataset) -> None:
    results = [PackedCpu(isa).train([CONFIG], digits, "cpu", 1, SILENT)[0] for isa in ISAS]
    for result in results[1:]:
        assert_close(result, results[0], 100)
    assert len({result.numeric_class for result in results}) == len(ISAS)


@pytest.mark.parametrize(
    ("changes", "device"),
    [({"bn_statistics": "moving"}, "cpu"), ({"precision": "tf32"}, "cpu"), ({"model": "other"}, "cpu"), ({}, "cuda")],
)
def test_what_it_cannot_train_it_does_not_claim(changes: dict[str, str], device: str) -> None:
    assert not PackedCpu().supports(replace(CONFIG, **changes), device)  # type: ignore[arg-type]


def test_auto_takes_the_packed_engine_and_the_reference_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_engine(CONFIG, "cpu").name == "packed-cpu"
    assert choose_engine(CONFIG, "cpu", "reference").name == "reference"
    monkeypatch.setattr(library, "_library", lambda: None)
    assert choose_engine(CONFIG, "cpu").name == "reference"
    with pytest.raises(ValueError, match="engine packed-cpu cannot train"):
        choose_engine(CONFIG, "cpu", "packed-cpu")


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(LookupError, match="no variant for 'mmx'"):
        library.variant("mmx")
