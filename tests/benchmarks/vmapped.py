"""K networks at once by `torch.func`: stacked parameters, and the gradient of one network mapped over them."""

import numpy as np
import torch
from numpy.typing import NDArray
from task import BATCH, CHUNK, DECAY, MOMENTUM, Task
from torch import nn
from torch.func import functional_call, grad, replace_all_batch_norm_modules_, stack_module_state, vmap

Parameters = dict[str, torch.Tensor]


class TorchVmap:
    """Networks that share images and order, each with its own learning rate.

    Args:
        networks: K.
    """

    differs = "decays biases too"

    def __init__(self, task: Task, networks: int, batches: int) -> None:
        self.name, self.networks, self._batches, self._task = "torch.func.vmap", networks, batches, task
        # Batch norm that keeps no moving statistics: they could not be written inside the mapped function.
        self._base = replace_all_batch_norm_modules_(task.model())
        self._gradients = vmap(grad(self._loss), in_dims=(0, None, None))
        self._moments = vmap(self._batch_moments, in_dims=(0, None))
        self._scores = vmap(self._logits, in_dims=(0, 0, 0, None))

    def begin(self, learning_rate: float) -> None:
        models = [self._task.model() for _ in range(self.networks)]
        stacked, _ = stack_module_state(models)
        self._parameters: Parameters = {name: value.detach() for name, value in stacked.items()}
        self._velocity = {name: torch.zeros_like(value) for name, value in self._parameters.items()}
        self._rates = torch.full((self.networks,), learning_rate)
        self._at = 0

    def step(self) -> None:
        batch = torch.from_numpy(self._task.order[self._at])
        self._at = (self._at + 1) % len(self._task.order)
        data = self._task.data
        self._update(self._gradients(self._parameters, data.train_images[batch], data.train_labels[batch]))

    def parameters(self, network: int) -> dict[str, NDArray[np.float32]]:
        return {name: value[network].numpy().ravel().copy() for name, value in self._parameters.items()}

    def turn(self) -> int:
        for _ in range(self._batches):
            self.step()
        self._evaluate()
        return self.networks * self._batches * BATCH

    def _loss(self, parameters: Parameters, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(functional_call(self._base, parameters, (images,)), labels)

    @torch.no_grad()
    def _update(self, gradients: Parameters) -> None:
        for name, value in self._parameters.items():
            moved = self._velocity[name].mul_(MOMENTUM).add_(gradients[name]).add_(value, alpha=DECAY)
            value.sub_(self._rates.view(-1, *[1] * (value.ndim - 1)) * moved)

    @torch.no_grad()
    def _evaluate(self) -> torch.Tensor:
        """Test images that each network classifies rightly, [K]."""
        task, data = self._task, self._task.data
        chunks = data.train_images[: task.share(data.train_images, self._batches)].split(CHUNK)
        sums = torch.stack([torch.stack(self._moments(self._parameters, chunk)) * len(chunk) for chunk in chunks])
        mean, square = sums.sum(0) / sum(len(chunk) for chunk in chunks)
        test = task.share(data.test_images, self._batches)
        logits = self._scores(self._parameters, mean, square - mean.square(), data.test_images[:test])
        return (logits.argmax(-1) == data.test_labels[:test]).sum(-1)

    @staticmethod
    def _convolution(parameters: Parameters, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(images, parameters["convolution.weight"], parameters["convolution.bias"])

    def _batch_moments(self, parameters: Parameters, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self._convolution(parameters, images)
        return features.mean((0, 2, 3)), features.square().mean((0, 2, 3))

    def _logits(
        self, parameters: Parameters, mean: torch.Tensor, variance: torch.Tensor, images: torch.Tensor
    ) -> torch.Tensor:
        scale, offset = parameters["norm.weight"], parameters["norm.bias"]
        features = nn.functional.batch_norm(self._convolution(parameters, images), mean, variance, scale, offset)
        return torch.relu(features).flatten(1) @ parameters["output.weight"].T + parameters["output.bias"]
