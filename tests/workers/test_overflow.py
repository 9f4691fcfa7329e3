"""Weights that are finite while what follows from them is not: divergence, whichever engine trains."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_packed_cuda import TINY, interpreted, needs_triton
from worker_data import CONFIG, toy

from studies.datasets.load import PreparedDataset
from studies.models.paper_cnn import PaperCnn
from studies.results import Outcome
from studies.training import TrainingConfig
from workers import reference
from workers.engine import SILENT
from workers.native import library
from workers.packed_cpu import Member, initial_model, replicate
from workers.reference import Reference, batch_order, fold_tensors, train_epoch

ISAS = library.usable_isas()
CALM = replace(CONFIG, loss="cross-entropy", epochs=1, learning_rate=1e-3, weight_decay=0.0, momentum=0.0)
LEAPING = replace(CALM, learning_rate=1e21, weight_decay=1.0, batch_size=64)
"""With `blind`: one step, after which the filters' outputs have variances beyond float32."""


@pytest.fixture(scope="module")
def small() -> PreparedDataset:
    """With 80 training images."""
    return toy(images=120, side=7)


def model_of(config: TrainingConfig, dataset: PreparedDataset, filters: float = 1, scale: float = 1) -> PaperCnn:
    """Initial weights with some multiplied."""
    model = initial_model(config, *dataset.image_shape, dataset.classes)
    with torch.no_grad():
        model.convolution.weight.mul_(filters)
        model.norm.weight.mul_(scale)
    return model


def blind(config: TrainingConfig, dataset: PreparedDataset) -> PaperCnn:
    """A network whose filters get no gradient, so that weight decay alone moves them; the losses stay finite."""
    model = model_of(config, dataset, scale=0)
    with torch.no_grad():
        model.output.weight.zero_()
    return model


def hidden(config: TrainingConfig, dataset: PreparedDataset) -> list[PaperCnn]:
    """Two networks; the one whose folded offset is beyond float32's least number differs in a sign.

    Its filter gives nothing but minus infinity, of which the ReLU makes zeros, as it does of the other's.
    """
    models = [model_of(config, dataset), model_of(config, dataset)]
    with torch.no_grad():
        for model, sign in zip(models, (-1, 1), strict=True):
            model.norm.weight[0] = sign * 1e36
            model.norm.bias[0] = torch.finfo(torch.float32).min
    return models


def member(config: TrainingConfig, dataset: PreparedDataset, model: PaperCnn, isa: str) -> Member:
    variant = library.variant(isa)
    made = Member(config, dataset, replicate(config, dataset, variant), variant)
    made.assign(model)
    return made


def trained_by_reference(
    config: TrainingConfig, dataset: PreparedDataset, model: PaperCnn, monkeypatch: pytest.MonkeyPatch
) -> Outcome:
    optimizer = torch.optim.SGD(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    monkeypatch.setattr(reference, "start", lambda *_: (model, optimizer))
    (result,) = Reference().train([config], dataset, "cpu", 1, SILENT)
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())
    return result.outcome


def _alive(config: TrainingConfig, dataset: PreparedDataset, models: list[PaperCnn]) -> list[list[int]]:
    """Which networks of the packed CUDA engine live after an epoch, and after its evaluation."""
    from workers.triton.data import DeviceImages, Replicates
    from workers.triton.networks import Networks

    tiles = TINY["fp32"]
    data = Replicates.of([config], DeviceImages.of(dataset, "cpu"), tiles)
    networks = Networks([config] * len(models), [0] * len(models), data, tiles)
    for slot, model in enumerate(models):
        networks.assign([slot], model)
    networks.train_epoch()
    after = networks.alive.tolist()
    networks.evaluate()
    return [after, networks.alive.tolist()]


