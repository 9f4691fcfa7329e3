"""The reference engine: one plain `nn.Module` at a time, the truth that every packed engine is held against."""

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from studies import losses, seeds
from studies.datasets.load import PreparedDataset
from studies.models import registry
from studies.models.initial import NORMS, decayed, initialise
from studies.results import Curve, Outcome, TrainingResult
from studies.training import TrainingConfig
from workers.devices import device_name, numeric_class, with_code
from workers.engine import Cancelled, DoesNotFit, Hooks
from workers.evaluation import Metrics, evaluate, set_population_statistics


@dataclass(frozen=True)
class FoldTensors:
    """One fold's images on a device: float32 in [0, 1] minus the mean of the training images."""

    train_images: torch.Tensor
    """[N_train, 1, H, W]"""
    train_labels: torch.Tensor
    """[N_train] int64"""
    test_images: torch.Tensor
    """[N_test, 1, H, W]"""
    test_labels: torch.Tensor
    """[N_test] int64"""


@dataclass(frozen=True)
class _Epoch:
    """What an epoch that did not diverge gave."""

    train_loss: float
    metrics: Metrics


@dataclass
class _History:
    """The curve as it grows."""

    accuracy: list[float | None] = field(default_factory=list)
    loss: list[float | None] = field(default_factory=list)
    train_loss: list[float | None] = field(default_factory=list)

    def add(self, epoch: "_Epoch") -> None:
        self.accuracy.append(epoch.metrics.accuracy)
        self.loss.append(epoch.metrics.loss)
        self.train_loss.append(epoch.train_loss)

    def fill(self, epochs: int) -> None:
        """Nulls for the epochs from divergence to the last."""
        for column in (self.accuracy, self.loss, self.train_loss):
            column += [None] * epochs

    def curve(self) -> Curve:
        return Curve(tuple(self.accuracy), tuple(self.loss), tuple(self.train_loss))


