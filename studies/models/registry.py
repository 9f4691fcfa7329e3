"""Known models by name; the network itself is built, and torch imported, only when a worker asks."""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model without importing torch."""

    name: str
    title: str
    factory: str
    """`module:callable`; called with (height, width, classes), it gives an nn.Module: [N, 1, H, W] -> [N, classes]."""
    learnables_28x28x10: int
    """Learnable parameters for 28 x 28 images of ten classes."""
    source: str


MODELS: dict[str, ModelInfo] = {
    "paper-cnn": ModelInfo(
        name="paper-cnn",
        title="Convolution 5x5x20 without padding, batch normalisation, ReLU, fully connected",
        factory="studies.models.paper_cnn:PaperCnn",
        learnables_28x28x10=115_770,
        source="Jaeger 2021, section VIII and figure 2",
    ),
}


def get(name: str) -> ModelInfo:
    """The model of that name.

    Raises:
        ValueError: no such model; the message lists the known ones.
    """
    if name not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, not {name!r}")
    return MODELS[name]


def build(name: str, height: int, width: int, classes: int) -> "nn.Module":
    """A new network with PyTorch's own initial values; `studies.models.initialise` gives it ours."""
    module, _, attribute = get(name).factory.partition(":")
    network: nn.Module = getattr(importlib.import_module(module), attribute)(height, width, classes)
    return network
