"""A folder of images that the user owns, one folder per class: `<data_dir>/digit-folder/<class>/<image>`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from studies.datasets.errors import DatasetInvalid, DatasetUnavailable
from studies.datasets.raw import RawDataset
from studies.datasets.registry import DatasetInfo

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".webp"})
"""Files with other endings are passed over."""
PLAIN_MODES = frozenset({"1", "L", "P", "RGB"})
"""Pillow's modes that turn into 8-bit grey without a choice of range or of a background."""


def make(info: DatasetInfo, data_dir: Path) -> RawDataset:
    """Read the folder as grey images; classes are numbered by folder name, images ordered by file name.

    Args:
        info: names the folder.
        data_dir: the data folder.
    Returns:
        images [N, H, W], class after class; each image is a group, for nothing is known of their origin.
    Raises:
        DatasetUnavailable: the folder is missing.
        DatasetInvalid: too few classes, an empty class, a link that leaves the folder, an image that cannot
            be read, or images of different sizes; the message names the file.
    """
    root = data_dir / str(info.folder)
    if not root.is_dir():
        raise DatasetUnavailable(f"{info.name} needs the folder {root}")
    classes = _classes(root)
    images, labels = [], []
    for label, folder in enumerate(classes):
        for path in _images(root, folder):
            images.append(_read(path))
            labels.append(label)
            if images[-1].shape != images[0].shape:
                raise DatasetInvalid(
                    f"images must have one size, {path} is {_size(images[-1])}, the first one {_size(images[0])}"
                )
    return RawDataset(np.stack(images), np.array(labels, dtype=np.int64), np.arange(len(images), dtype=np.int32))


def _classes(root: Path) -> list[Path]:
    """List the folders of the classes in the order of their names."""
    classes = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    for path in classes:
        _check_inside(root, path)
    if len(classes) < 2:
        raise DatasetInvalid(f"{root} must hold at least 2 folders, one per class, got {len(classes)}")
    return classes


def _images(root: Path, folder: Path) -> list[Path]:
    """List the image files of a class in the order of their names."""
    images = [
        path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    for path in images:
        _check_inside(root, path)
    if not images:
        raise DatasetInvalid(f"each class needs images, {folder} holds none ({', '.join(sorted(SUFFIXES))})")
    return images


def _check_inside(root: Path, path: Path) -> None:
    """Refuse a link that leaves the folder; the folder itself may be one."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise DatasetInvalid(f"links must stay inside {root}, {path} leads to {path.resolve()}")


def _read(path: Path) -> NDArray[np.uint8]:
    """Read an image as grey values, [H, W]."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in PLAIN_MODES or "transparency" in image.info:
                raise DatasetInvalid(
                    f"images must be grey or RGB with 8 bits and no transparency, {path} is {image.mode}"
                )
            return np.asarray(image.convert("L"), dtype=np.uint8)
    except DatasetInvalid:
        raise
    except Exception as cause:  # Pillow's decoders raise many kinds of errors on damaged files
        raise DatasetInvalid(f"{path} cannot be read as an image: {cause}") from cause


def _size(image: NDArray[np.uint8]) -> str:
    """Return height and width as people write them."""
    return f"{image.shape[0]} x {image.shape[1]}"