def fold_tensors(dataset: PreparedDataset, fold: int, device: str) -> FoldTensors:
    """Images and labels of one fold, zero-centred by one scalar as the network's input layer does."""
    split = dataset.split(fold)

    def scaled(index: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(dataset.images[index]).to(device, torch.float32).div_(255).unsqueeze(1)

    def labelled(index: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(dataset.labels[index].astype(np.int64)).to(device)

    train, test = scaled(split.train_index), scaled(split.test_index)
    mean = float(dataset.images[split.train_index].mean(dtype=np.float64)) / 255
    return FoldTensors(train - mean, labelled(split.train_index), test - mean, labelled(split.test_index))


class Reference:
    """Trains each member of a pack alone; several at once, each on one processor thread."""

    name = "reference"
    version = 2
    network_bytes = 1 << 20
    """Its result, on the processor; networks come and go one by one."""
    most_classes: int | None = None

    def supports(self, config: TrainingConfig, device: str) -> bool:
        """Every model that is registered on this machine, on any device, in float32."""
        return config.precision == "fp32" and config.model in registry.MODELS

    def numeric_class(self, precision: str, device: str) -> str:
        """See `workers.engine.Engine.numeric_class`."""
        return numeric_class(self.name, self.version, precision, device)

    def at_once(self, device: str, threads: int) -> int:
        """See `workers.engine.Engine.at_once`: a GPU gets one network after the other."""
        return threads if device == "cpu" else 1

    def train(
        self, configs: Sequence[TrainingConfig], dataset: PreparedDataset, device: str, threads: int, hooks: Hooks
    ) -> list[TrainingResult]:
        """See `workers.engine.Engine.train`."""
        folds = {fold: fold_tensors(dataset, fold, device) for fold in sorted({c.fold for c in configs})}
        at_once, stop = self.at_once(device, threads), threading.Event()
        until_stopped = Hooks(hooks.epoch_done, lambda: stop.is_set() or hooks.cancelled())

        def one(config: TrainingConfig) -> TrainingResult:
            return train_one(config, folds[config.fold], dataset.classes, device, until_stopped)

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with (
                # Convolutions in full float32, and each time by the same algorithm, or the bits would not repeat.
                torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
                ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(1,)) as pool,
            ):
                try:
                    return list(pool.map(one, configs))
                finally:  # Ctrl-C or an error: leaving the pool waits for what trains
                    stop.set()
        except torch.OutOfMemoryError as error:
            raise DoesNotFit(str(error)) from error
        finally:
            torch.set_num_threads(before)


def train_one(config: TrainingConfig, data: FoldTensors, classes: int, device: str, hooks: Hooks) -> TrainingResult:
    """Train one network with stochastic gradient descent with momentum (eq. 27) and score it after each epoch.

    The order of the images is drawn once and kept (MATLAB's `Shuffle = once`); the incomplete last batch is dropped.
    L2 is coupled, on everything but biases. Divergence is a non-finite loss, weight or batch-norm statistic at any
    step, or a non-finite test loss after an epoch (the last update may leave weights that are finite and whose logits
    overflow).

    Raises:
        ValueError: fewer training images than one batch.
        Cancelled: `hooks.cancelled` said so.
    """
    began = time.monotonic()
    model, optimizer = start(config, data, classes, device)
    order = torch.from_numpy(batch_order(config, len(data.train_labels))).to(device)
    history, last = _History(), None
    for epoch in range(config.epochs):
        if hooks.cancelled():
            raise Cancelled
        last = _one_epoch(config, model, optimizer, data, order)
        if last is None:
            history.fill(config.epochs - epoch)
            hooks.epoch_done(config.epochs - epoch)
            break
        history.add(last)
        hooks.epoch_done(1)
    return _result(config, history.curve(), last, classes, device, began)


def _one_epoch(
    config: TrainingConfig,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: FoldTensors,
    order: torch.Tensor,
) -> _Epoch | None:
    """Train for one epoch and score; None if it diverged."""
    train_loss = train_epoch(model, optimizer, data, order, config.loss)
    if train_loss is None:
        return None
    model.eval()
    if config.bn_statistics == "population":
        set_population_statistics(model, data.train_images)
    metrics = evaluate(model, data.test_images, data.test_labels, config.loss)
    return _Epoch(train_loss, metrics) if metrics.finite and _is_finite(model) else None


def start(
    config: TrainingConfig, data: FoldTensors, classes: int, device: str
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The network at its initial weights, and its optimiser."""
    height, width = data.train_images.shape[-2:]
    model = registry.build(config.model, height, width, classes)
    initialise(model, seeds.stream(config.seed, config.fold, config.run, "weights"))
    model.to(device)
    with_decay, without = decayed(model)
    groups = [{"params": with_decay, "weight_decay": config.weight_decay}, {"params": without, "weight_decay": 0.0}]
    return model, torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)


def batch_order(config: TrainingConfig, images: int) -> np.ndarray:
    """Indices of the training images, [batches, batch_size], the same in every epoch.

    Args:
        config: names seed, fold, run and batch size.
        images: number of training images.

    Raises:
        ValueError: fewer images than one batch.
    """
    batches = images // config.batch_size
    if batches == 0:
        raise ValueError(f"batch_size must be at most the {images} training images of a fold, not {config.batch_size}")
    order = seeds.stream(config.seed, config.fold, config.run, "order").permutation(images)
    return order[: batches * config.batch_size].reshape(batches, config.batch_size)


def train_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, data: FoldTensors, order: torch.Tensor, loss: str
) -> float | None:
    """One pass over the batches.

    Returns:
        The mean training loss before each update, or None if a loss, a weight or a batch-norm statistic was not finite.
    """
    model.train()
    batch_losses = []
    for batch in order:
        optimizer.zero_grad()
        value = losses.LOSSES[loss](model(data.train_images[batch]), data.train_labels[batch]).mean()
        torch.autograd.backward(value)
        optimizer.step()
        batch_losses.append(value.detach())
    mean = float(torch.stack(batch_losses).double().mean())
    return mean if np.isfinite(mean) and _is_finite(model) else None


def _is_finite(model: nn.Module) -> bool:
    """Whether all weights and batch-norm statistics are.

    A variance that overflows float32 makes what it normalises zero, so that losses and weights stay finite.
    """
    norms = [norm for norm in model.modules() if isinstance(norm, NORMS)]
    tensors = itertools.chain(model.parameters(), *(norm.buffers() for norm in norms))
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _result(
    config: TrainingConfig,
    curve: Curve,
    last: _Epoch | None,
    classes: int,
    device: str,
    began: float,
) -> TrainingResult:
    """The result after the last epoch; None for it if the training diverged."""
    metrics = None if last is None else last.metrics
    return TrainingResult(
        cell=config.cell,
        fold=config.fold,
        run=config.run,
        outcome=Outcome.DIVERGED if metrics is None else Outcome.FINISHED,
        accuracy=1 / classes if metrics is None else metrics.accuracy,
        brier=1 - 1 / classes if metrics is None else metrics.brier,
        loss=None if metrics is None else metrics.loss,
        train_loss=None if last is None else last.train_loss,
        curve=curve,
        correct=None if metrics is None else np.packbits(metrics.correct.cpu().numpy()).tobytes(),
        seconds=time.monotonic() - began,
        engine=Reference.name,
        precision=config.precision,
        device=device_name(device),
        numeric_class=with_code(Reference().numeric_class(config.precision, device), config.model),
    )
