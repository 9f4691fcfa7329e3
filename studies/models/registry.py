"""Known models by name; the network itself is built, and torch imported, only when a worker asks."""

import importlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studies.entry_points import Registry, check_name

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model without importing torch."""

    name: str
    """Used in a study: small letters, digits, hyphens."""
    title: str
    """One line for a list."""
    factory: str
    """`module:callable`; called with (height, width, classes), it gives an nn.Module: [N, 1, H, W] -> [N, classes]."""
    learnables_28x28x10: int
    """Learnable parameters for 28 x 28 images of ten classes."""
    source: str
    """Where the network is described."""

    def __post_init__(self) -> None:
        check_name(self.name)
        for text in ("title", "source"):
            if not getattr(self, text).strip():
                raise ValueError(f"{text} of {self.name} must not be empty")
        if not re.fullmatch(r"[\w.]+:\w+", self.factory):
            raise ValueError(f"factory of {self.name} must be module:callable, got {self.factory!r}")
        if self.learnables_28x28x10 < 1:
            raise ValueError(f"learnables_28x28x10 of {self.name} must be at least 1, got {self.learnables_28x28x10}")


_BUILT_IN = (
    ModelInfo(
        name="paper-cnn",
        title="Convolution 5x5x20 without padding, batch normalisation, ReLU, fully connected",
        factory="studies.models.paper_cnn:PaperCnn",
        learnables_28x28x10=115_770,
        source="Jaeger 2021, section VIII and figure 2",
    ),
)
MODELS = Registry("goldenbench.models", ModelInfo, _BUILT_IN)
"""Every registered model by name."""


def get(name: str) -> ModelInfo:
    """The model of that name.

    Raises:
        ValueError: no such model; the message lists the known ones, or says why an entry point was left out.
    """
    try:
        return MODELS[name]
    except KeyError:
        why = MODELS.problems.get(name)
        rule = f"model must be one of {', '.join(MODELS)}, not {name!r}"
        raise ValueError(f"{rule}; {why}" if why else rule) from None


def code_of(name: str) -> str:
    """What fixes a model's code besides the version of its engine.

    Returns:
        `package version` of what registered it; empty for a model that ships.
    """
    origin = MODELS.origin(name)
    return "" if origin is None else str(origin)


def build(name: str, height: int, width: int, classes: int) -> "nn.Module":
    """A new network with PyTorch's own initial values; `studies.models.initialise` gives it ours."""
    module, _, attribute = get(name).factory.partition(":")
    network: nn.Module = getattr(importlib.import_module(module), attribute)(height, width, classes)
    return network
