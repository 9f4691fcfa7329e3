"""How far one update of a packed engine is from float64."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from studies import losses
from studies.datasets.load import PreparedDataset, from_arrays
from studies.models.initial import decayed
from studies.training import TrainingConfig
from workers.packed_cpu import Member, PackedCpu, initial_model, replicate
from workers.packed_cuda import PackedCuda
from workers.reference import batch_order, fold_tensors
from workers.triton.shapes import TILES

WITHOUT_EFFECT = "convolution.bias"
"""Batch norm takes it away again, so packed engines have no such parameter."""
Updates = dict[str, NDArray[np.float32]]
"""Momentum after one step from rest, of each parameter, flat: the gradient with its weight decay."""


def step_error(config: TrainingConfig, dataset: PreparedDataset, engine: str, device: str) -> float | None:
    """Largest error of any parameter's first update, relative to the largest entry of that parameter's update.

    Args:
        config: what to train; one batch of it.
        dataset: images to take two batches from, one of which is tested.
        engine: a packed engine's name.
        device: where it runs; the truth is computed on the processor.

    Returns:
        None for an engine that is not packed: PyTorch's autograd is no one's error but its own.

    Raises:
        ValueError: see `update_errors`.
    """
    update = UPDATES.get(engine)
    if update is None:
        return None
    batch = config.batch_size
    few = np.arange(2 * batch)
    small = from_arrays("few", dataset.images[few], dataset.labels[few], few % 2)
    once = replace(config, fold=0, epochs=1)
    return max(update_errors(update(once, small, device), true_update(once, small)).values())


def update_errors(found: Mapping[str, NDArray[Any]], truth: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Of each parameter, the largest error of its update, relative to the largest entry of the true one.

    Args:
        found: by parameter, what an engine made.
        truth: the same in float64; what has no effect is left out of both.

    Raises:
        ValueError: the parameters are not the same, or a value is not finite; no comparison would show the latter.
    """
    found, truth = ({name: of[name] for name in of if name != WITHOUT_EFFECT} for of in (found, truth))
    if found.keys() != truth.keys():
        raise ValueError(f"updates must be of {', '.join(truth)}, not of {', '.join(found)}")
    for name in truth:
        if not (np.isfinite(found[name]).all() and np.isfinite(truth[name]).all()):
            raise ValueError(f"the update of {name} is not finite")
    return {name: float(np.max(np.abs(found[name] - truth[name])) / np.max(np.abs(truth[name]))) for name in truth}


def true_update(config: TrainingConfig, dataset: PreparedDataset) -> dict[str, NDArray[np.float64]]:
    """The same in float64, by autograd."""
    data = fold_tensors(dataset, config.fold, "cpu")
    model = initial_model(config, *dataset.image_shape, dataset.classes).double()
    batch = batch_order(config, len(data.train_labels))[0]
    loss = losses.LOSSES[config.loss](model(data.train_images[batch].double()), data.train_labels[batch]).mean()
    torch.autograd.backward(loss)
    with_decay = {id(parameter) for parameter in decayed(model)[0]}
    truth = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            decay = config.weight_decay if id(parameter) in with_decay else 0.0
            truth[name] = (parameter.grad + decay * parameter.detach()).numpy().ravel()
    return truth


def _packed_cpu(config: TrainingConfig, dataset: PreparedDataset, device: str) -> Updates:
    variant = PackedCpu().variant()
    member = Member(config, dataset, replicate(config, dataset, variant), variant)
    member.train_epoch()
    return member.velocity()


def _packed_cuda(config: TrainingConfig, dataset: PreparedDataset, device: str) -> Updates:
    from workers.triton.data import DeviceImages, Replicates
    from workers.triton.networks import Networks

    tiles = TILES[config.precision]
    networks = Networks([config], [0], Replicates.of([config], DeviceImages.of(dataset, device), tiles), tiles)
    networks.assign([0], initial_model(config, *dataset.image_shape, dataset.classes))
    networks.train_epoch()
    return networks.flat(networks.velocity, 0)


UPDATES: dict[str, Callable[[TrainingConfig, PreparedDataset, str], Updates]] = {
    PackedCpu.name: _packed_cpu,
    PackedCuda.name: _packed_cuda,
}
"""By engine, how to take one step with it."""
