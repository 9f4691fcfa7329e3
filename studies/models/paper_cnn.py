"""The network of the paper's experiment (section VIII, figure 2)."""

import torch
from torch import nn

FILTERS = 20
KERNEL = 5
BN_EPSILON = 1e-5
"""MATLAB's batchNormalizationLayer default, the likely setting of the paper."""
BN_MOMENTUM = 0.1
"""Weight of a new batch in the moving statistics (used only with bn_statistics = moving)."""


class PaperCnn(nn.Module):
    """Convolution of 20 5x5 filters without padding, batch norm, ReLU, fully connected layer.

    For 28 x 28 images and ten classes: 24 x 24 x 20 = 11,520 features and 115,770 learnables.

    Args:
        height, width: image size in pixels, at least 5.
        classes: number of outputs.
    """

    def __init__(self, height: int, width: int, classes: int) -> None:
        super().__init__()
        if min(height, width) < KERNEL:
            raise ValueError(f"paper-cnn needs images of at least {KERNEL} x {KERNEL} pixels, not {height} x {width}")
        self.convolution = nn.Conv2d(1, FILTERS, KERNEL)
        self.norm = nn.BatchNorm2d(FILTERS, eps=BN_EPSILON, momentum=BN_MOMENTUM)
        self.output = nn.Linear(FILTERS * (height - KERNEL + 1) * (width - KERNEL + 1), classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images [N, 1, H, W] to logits [N, classes]."""
        features = torch.relu(self.norm(self.convolution(images)))
        logits: torch.Tensor = self.output(features.flatten(1))
        return logits
