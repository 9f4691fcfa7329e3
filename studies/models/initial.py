"""Initial weights: Glorot-uniform, the same numbers on every device and with every version of torch."""

import math

import numpy as np
import torch
from torch import nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def initialise(model: nn.Module, generator: np.random.Generator) -> None:
    """Set Glorot-uniform weights and zero biases; scales one and offsets zero in batch norms.

    Weights are drawn layer by layer in the order of `model.modules()`, as float64, and rounded to the layer's type.

    Args:
        model: a network of linear, convolution, batch-norm and parameter-free layers.
        generator: source of all numbers drawn.

    Raises:
        TypeError: a layer holds parameters of its own that no rule covers.

    Source: Glorot and Bengio 2010, eq. 16, the default of MATLAB's layers.
    """
    for module in model.modules():
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, LINEAR):
            fan_out, fan_in = module.weight.shape[0], module.weight[0].numel()
            field = module.weight[0, 0].numel() if module.weight.ndim > 2 else 1
            bound = math.sqrt(6 / (fan_in + fan_out * field))
            drawn = generator.uniform(-bound, bound, size=tuple(module.weight.shape))
            _assign(module.weight, drawn)
            if module.bias is not None:
                _assign(module.bias, np.zeros(module.bias.shape))
        elif isinstance(module, NORMS):
            module.reset_parameters()
        elif own:
            raise TypeError(f"no rule for the initial values of {type(module).__name__} ({', '.join(own)})")


def decayed(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters with and without weight decay: everything but the biases of linear and convolution layers.

    Source: MATLAB's sgdm applies L2 to weights and to batch-norm scale and offset, not to biases.
    """
    biases = {id(m.bias) for m in model.modules() if isinstance(m, LINEAR) and m.bias is not None}
    parameters = list(model.parameters())
    return [p for p in parameters if id(p) not in biases], [p for p in parameters if id(p) in biases]


def _assign(parameter: torch.Tensor, values: np.ndarray) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values))
