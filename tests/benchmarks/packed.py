"""The packed CPU engine, as a worker calls it."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from task import BATCH, Task

from workers.bench import CONFIG
from workers.packed_cpu import Member, PackedCpu, patch_sums, replicate
from workers.train import train_pack


class Packed:
    """Two networks per thread, five epochs of each, preparation included.

    Args:
        threads: processor threads.
    """

    name = "packed-cpu"
    differs = ""

    def __init__(self, task: Task, threads: int) -> None:
        self.networks, self._threads, self._task = 2 * threads, threads, task
        self._configs = [replace(CONFIG, cell=cell) for cell in range(self.networks)]

    def begin(self, learning_rate: float) -> None:
        dataset, variant = self._task.dataset, PackedCpu().variant()
        config = replace(CONFIG, learning_rate=learning_rate)
        shared = replicate(config, dataset, variant)
        first = dataset.split(CONFIG.fold).train_index[self._task.order[:1]]
        moments = patch_sums(dataset, first[0], variant).moments(shared.pixel_mean)
        self._member = Member(config, dataset, replace(shared, order=first, batch_moments=moments[None]), variant)

    def step(self) -> None:
        self._member.train_epoch()

    def parameters(self, network: int) -> dict[str, NDArray[np.float32]]:
        return self._member.parameters()

    def turn(self) -> int:
        train_pack(self._configs, self._task.dataset, engine=PackedCpu.name, threads=self._threads)
        return self.networks * CONFIG.epochs * len(self._task.order) * BATCH
