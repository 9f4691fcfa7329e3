"""The packed CUDA engine: `paper-cnn` in Triton kernels, K networks at once. Untested on hardware.

It has only run in Triton's interpreter, against the reference and float64 autograd, and been compiled for sm_90. So
`auto` never takes it: a study that wants it names it.

One step is five launches, and in each a program belongs to one network:

1. `fold` (K): the batch's tabled moments turn w, gamma, beta into 20 folded filters.
2. `forward` (tiles of images, S, K): per position of the filter, pixels -> features -> share of the logits.
3. `train_loss` (K): adds the S shares; loss, gradient by the logits, update of the bias.
4. `backward` (S, K): per position, features again, gradient of its connected weights and their update at once, slopes,
   gradient of the folded filters.
5. `unfold_and_move` (K): adds the S gradients; w, gamma and beta move.

Sums run in an order that only the shape and `Tiles` decide, with no atomics, so that a network's bits depend on neither
K nor slot nor neighbours. A network that diverges is skipped from then on by a flag on the device; the host reads flags
and metrics once per epoch.

Memory traffic of a network-step (28 x 28, ten classes, batch 128), which should reach HBM if K networks exceed the L2
cache: connected weights read twice and written once, their momentum read and written, 5 x 461 kB; shares of the logits
66 kB and slopes 66 kB, each written and read; everything else below 20 kB. The batch's pixels, 100 kB, serve all
networks of a (fold, run) from the L2 cache, and features (5.9 MB) are never stored. 2.6 MB x 2,100 steps = 5.4 GB per
training, or 880 trainings per second at 4.8 TB/s.

Arithmetic: features computed twice make 1.21 M multiply-adds per image, and tiles padded to powers of two (25 taps and
20 filters to 32, 10 classes to 16) make those 2.65 M, 1.43 TFLOP per training. At 67 TFLOP/s of plain float32 this is
the bound: 47 trainings per second, short of 50; as three tf32 products at 495 TFLOP/s, 115.
"""

import importlib.util
import time
from collections.abc import Sequence

import torch

from studies.datasets.load import PreparedDataset
from studies.results import TrainingResult
from studies.spec import LOSSES
from studies.training import TrainingConfig
from workers.devices import numeric_class
from workers.engine import Cancelled, DoesNotFit, Hooks
from workers.packed_cpu import initial_model
from workers.triton.data import DeviceImages, Replicates
from workers.triton.history import History
from workers.triton.shapes import TILES, Tiles


class PackedCuda:
    """Trains the members of a pack together on a GPU. Untested on hardware.

    Args:
        tiles: how the work is cut; bits depend on it, so that only tests give other than the engine's own.
    """

    name = "packed-cuda"
    version = 1

    def __init__(self, tiles: Tiles = TILES) -> None:
        self._tiles = tiles
        self._resident: tuple[tuple[str, str], DeviceImages] | None = None

    def supports(self, config: TrainingConfig, device: str) -> bool:
        """The paper's network in float32 with population statistics, on a GPU, where Triton is installed."""
        return (
            device == "cuda"
            and config.model == "paper-cnn"
            and config.precision == "fp32"
            and config.bn_statistics == "population"
            and config.loss in LOSSES
            and importlib.util.find_spec("triton") is not None
        )

    def numeric_class(self, precision: str, device: str) -> str:
        """See `workers.engine.Engine.numeric_class`."""
        return numeric_class(self.name, self.version, precision, device)

    def train(
        self, configs: Sequence[TrainingConfig], dataset: PreparedDataset, device: str, threads: int, hooks: Hooks
    ) -> list[TrainingResult]:
        """See `workers.engine.Engine.train`."""
        if hooks.cancelled():
            raise Cancelled
        results: dict[int, TrainingResult] = {}
        try:
            images = self._images(dataset, device)
            for group in _groups(configs, dataset):
                members = [configs[i] for i in group]
                results |= zip(group, _train_group(members, images, device, self._tiles, hooks), strict=True)
        except torch.OutOfMemoryError as error:
            raise DoesNotFit(str(error)) from error
        return [results[i] for i in range(len(configs))]

    def _images(self, dataset: PreparedDataset, device: str) -> DeviceImages:
        """The data set on the device; the last one stays there for the next pack."""
        key = dataset.sha256, device
        if self._resident is None or self._resident[0] != key:
            self._resident = None
            self._resident = key, DeviceImages.of(dataset, device)
        return self._resident[1]


def _groups(configs: Sequence[TrainingConfig], dataset: PreparedDataset) -> list[list[int]]:
    """Positions of members that can go in step: equal batch size, epochs and number of batches."""
    groups: dict[tuple[int, int, int], list[int]] = {}
    for i, config in enumerate(configs):
        batches = int((dataset.folds != config.fold).sum()) // config.batch_size
        groups.setdefault((config.batch_size, config.epochs, batches), []).append(i)
    return list(groups.values())


def _train_group(
    configs: Sequence[TrainingConfig], images: DeviceImages, device: str, tiles: Tiles, hooks: Hooks
) -> list[TrainingResult]:
    """Train members that go in step.

    Raises:
        Cancelled: `hooks.cancelled` said so.
    """
    # Triton may be absent where this module is merely imported, and is slow to import where it is not.
    from workers.triton.networks import Networks

    began = time.monotonic()
    distinct = {(config.seed, config.fold, config.run): config for config in configs}
    data = Replicates.of(list(distinct.values()), images, tiles)
    rows = [list(distinct).index((config.seed, config.fold, config.run)) for config in configs]
    networks = Networks(configs, rows, data, tiles)
    for row, config in enumerate(distinct.values()):
        model = initial_model(config, data.shape.height, data.shape.width, data.shape.classes)
        networks.assign([slot for slot in range(len(rows)) if rows[slot] == row], model)
    histories = [History(config) for config in configs]
    for epoch in range(configs[0].epochs):
        if hooks.cancelled():
            raise Cancelled
        networks.train_epoch()
        networks.evaluate()
        seen = networks.epochs()
        hooks.epoch_done(sum(history.add(epoch) for history, epoch in zip(histories, seen, strict=True)))
    correct = networks.correctly_classified()
    seconds = (time.monotonic() - began) / len(configs)
    return [
        history.result(hits, data.shape.classes, device, seconds, PackedCuda.name, PackedCuda.version)
        for history, hits in zip(histories, correct, strict=True)
    ]
