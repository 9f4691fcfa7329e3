"""One network at a time: the plain PyTorch loop, the same compiled, and the script that a user of Optuna writes."""

import numpy as np
import optuna
import torch
from numpy.typing import NDArray
from task import BATCH, CHUNK, DECAY, MOMENTUM, Task, flat
from torch import nn

from studies.models.paper_cnn import PaperCnn
from workers.bench_eager import EagerData, EagerLoop

BATCHES = 12
"""Of one turn; a sixth of an epoch."""


class Eager(EagerLoop):
    """The loop that `goldenbench bench` takes for its yardstick."""

    networks = 1
    differs = "decays biases too"

    def __init__(self, task: Task, layout: torch.memory_format = torch.contiguous_format) -> None:
        data = task.data
        eager = EagerData(data.train_images, data.train_labels, data.test_images, data.test_labels)
        super().__init__(eager, task.dataset.classes, BATCH, layout)
        self.name = f"eager PyTorch, {str(layout).removeprefix('torch.')}"
        self._task = task
        self._order = torch.from_numpy(task.order.ravel())

    def begin(self, learning_rate: float) -> None:
        self._model.load_state_dict(self._task.model().state_dict())
        self._optimizer.state.clear()
        self._optimizer.param_groups[0]["lr"] = learning_rate
        self._at = 0

    def step(self) -> None:
        self._model.train()
        self._step()

    def parameters(self, network: int) -> dict[str, NDArray[np.float32]]:
        return flat(self._model)

    def turn(self) -> int:
        self.run(BATCHES)
        return BATCHES * BATCH


class Compiled(Eager):
    """The same loop with loss, gradient and update compiled; evaluation, too."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.name = "torch.compile of the eager loop"
        self._loss = torch.compile(lambda images, labels: nn.functional.cross_entropy(self._model(images), labels))
        self._update = torch.compile(self._optimizer.step)

    def _step(self) -> None:
        if self._at + BATCH > len(self._order):
            self._at = 0
        batch = self._order[self._at : self._at + BATCH]
        self._at += BATCH
        self._optimizer.zero_grad()
        self._loss(self._data.train_images[batch], self._data.train_labels[batch]).backward()
        self._update()


class OptunaScript:
    """A trial after another, each an epoch of one network: what a user writes who has a grid to search."""

    name = "Optuna + PyTorch, a trial after another"
    networks = 1
    differs = "decays biases too; builds a network per epoch"

    def __init__(self, task: Task) -> None:
        self._task = task
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        grid = {"learning_rate": list(np.geomspace(1e-4, 1, 41)), "rest": list(np.geomspace(1e-2, 1, 41))}
        self._study = optuna.create_study(direction="maximize", sampler=optuna.samplers.GridSampler(grid, seed=0))

    def begin(self, learning_rate: float) -> None:
        self._model = self._task.model()
        self._optimizer = self._optimizer_of(self._model, learning_rate, MOMENTUM)

    def step(self) -> None:
        self._model.train()
        self._step(self._model, self._optimizer, torch.from_numpy(self._task.order[0]))

    def parameters(self, network: int) -> dict[str, NDArray[np.float32]]:
        return flat(self._model)

    def turn(self) -> int:
        self._study.optimize(self._objective, n_trials=1)
        return self._task.order.size

    def _objective(self, trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-4, 1, log=True)
        momentum = 1 - trial.suggest_float("rest", 1e-2, 1, log=True)
        model = self._task.model()
        optimizer = self._optimizer_of(model, rate, momentum)
        for batch in torch.from_numpy(self._task.order):
            self._step(model, optimizer, batch)
        return self._accuracy(model)

    @staticmethod
    def _optimizer_of(model: PaperCnn, rate: float, momentum: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, weight_decay=DECAY)

    def _step(self, model: PaperCnn, optimizer: torch.optim.Optimizer, batch: torch.Tensor) -> None:
        optimizer.zero_grad()
        logits = model(self._task.data.train_images[batch])
        nn.functional.cross_entropy(logits, self._task.data.train_labels[batch]).backward()
        optimizer.step()

    @torch.no_grad()
    def _accuracy(self, model: PaperCnn) -> float:
        data = self._task.data
        model.norm.momentum = None  # averages over all batches seen
        model.norm.reset_running_stats()
        for chunk in data.train_images.split(CHUNK):
            model.norm(model.convolution(chunk))
        model.eval()
        return float((model(data.test_images).argmax(-1) == data.test_labels).float().mean())
