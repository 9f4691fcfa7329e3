"""What every rival does: train `paper-cnn` with cross-entropy on images in memory, and evaluate after an epoch.

A batch of 128, stochastic gradient descent with momentum 0.9 and weight decay 1e-4; evaluation is the batch-norm
statistics of all training images, then the scores of all test images. A rival that runs less than an epoch evaluates on
that share of the images, once per turn.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from studies.datasets.load import PreparedDataset
from studies.models.paper_cnn import PaperCnn
from workers.bench import CONFIG, noise
from workers.packed_cpu import initial_model
from workers.reference import FoldTensors, batch_order, fold_tensors

BATCH, MOMENTUM, DECAY = CONFIG.batch_size, CONFIG.momentum, CONFIG.weight_decay
CHUNK = 128
"""Images per forward pass of the statistics, as in the eager loop of `workers.bench_eager`."""
DISTINCT = 8
"""Images of the first batch, which repeats them. Of the 1.5 million features of 128 different images one is often so
near 0 that rounding decides whether ReLU passes it, and then right gradients differ by 0.4 %."""


@dataclass(frozen=True)
class Task:
    """Images and initial weights, the same for everyone."""

    dataset: PreparedDataset
    data: FoldTensors
    order: NDArray[np.int64]
    """[batches, 128], indices into the training images; each rival takes the batches in this order."""

    @classmethod
    def of_noise(cls) -> "Task":
        """9,000 training and 1,000 test images of random pixels."""
        dataset = noise()
        data = fold_tensors(dataset, CONFIG.fold, "cpu")
        order = batch_order(CONFIG, len(data.train_labels)).copy()
        order[0] = np.resize(order[0, :DISTINCT], BATCH)
        return cls(dataset, data, order)

    def model(self) -> PaperCnn:
        """The network at its initial weights."""
        return initial_model(CONFIG, *self.dataset.image_shape, self.dataset.classes)

    def share(self, images: torch.Tensor, batches: int) -> int:
        """How many of `images`, [N, ...], are evaluated after so many batches."""
        return round(len(images) * batches / len(self.order))


class Rival(Protocol):
    """A way to train one or more networks."""

    name: str
    networks: int
    """K, trained at once."""
    differs: str
    """What it does otherwise than the rest; empty if nothing."""

    def begin(self, learning_rate: float) -> None:
        """Put every network at the initial weights, before the first batch."""

    def step(self) -> None:
        """Train every network on the next batch."""

    def parameters(self, network: int) -> dict[str, NDArray[np.float32]]:
        """A copy of one network's parameters, flat, by their names in `PaperCnn`."""

    def turn(self) -> int:
        """Train and evaluate; the number of training images, those of all networks together."""


def first_update(rival: Rival, network: int, initial: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """How far the first batch moves each parameter of a network.

    At a learning rate of 1, so that the difference of two weights keeps its digits. The convolution's bias is left out:
    batch norm cancels it, and its gradient is rounding.
    """
    rival.begin(learning_rate=1.0)
    rival.step()
    after = rival.parameters(network)
    return {name: after[name] - initial[name] for name in initial if name != "convolution.bias"}


def flat(model: torch.nn.Module) -> dict[str, NDArray[np.float32]]:
    """A copy of a module's parameters."""
    return {name: parameter.detach().numpy().ravel().copy() for name, parameter in model.named_parameters()}
