"""The images; made once, by the service."""

from pathlib import Path

import numpy as np

from studies.datasets.errors import DatasetCorrupt
from studies.datasets.raw import RawDataset
from studies.datasets.registry import DatasetInfo


def make(info: DatasetInfo, data_dir: Path) -> RawDataset:
    """Noise with one bright pixel whose place is the class, the classes in turn.

    Args:
        info: what is registered.
        data_dir: not used.
    """
    count, classes = info.images or 0, info.classes or 0
    generator = np.random.Generator(np.random.PCG64(11))
    images = generator.integers(0, 200, size=(count, 4, 4)).astype(np.uint8)
    labels = np.arange(count, dtype=np.int64) % classes
    images[np.arange(count), labels, labels] = 255
    return RawDataset(images=images, labels=labels, groups=np.arange(count, dtype=np.int32))


def refuse(_info: DatasetInfo, _data_dir: Path) -> RawDataset:
    """What a data set does that is not what it should be."""
    raise DatasetCorrupt("there is nothing")
