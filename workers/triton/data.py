"""Images on the device: the data set as it is, and each (fold, run) in the order in which its members read it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from studies.datasets.load import PreparedDataset
from studies.models.paper_cnn import KERNEL
from studies.training import TrainingConfig
from workers.packed_cpu import PatchSums
from workers.reference import batch_order
from workers.triton.shapes import MOMENTS, TAPS, Shape, Tiles

CHUNK = 500
"""Images whose patches are spread out at once, 57 MB for 28 x 28."""


@dataclass(frozen=True)
class DeviceImages:
    """A data set on a device; it serves every pack of it."""

    dataset: PreparedDataset
    pixels: torch.Tensor
    """[N, H * W] uint8"""
    labels: torch.Tensor
    """[N] int32"""
    table: torch.Tensor
    """[N, 25 + 625] int64: of each image, the sums over its patches of pixels and of their products."""

    @classmethod
    def of(cls, dataset: PreparedDataset, device: str) -> "DeviceImages":
        """Copy a data set to a device and table its moments."""
        images = torch.from_numpy(np.array(dataset.images)).to(device)
        labels = torch.from_numpy(dataset.labels.astype(np.int32)).to(device)
        return cls(dataset, images.flatten(1), labels, patch_table(images))

    def patch_sums(self, index: NDArray[np.int64]) -> list[PatchSums]:
        """Sums over all patches of some sets of images.

        Args:
            index: [n, images], of each set.
        """
        height, width = self.dataset.image_shape
        sums = self.table[torch.from_numpy(index).to(self.table.device)].sum(1).cpu().numpy()
        count = index.shape[1] * (height - KERNEL + 1) * (width - KERNEL + 1)
        return [PatchSums(row[:TAPS], row[TAPS:].reshape(TAPS, TAPS), count) for row in sums]


@dataclass(frozen=True)
class Replicates:
    """Everything that the members of R (fold, run)s share, on a device; the R have equally many batches T."""

    shape: Shape
    steps: int
    """T, batches per epoch."""
    pixels: torch.Tensor
    """[R, T, H * W, batch] uint8: a batch's images side by side."""
    labels: torch.Tensor
    """[R, T, batch] int32"""
    moments: torch.Tensor
    """[R, T, 650] float64, of each batch; pixels count in units of 255 from `centre`."""
    population: torch.Tensor
    """[R, 1, 650] float64, of the whole training set, including what the last incomplete batch drops."""
    centre: torch.Tensor
    """[R] float32, the whole number next to the mean training pixel. Taking it off keeps sums small; batch norm does
    not see it."""
    test_pixels: torch.Tensor
    """[R, 1, H * W, N] uint8, N at least the number of test images, a multiple of `Tiles.images`."""
    test_labels: torch.Tensor
    """[R, N] int32"""
    test_counts: torch.Tensor
    """[R] int32"""

    @classmethod
    def of(cls, configs: Sequence[TrainingConfig], images: DeviceImages, tiles: Tiles) -> "Replicates":
        """Lay out one (fold, run) for each of `configs`, which all have one batch size and number of batches.

        Raises:
            ValueError: fewer training images than one batch.
        """
        dataset, device = images.dataset, images.pixels.device
        shape = Shape(*dataset.image_shape, dataset.classes, configs[0].batch_size)
        splits = [dataset.split(config.fold) for config in configs]
        orders = [ordered(config, dataset) for config in configs]
        R, T, pixels = len(configs), len(orders[0]), shape.height * shape.width
        padded = -(-max(len(split.test_index) for split in splits) // tiles.images) * tiles.images
        made = cls(
            shape,
            T,
            pixels=torch.empty(R, T, pixels, shape.batch, dtype=torch.uint8, device=device),
            labels=torch.empty(R, T, shape.batch, dtype=torch.int32, device=device),
            moments=torch.empty(R, T, MOMENTS, dtype=torch.float64, device=device),
            population=torch.empty(R, 1, MOMENTS, dtype=torch.float64, device=device),
            centre=torch.empty(R, dtype=torch.float32, device=device),
            test_pixels=torch.zeros(R, 1, pixels, padded, dtype=torch.uint8, device=device),
            test_labels=torch.zeros(R, padded, dtype=torch.int32, device=device),
            test_counts=torch.tensor([len(split.test_index) for split in splits], dtype=torch.int32, device=device),
        )
        for r, (split, order) in enumerate(zip(splits, orders, strict=True)):
            batches = torch.from_numpy(order).to(device)
            made.pixels[r].copy_(images.pixels[batches].transpose(1, 2))
            made.labels[r].copy_(images.labels[batches])
            centre = round(float(dataset.images[split.train_index].mean(dtype=np.float64)))
            made.centre[r] = centre
            moments = np.stack([sums.moments(centre / 255) for sums in images.patch_sums(order)])
            made.moments[r].copy_(torch.from_numpy(moments))
            (everything,) = images.patch_sums(split.train_index[None])
            made.population[r, 0].copy_(torch.from_numpy(everything.moments(centre / 255)))
            tested = torch.from_numpy(split.test_index).to(device)
            made.test_pixels[r, 0, :, : len(tested)].copy_(images.pixels[tested].T)
            made.test_labels[r, : len(tested)].copy_(images.labels[tested])
        return made


def ordered(config: TrainingConfig, dataset: PreparedDataset) -> NDArray[np.int64]:
    """The training images of a (fold, run) in its order, [T, batch], indices into the data set's images.

    Raises:
        ValueError: fewer training images than one batch.
    """
    train_index = dataset.split(config.fold).train_index
    order: NDArray[np.int64] = train_index[batch_order(config, len(train_index))]
    return order


def patch_table(images: torch.Tensor) -> torch.Tensor:
    """Of each image, sums over its patches: [N, H, W] uint8 to [N, 25 + 625] int64.

    The products are taken in float64, where whole numbers below 2^53 are exact in any order of summation.
    """
    rows = []
    for chunk in torch.split(images, CHUNK):
        patches = chunk.double().unfold(1, KERNEL, 1).unfold(2, KERNEL, 1).flatten(3).flatten(1, 2)
        rows.append(torch.cat([patches.sum(1), (patches.mT @ patches).flatten(1)], 1).long())
    return torch.cat(rows)
