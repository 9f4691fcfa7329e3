"""The plain PyTorch loop that a good user would write, as the yardstick of the packed engines."""

import time
from dataclasses import dataclass

import torch
from torch import nn

from studies.models.paper_cnn import PaperCnn

CHUNK = 128
"""Images per forward pass of the statistics: larger ones take longer, as their outputs leave the cache."""
LAYOUTS = (torch.contiguous_format, torch.channels_last)
"""Memory formats that are tried; the faster one counts."""


@dataclass(frozen=True)
class EagerData:
    """Images and labels in the device's memory."""

    train_images: torch.Tensor
    """[N_train, 1, H, W] float32"""
    train_labels: torch.Tensor
    """[N_train] int64"""
    test_images: torch.Tensor
    """[N_test, 1, H, W] float32"""
    test_labels: torch.Tensor
    """[N_test] int64"""


@dataclass(frozen=True)
class EagerSeconds:
    """Wall time of a piece of training."""

    training: float
    """Batches, and the test images by PyTorch's moving batch-norm statistics."""
    statistics: float
    """Batch-norm statistics of the training images instead, as the study's evaluation takes them."""


class EagerLoop:
    """One network, its optimiser and its data, trained batch by batch with PyTorch's own cross-entropy.

    Its statistics are timed apart: a user who did not care for the study's evaluation would leave them out.

    Args:
        data: in the device's memory.
        classes: number of outputs.
        batch_size: images per step.
        layout: memory format of images and filters.
    """

    def __init__(self, data: EagerData, classes: int, batch_size: int, layout: torch.memory_format) -> None:
        device = data.train_images.device
        height, width = data.train_images.shape[-2:]
        self._model = PaperCnn(height, width, classes).to(device, memory_format=layout)  # type: ignore[call-overload]
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
        self._data, self._batch_size, self._layout = data, batch_size, layout
        self._order = torch.randperm(len(data.train_labels), generator=torch.Generator().manual_seed(0)).to(device)
        self._at = 0

    def run(self, batches: int) -> "EagerSeconds":
        """Train some batches, and evaluate on the share of the images that belongs to them."""
        share = batches * self._batch_size / len(self._order)
        began = time.perf_counter()
        self._model.train()
        for _ in range(batches):
            self._step()
        self._score(round(len(self._data.test_labels) * share))
        _finish(self._data.train_images.device)
        scored = time.perf_counter()
        self._set_statistics(round(len(self._data.train_labels) * share))
        _finish(self._data.train_images.device)
        return EagerSeconds(scored - began, time.perf_counter() - scored)

    def _step(self) -> None:
        if self._at + self._batch_size > len(self._order):
            self._at = 0
        batch = self._order[self._at : self._at + self._batch_size]
        self._at += self._batch_size
        images = self._data.train_images[batch].contiguous(memory_format=self._layout)
        self._optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self._model(images), self._data.train_labels[batch])
        loss.backward()
        self._optimizer.step()

    @torch.no_grad()
    def _score(self, images: int) -> torch.Tensor:
        self._model.eval()
        logits = self._model(self._data.test_images[:images].contiguous(memory_format=self._layout))
        correct: torch.Tensor = (logits.argmax(-1) == self._data.test_labels[:images]).sum()
        return correct

    @torch.no_grad()
    def _set_statistics(self, images: int) -> None:
        norm = self._model.norm
        moving, norm.momentum = norm.momentum, None  # None averages over all batches seen
        norm.reset_running_stats()
        norm.train()
        for chunk in self._data.train_images[:images].split(CHUNK):
            norm(self._model.convolution(chunk.contiguous(memory_format=self._layout)))
        norm.momentum = moving


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