def test_the_reference_sees_a_batch_variance_that_overflows(
    small: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Normalised by an infinite variance everything is zero, and the losses of zeros are finite.
    model = model_of(CALM, small, filters=1e20)
    assert trained_by_reference(CALM, small, model, monkeypatch) is Outcome.DIVERGED
    assert trained_by_reference(CALM, small, model_of(CALM, small, filters=1e15), monkeypatch) is Outcome.FINISHED


def test_the_reference_sees_a_population_variance_that_overflows(
    small: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = blind(LEAPING, small)
    assert trained_by_reference(LEAPING, small, model, monkeypatch) is Outcome.DIVERGED
    data = fold_tensors(small, 0, "cpu")
    again = blind(LEAPING, small)
    optimizer = torch.optim.SGD(again.parameters(), lr=LEAPING.learning_rate, weight_decay=1.0)
    order = torch.from_numpy(batch_order(LEAPING, len(data.train_labels)))
    assert train_epoch(again, optimizer, data, order, LEAPING.loss) is not None  # the step itself was fine


def test_the_reference_sees_infinite_moving_statistics(small: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(CALM, bn_statistics="moving")
    model = model_of(config, small, filters=1e20)
    assert trained_by_reference(config, small, model, monkeypatch) is Outcome.DIVERGED


@pytest.mark.parametrize("isa", ISAS)
def test_packed_cpu_sees_variances_that_overflow(small: PreparedDataset, isa: str) -> None:
    assert member(CALM, small, model_of(CALM, small, filters=1e20), isa).train_epoch() is None
    assert member(CALM, small, model_of(CALM, small, filters=1e15), isa).train_epoch() is not None
    leaping = member(LEAPING, small, blind(LEAPING, small), isa)
    assert leaping.train_epoch() is not None
    assert leaping.logits(small.split(0).test_index).isnan().all()


@pytest.mark.parametrize("isa", ISAS)
def test_packed_cpu_scores_no_network_whose_folded_filters_overflow(small: PreparedDataset, isa: str) -> None:
    index = small.split(0).test_index
    found = member(CALM, small, model_of(CALM, small, scale=3e38), isa)
    assert all(np.isfinite(values).all() for values in found.parameters().values())
    assert found.logits(index).isnan().all()
    assert member(CALM, small, model_of(CALM, small, scale=1e30), isa).logits(index).isfinite().all()


@pytest.mark.parametrize("isa", ISAS)
def test_packed_cpu_sees_an_infinite_filter_behind_the_relu(isa: str) -> None:
    few = toy(images=36, side=5)
    config, index = replace(CALM, batch_size=24), few.split(0).test_index
    members = [member(config, few, model, isa) for model in hidden(config, few)]
    assert sorted(bool(found.logits(index).isfinite().all()) for found in members) == [False, True]
    assert sorted(found.train_epoch() is not None for found in members) == [False, True]


@pytest.mark.parametrize("isa", ISAS)
def test_packed_cpu_sees_a_weight_that_is_not_finite_though_the_loss_was(small: PreparedDataset, isa: str) -> None:
    # One step: its loss is that of the initial weights.
    found = member(LEAPING, small, model_of(LEAPING, small, scale=1e18), isa)
    assert found.train_epoch() is None
    assert not all(np.isfinite(values).all() for values in found.parameters().values())


@needs_triton
def test_packed_cuda_sees_what_overflows(small: PreparedDataset) -> None:
    few = toy(images=36, side=5)
    calm, leaping = replace(CALM, batch_size=12), replace(LEAPING, batch_size=24)
    filters = [model_of(calm, few), model_of(calm, few, filters=1e20), model_of(calm, few, scale=3e38)]
    assert interpreted(_alive, calm, few, filters) == [[1, 0, 0], [1, 0, 0]]
    assert interpreted(_alive, leaping, few, [blind(leaping, few)]) == [[1], [0]]
    one_step = replace(calm, batch_size=24)
    assert sorted(interpreted(_alive, one_step, few, hidden(one_step, few))[0]) == [0, 1]
