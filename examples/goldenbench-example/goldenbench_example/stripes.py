"""The images; made once, by the service."""

from pathlib import Path

import numpy as np

from studies.datasets.raw import RawDataset
from studies.datasets.registry import DatasetInfo

SEED = 1618
SIDE = 12
PERIOD = 4.0
"""Pixels from one stripe to the next."""
NOISE = 40.0
"""Standard deviation, in grey values."""


def make(info: DatasetInfo, data_dir: Path) -> RawDataset:
    """Gratings at 0, 45, 90 and 135 degrees with phases from 0 to 90 degrees and Gaussian noise, the classes in turn.

    Args:
        info: what is registered.
        data_dir: where sources that have to be downloaded would lie; not used.
    """
    count, classes = info.images or 0, info.classes or 0
    generator = np.random.Generator(np.random.PCG64(SEED))
    labels = np.arange(count, dtype=np.int64) % classes
    angles = labels * np.pi / classes
    phases = generator.uniform(0, np.pi / 2, size=count)
    y, x = np.mgrid[:SIDE, :SIDE]
    along = np.cos(angles)[:, None, None] * x + np.sin(angles)[:, None, None] * y
    waves = np.sin(2 * np.pi * along / PERIOD + phases[:, None, None])
    grey = 127.5 + 70 * waves + generator.normal(0, NOISE, size=waves.shape)
    images = np.clip(np.round(grey), 0, 255).astype(np.uint8)
    return RawDataset(images=images, labels=labels, groups=np.arange(count, dtype=np.int32))
