"""The plain PyTorch loop that a good user would write, as the yardstick of the packed engines."""

import time
from dataclasses import dataclass

import torch
from torch import nn

from studies.models.paper_cnn import PaperCnn

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


class EagerLoop:
    """One network, its optimiser and its data, trained batch by batch.

    Cross-entropy and batch-norm statistics are PyTorch's own, which is the cheapest that such a loop can be: the
    study's losses, and statistics over the whole training set, would only slow it down.

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

    def run(self, batches: int) -> float:
        """Train some batches, and score the share of the test images that belongs to them.

        Returns:
            Seconds of wall time.
        """
        began = time.perf_counter()
        self._model.train()
        for _ in range(batches):
            self._step()
        self._evaluate(round(len(self._data.test_labels) * batches * self._batch_size / len(self._order)))
        _finish(self._data.train_images.device)
        return time.perf_counter() - began

    def _step(self) -> None:
        if self._at + self._batch_size > len(self._order):
            self._at = 0
        batch = self._order[self._at : self._at + self._batch_size]
        self._at += self._batch_size
        images = self._data.train_images[batch].contiguous(memory_format=self._layout)
        self._optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self._model(images), self._data.train_labels[batch])
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

    @torch.no_grad()
    def _evaluate(self, images: int) -> torch.Tensor:
        self._model.eval()
        logits = self._model(self._data.test_images[:images].contiguous(memory_format=self._layout))
        correct: torch.Tensor = (logits.argmax(-1) == self._data.test_labels[:images]).sum()
        return correct


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
