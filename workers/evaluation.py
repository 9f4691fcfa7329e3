"""Test metrics of one network, and the batch-norm statistics they are taken with."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import nn

from studies.losses import LOSSES
from studies.models.initial import NORMS

CHUNK = 1_000
"""Images per forward pass outside training; statistics are summed in float64, so its size moves no result by more
than the rounding of a mean."""


@dataclass(frozen=True)
class Metrics:
    """What a network scores on images it did not train on."""

    accuracy: float
    brier: float
    loss: float
    correct: torch.Tensor
    """[N] bool."""

    @property
    def finite(self) -> bool:
        """False if a logit overflowed: the weights are finite, but no network any more."""
        return math.isfinite(self.loss) and math.isfinite(self.brier)


class _Seen(Exception):
    """Ends a forward pass once the wanted layer has been reached."""


@torch.no_grad()
def evaluate(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, loss: str) -> Metrics:
    """Score a network.

    Args:
        model: in evaluation mode, with its batch-norm statistics set.
        images: [N, 1, H, W] float32.
        labels: [N] int64.
        loss: name of the loss.
    """
    logits = torch.cat([model(chunk) for chunk in torch.split(images, CHUNK)])
    probabilities = logits.double().softmax(-1)
    truth = nn.functional.one_hot(labels, logits.shape[-1])
    correct = logits.argmax(-1) == labels
    return Metrics(
        accuracy=int(correct.sum()) / len(labels),
        brier=float((probabilities - truth).square().sum(-1).mean()),
        loss=float(LOSSES[loss](logits, labels).double().mean()),
        correct=correct,
    )


@torch.no_grad()
def set_population_statistics(model: nn.Module, images: torch.Tensor) -> None:
    """Give each batch norm mean and variance of its input over the whole training set.

    One pass per batch norm, in forward order, each with the earlier ones already set. Sums are float64.

    Args:
        model: in evaluation mode.
        images: [N, 1, H, W] float32, the whole training set.

    Source: MATLAB's `BatchNormalizationStatistics = population` (biased variance).
    """
    for norm in [module for module in model.modules() if isinstance(module, NORMS)]:
        mean, variance = _moments(model, norm, images)
        if norm.running_mean is None or norm.running_var is None:
            raise TypeError("batch norm without running statistics has no inference statistics to set")
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


def _moments(model: nn.Module, layer: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and biased variance per channel of what enters `layer`."""
    sums: list[torch.Tensor] = []
    count = 0

    def see(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal count
        values = inputs[0].transpose(0, 1).flatten(1).double()
        sums.append(torch.stack([values.sum(1), values.square().sum(1)]))
        count += values.shape[1]
        raise _Seen

    _each_chunk(model, layer, images, see)
    total = torch.stack(sums).sum(0) / count
    mean = total[0]
    return mean, (total[1] - mean.square()).clamp_min(0)


def _each_chunk(
    model: nn.Module, layer: nn.Module, images: torch.Tensor, see: Callable[[nn.Module, tuple[torch.Tensor, ...]], None]
) -> None:
    handle = layer.register_forward_pre_hook(see)
    try:
        for chunk in torch.split(images, CHUNK):
            with suppress(_Seen):
                model(chunk)
    finally:
        handle.remove()
