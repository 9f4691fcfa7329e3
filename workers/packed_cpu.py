"""The packed CPU engine: `paper-cnn` in fused vector code, one network per thread from its first step to its last."""

import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ctypes import byref
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from studies import seeds
from studies.datasets.load import PreparedDataset
from studies.models import registry
from studies.models.initial import initialise
from studies.models.paper_cnn import PaperCnn
from studies.results import Curve, Outcome, TrainingResult
from studies.training import TrainingConfig
from workers.devices import device_name, numeric_class
from workers.engine import Cancelled, Hooks
from workers.evaluation import Metrics, evaluate
from workers.native import library
from workers.native.library import FILTERS, TAPS, Network, Variant
from workers.reference import batch_order

WEIGHTS = "output.weight"
"""The one parameter that the library keeps in an order of its own."""


@dataclass(frozen=True)
class Replicate:
    """What all members of one (fold, run) share: images in order, and the moments of their patches."""

    order: NDArray[np.int64]
    """[batches, batch_size], indices into the data set's images."""
    test_index: NDArray[np.int64]
    """[N_test], indices into the data set's images."""
    test_labels: torch.Tensor
    """[N_test] int64"""
    pixel_mean: float
    """Of the training images, in 0..1."""
    batch_moments: NDArray[np.float64]
    """[batches, 25 + 625], mean and covariance of the pixels under the filter in each batch."""
    population_moments: NDArray[np.float64]
    """[25 + 625], the same over the whole training set, including what the last incomplete batch drops."""


@dataclass(frozen=True)
class PatchSums:
    """Sums over 5 x 5 patches of pixels 0..255: whole numbers, so that no order or grouping changes them."""

    first: NDArray[np.int64]
    """[25], of the pixels."""
    second: NDArray[np.int64]
    """[25, 25], of their products."""
    count: int
    """Number of patches."""

    def __add__(self, other: "PatchSums") -> "PatchSums":
        return PatchSums(self.first + other.first, self.second + other.second, self.count + other.count)

    def moments(self, pixel_mean: float) -> NDArray[np.float64]:
        """Mean and biased covariance of pixels in 0..1 less `pixel_mean`, [25 + 625]: `struct moments` of network.h."""
        mean = self.first / self.count
        covariance = self.second / self.count - np.outer(mean, mean)
        return np.concatenate([mean / 255 - pixel_mean, covariance.ravel() / 255**2])


class PackedCpu:
    """Trains each member of a pack on one processor thread, so that its bits depend on nothing else.

    Args:
        isa: instruction set to use, by default the best of this processor's.
    """

    name = "packed-cpu"
    version = 2
    network_bytes = 1 << 20
    """Its result. Networks come and go one by one, and so do order and moments of a (fold, run), which at 9,000 images
    take 0.4 MB in batches of 128 and 47 MB one by one."""
    most_classes: int | None = library.MOST_CLASSES

    def __init__(self, isa: str | None = None) -> None:
        self._isa = isa

    def supports(self, config: TrainingConfig, device: str) -> bool:
        """The paper's network in float32 with population statistics, if the library was built."""
        return (
            device == "cpu"
            and config.model == "paper-cnn"
            and config.precision == "fp32"
            and config.bn_statistics == "population"
            and config.loss in library.LOSS_NUMBERS
            and (self._isa or library.best_isa()) is not None
        )

    def variant(self) -> Variant:
        """The library's functions for this engine's instruction set."""
        return library.variant(self._isa or library.best_isa() or "baseline")

    def numeric_class(self, precision: str, device: str) -> str:
        """See `workers.engine.Engine.numeric_class`; the instruction set and the compiler decide the last bits."""
        return numeric_class(f"{self.name}-{self.variant().label}", self.version, precision, device)

    def at_once(self, device: str, threads: int) -> int:
        """See `workers.engine.Engine.at_once`: a network for each thread."""
        return threads

    def train(
        self, configs: Sequence[TrainingConfig], dataset: PreparedDataset, device: str, threads: int, hooks: Hooks
    ) -> list[TrainingResult]:
        """See `workers.engine.Engine.train`."""
        if dataset.classes > library.MOST_CLASSES:  # beyond which its arrays end
            raise ValueError(f"packed-cpu trains at most {library.MOST_CLASSES} classes, not {dataset.classes}")
        variant, stop = self.variant(), threading.Event()
        until_stopped = Hooks(hooks.epoch_done, lambda: stop.is_set() or hooks.cancelled())
        shared = _Shared(configs, dataset, variant)
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                try:

                    def one(at: int) -> TrainingResult:
                        with shared.by(configs[at]) as made:
                            return _train_one(configs[at], dataset, made, self, until_stopped)

                    results = dict(zip(shared.turns, pool.map(one, shared.turns), strict=True))
                    return [results[at] for at in range(len(configs))]
                finally:
                    stop.set()
        finally:
            torch.set_num_threads(before)


