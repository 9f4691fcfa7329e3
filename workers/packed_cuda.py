"""The packed CUDA engine: `paper-cnn` in Triton kernels, K networks at once. Untested on hardware.

It has only run in Triton's interpreter, against the reference and float64 autograd, and been compiled for sm_90. So
`auto` never takes it: a study that wants it names it, and with it either precision, `fp32` or `tf32x3`.

One step is five launches, and in each a program belongs to one network:

1. `fold` (K): the batch's tabled moments turn w, gamma, beta into 20 folded filters.
2. `forward` (tiles of images, S, K): per pair of positions of the filter, pixels -> features -> share of the logits.
3. `train_loss` (K): adds the S shares; loss, gradient by the logits, update of the bias.
4. `backward` (S, K): per pair, features again, gradient of its connected weights and their update at once, slopes,
   gradient of the folded filters.
5. `unfold_and_move` (K): adds the S gradients; w, gamma and beta move.

Sums run in an order that only the shape and `Tiles` decide, with no atomics, so that a network's bits depend on neither
K nor slot nor neighbours. A network that diverges is skipped from then on by a flag on the device; the host reads flags
and metrics once per epoch.

What follows are counts and the compiler's figures for 28 x 28 images, ten classes, batch 128; none is of hardware.

Memory traffic of a network-step, which should reach HBM if K networks exceed the L2 cache: connected weights read twice
and written once, their momentum read and written, 5 x 461 kB; shares of the logits 66 kB, written and read; sums of
slopes 131 kB, likewise; everything else below 20 kB. The batch's pixels, 100 kB, serve all networks of a (fold, run)
from the L2 cache, and features (5.9 MB) are never stored. 2.7 MB x 2,100 steps = 5.7 GB per training, or 840 trainings
per second at 4.8 TB/s.

Arithmetic, multiply-adds per image and pair of positions, of which there are 288; tiles are powers of two (2 x 20
filters make 64, 30 pixels and a 1 make 32, 10 classes 16), which is 2.2 times what the network needs:

| product | tile | fp32 | tf32x3 |
|---|---|---|---|
| pixels x filters, in either pass | 32 x 64, twice | 4,096 | 2 products: 8,192 |
| features x weights; slopes = gradient x weights; features x gradient | 64 x 16, each | 3,072 | 3 products: 9,216 |
| slopes x pixels | 64 x 32 | 2,048 | 2 products: 4,096 |

`fp32`: 2.65 M per image, 1.43 TFLOP per training, 47 trainings per second at 67 TFLOP/s. `tf32x3` (see `split`):
6.19 M, 3.34 TFLOP, 148 at 495 TFLOP/s. Pixels less a whole number have 8 bits and no low part; three products
throughout would be 115.

Instructions, counted in the compiled loops (Triton 3.9): one position and batch issue 568 per scheduler forward and
1,242 backward in `tf32x3`, of which moving sums into the layout of the next product's operand is a third; at one per
cycle and 1.83 GHz on 132 multiprocessors, tests included, that is 105 trainings per second. `fp32` issues 1,933 and
4,249: 31. So `tf32x3` is limited by what surrounds the products before it is by them, and as neither hides the other
fully, half is what to expect: 50 to 70 trainings per second; `fp32`, 20 to 30.

| kernel | registers | shared memory | programs in a multiprocessor |
|---|---|---|---|
| forward fp32 / tf32x3, 256 threads | 109 / 116 (Triton 3.6: 113 / 127) | 45 kB / 33 kB | 2 / 2 |
| backward fp32, 256 threads; tf32x3, 128 threads | 156 / 235 (3.6: 158 / 215) | 41 kB / 33 kB | 1 / 2 |
| train_loss / score, 128 threads, float64 | 224 / 181 (3.6: 220 / 190) | below 1 kB | 2 / 2 |
| fold / unfold_and_move, 128 threads, float64 | 128 / 136 | 8 kB | 4 / 3 |

None spills. In `tf32x3` both passes use Hopper's warp-group products (wgmma), with what was just computed as the left
operand in registers.
"""

import importlib.util
import time
from collections.abc import Mapping, Sequence

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
from workers.triton.shapes import MOST_CLASSES, TILES, Tiles


class PackedCuda:
    """Trains the members of a pack together on a GPU. Untested on hardware.

    Args:
        tiles: how the work is cut, by precision; bits depend on it, so only tests give other than the engine's own.
    """

    name = "packed-cuda"
    version = 3
    network_bytes = 16 << 20
    """1.7 MB for 28 x 28 images in ten classes, and 8 MB of pixels in order if no other shares its (fold, run)."""
    most_classes: int | None = MOST_CLASSES

    def __init__(self, tiles: Mapping[str, Tiles] = TILES) -> None:
        self._tiles = tiles
        self._resident: tuple[tuple[str, str], DeviceImages] | None = None

    def supports(self, config: TrainingConfig, device: str) -> bool:
        """The paper's network in fp32 or tf32x3 with population statistics, on a GPU, where Triton is installed."""
        return (
            device == "cuda"
            and config.model == "paper-cnn"
            and config.precision in self._tiles
            and config.bn_statistics == "population"
            and config.loss in LOSSES
            and importlib.util.find_spec("triton") is not None
        )

    def numeric_class(self, precision: str, device: str) -> str:
        """See `workers.engine.Engine.numeric_class`."""
        return numeric_class(self.name, self.version, precision, device)

    def at_once(self, device: str, threads: int) -> int:
        """See `workers.engine.Engine.at_once`: one for each multiprocessor.

        A pass of one network is 8 programs, of which a multiprocessor holds two, so these come in four rounds, of which
        a last one that is not full wastes little.
        """
        return torch.cuda.get_device_properties(device).multi_processor_count

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
                tiles = self._tiles[members[0].precision]
                results |= zip(group, _train_group(members, images, device, tiles, hooks), strict=True)
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
    """Positions of members that can go in step: equal precision, batch size, epochs and number of batches."""
    groups: dict[tuple[str, int, int, int], list[int]] = {}
    for i, config in enumerate(configs):
        batches = int((dataset.folds != config.fold).sum()) // config.batch_size
        groups.setdefault((config.precision, config.batch_size, config.epochs, batches), []).append(i)
    return list(groups.values())


def _replicates(configs: Sequence[TrainingConfig]) -> tuple[list[TrainingConfig], list[int]]:
    """One configuration of each (seed, fold, run), and for each of `configs` which of these is its."""
    distinct = {(config.seed, config.fold, config.run): config for config in configs}
    return list(distinct.values()), [list(distinct).index((c.seed, c.fold, c.run)) for c in configs]


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
    distinct, rows = _replicates(configs)
    data = Replicates.of(distinct, images, tiles)
    networks = Networks(configs, rows, data, tiles)
    for row, config in enumerate(distinct):
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
