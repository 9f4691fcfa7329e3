"""The network; imported by workers only."""

import torch
from torch import nn

HIDDEN = 64


class Perceptron(nn.Module):
    """One hidden layer.

    Args:
        height, width: image size in pixels.
        classes: number of outputs.
    """

    def __init__(self, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(height * width, HIDDEN)
        self.output = nn.Linear(HIDDEN, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images [N, 1, H, W] to logits [N, classes]."""
        logits: torch.Tensor = self.output(torch.relu(self.hidden(images.flatten(1))))
        return logits