class _Shared:
    """What the members of a pack share: made for the first of a (fold, run) and dropped behind its last.

    Args:
        configs: the members.
        dataset: all images.
        variant: the library's functions.
    """

    def __init__(self, configs: Sequence[TrainingConfig], dataset: PreparedDataset, variant: Variant) -> None:
        keys = [_replicate_key(config) for config in configs]
        self._dataset, self._variant = dataset, variant
        self._left = Counter(keys)
        self._locks = {key: threading.Lock() for key in self._left}
        self._made: dict[tuple[int, ...], Replicate] = {}
        order = {key: at for at, key in enumerate(self._left)}
        self.turns = sorted(range(len(configs)), key=lambda at: order[keys[at]])
        """Positions of the members in the order in which they are to train: those that share stand together, so that
        each thread keeps at most one replicate."""

    @contextmanager
    def by(self, config: TrainingConfig) -> Iterator[Replicate]:
        """What a member shares, for as long as it trains; each member asks once."""
        key = _replicate_key(config)
        try:
            with self._locks[key]:
                if key not in self._made:
                    self._made[key] = replicate(config, self._dataset, self._variant)
            yield self._made[key]
        finally:
            with self._locks[key]:
                self._left[key] -= 1
                if not self._left[key]:
                    self._made.pop(key, None)


class Member:
    """One network in training.

    Args:
        config: what to train.
        dataset: all images; kept alive, as the library reads them in place.
        shared: of its (fold, run).
        variant: the library's functions.
    """

    def __init__(self, config: TrainingConfig, dataset: PreparedDataset, shared: Replicate, variant: Variant) -> None:
        height, width = dataset.image_shape
        self._shared, self._variant, self._image_shape = shared, variant, (height, width)
        self._images = np.ascontiguousarray(dataset.images)
        self._labels = np.ascontiguousarray(dataset.labels)
        self._network = Network(
            height=height,
            width=width,
            classes=dataset.classes,
            loss=library.LOSS_NUMBERS[config.loss],
            batch=config.batch_size,
            learning_rate=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            pixel_mean=shared.pixel_mean,
            images=self._images.ctypes.data,
            labels=self._labels.ctypes.data,
        )
        floats = variant.parameter_floats(byref(self._network))
        self._parameters = library.aligned(floats, np.float32)
        self._velocity = library.aligned(floats, np.float32)
        self._workspace = library.aligned(variant.workspace_bytes(byref(self._network)), np.uint8)
        self._network.parameters = self._parameters.ctypes.data
        self._network.velocity = self._velocity.ctypes.data
        self._network.workspace = self._workspace.ctypes.data
        self.assign(initial_model(config, height, width, dataset.classes))

    def assign(self, model: PaperCnn) -> None:
        """Take over a network's parameters."""
        values = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
        for name, place in self._places(self._parameters).items():
            place[:] = values[name].ravel()
        weights = np.ascontiguousarray(values[WEIGHTS])
        base = self._parameters.ctypes.data
        self._variant.exchange_weights(byref(self._network), base, weights.ctypes.data, 1)

    def parameters(self) -> dict[str, NDArray[np.float32]]:
        """A copy of the parameters, flat, by their names in `PaperCnn`; no bias of the convolution: it never moves."""
        return self._flat(self._parameters)

    def velocity(self) -> dict[str, NDArray[np.float32]]:
        """A copy of the momentum of each of `parameters`."""
        return self._flat(self._velocity)

    def train_epoch(self) -> float | None:
        """One pass over the batches; the mean loss before each update, or None if a loss or weight was not finite."""
        order, moments = self._shared.order, self._shared.batch_moments
        loss: float = self._variant.train_epoch(
            byref(self._network), order.ctypes.data, moments.ctypes.data, len(order)
        )
        return loss if math.isfinite(loss) else None

    def logits(self, index: NDArray[np.int64]) -> torch.Tensor:
        """Scores of images by the network with the training set's statistics.

        Args:
            index: [N], indices into the data set's images.

        Returns:
            [N, classes] float32.
        """
        out = np.empty((len(index), self._network.classes), np.float32)
        moments = self._shared.population_moments
        self._variant.infer(byref(self._network), index.ctypes.data, len(index), moments.ctypes.data, out.ctypes.data)
        return torch.from_numpy(out)

    def _flat(self, laid_out: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        (height, width), classes = self._image_shape, self._network.classes
        weights = np.empty(classes * FILTERS * (height - 4) * (width - 4), np.float32)
        self._variant.exchange_weights(byref(self._network), laid_out.ctypes.data, weights.ctypes.data, 0)
        small = {name: place.copy() for name, place in self._places(laid_out).items()}
        return small | {WEIGHTS: weights}

    def _places(self, laid_out: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Where parameters lie that both sides lay out alike; `struct parameters` of engine.c."""
        sizes = {
            "convolution.weight": FILTERS * TAPS,
            "norm.weight": FILTERS,
            "norm.bias": FILTERS,
            "output.bias": self._network.classes,
        }
        ends = itertools.accumulate(sizes.values())
        return {name: laid_out[end - sizes[name] : end] for name, end in zip(sizes, ends, strict=True)}


def initial_model(config: TrainingConfig, height: int, width: int, classes: int) -> PaperCnn:
    """The network at the initial weights of its replicate."""
    model = registry.build(config.model, height, width, classes)
    if not isinstance(model, PaperCnn):
        raise TypeError(f"packed-cpu trains paper-cnn, not {config.model}")
    initialise(model, seeds.stream(config.seed, config.fold, config.run, "weights"))
    return model


def replicate(config: TrainingConfig, dataset: PreparedDataset, variant: Variant) -> Replicate:
    """Everything that the members of one (fold, run) share.

    Raises:
        ValueError: fewer training images than one batch.
    """
    split = dataset.split(config.fold)
    order = np.ascontiguousarray(split.train_index[batch_order(config, len(split.train_index))])
    mean = float(dataset.images[split.train_index].mean(dtype=np.float64)) / 255
    dropped = np.setdiff1d(split.train_index, order)
    sums = [patch_sums(dataset, batch, variant) for batch in order]
    everything = sum(sums, patch_sums(dataset, dropped, variant))
    return Replicate(
        order=order,
        test_index=split.test_index,
        test_labels=torch.from_numpy(dataset.labels[split.test_index]),
        pixel_mean=mean,
        batch_moments=np.stack([batch.moments(mean) for batch in sums]),
        population_moments=everything.moments(mean),
    )


def patch_sums(dataset: PreparedDataset, index: NDArray[np.int64], variant: Variant) -> PatchSums:
    """Sums over all patches of the images in `index`, [n]."""
    (height, width), images = dataset.image_shape, np.ascontiguousarray(dataset.images)
    first, second = np.zeros(TAPS, np.int64), np.zeros((TAPS, TAPS), np.int64)
    place = np.ascontiguousarray(index)
    into = first.ctypes.data, second.ctypes.data
    if variant.patch_sums(images.ctypes.data, height, width, place.ctypes.data, len(place), *into):
        raise MemoryError("no memory for the patches of one image")
    return PatchSums(first, second, len(place) * (height - 4) * (width - 4))


def _replicate_key(config: TrainingConfig) -> tuple[int, int, int, int]:
    return config.seed, config.fold, config.run, config.batch_size


def _train_one(
    config: TrainingConfig, dataset: PreparedDataset, shared: Replicate, engine: PackedCpu, hooks: Hooks
) -> TrainingResult:
    """Train one network and score it after each epoch.

    Raises:
        Cancelled: `hooks.cancelled` said so.
    """
    began = time.monotonic()
    if hooks.cancelled():
        raise Cancelled
    member = Member(config, dataset, shared, engine.variant())
    rows: list[tuple[float | None, float | None, float | None]] = []
    metrics: Metrics | None = None
    train_loss: float | None = None
    for epoch in range(config.epochs):
        if hooks.cancelled():
            raise Cancelled
        train_loss = member.train_epoch()
        if train_loss is None:
            metrics = None
            rows += [(None, None, None)] * (config.epochs - epoch)
            hooks.epoch_done(config.epochs - epoch)
            break
        # The metrics of logits are those of the network that passes them on.
        metrics = evaluate(nn.Identity(), member.logits(shared.test_index), shared.test_labels, config.loss)
        if not metrics.finite:  # weights that are finite still, but give logits that are not
            metrics = train_loss = None
            rows += [(None, None, None)] * (config.epochs - epoch)
            hooks.epoch_done(config.epochs - epoch)
            break
        rows.append((metrics.accuracy, metrics.loss, train_loss))
        hooks.epoch_done(1)
    accuracy, loss, train = zip(*rows, strict=True)
    uniform = 1 / dataset.classes
    return TrainingResult(
        cell=config.cell,
        fold=config.fold,
        run=config.run,
        outcome=Outcome.DIVERGED if metrics is None else Outcome.FINISHED,
        accuracy=uniform if metrics is None else metrics.accuracy,
        brier=1 - uniform if metrics is None else metrics.brier,
        loss=loss[-1],
        train_loss=train_loss,
        curve=Curve(accuracy, loss, train),
        correct=None if metrics is None else np.packbits(metrics.correct.numpy()).tobytes(),
        seconds=time.monotonic() - began,
        engine=engine.name,
        precision=config.precision,
        device=device_name("cpu"),
        numeric_class=engine.numeric_class(config.precision, "cpu"),
    )
