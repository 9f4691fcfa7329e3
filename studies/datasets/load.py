"""A prepared data set, as workers read it: numpy and nothing else."""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.datasets.errors import DatasetCorrupt
from studies.datasets.raw import RawDataset, check_array, read_only

MEMBERS = ("folds", "groups", "images", "labels", "name")
KEPT = 2
"""Data sets that `load_unchanged` keeps; the paper's takes 8 MB."""
"""Arrays of a prepared file."""


@dataclass(frozen=True, slots=True)
class Split:
    """Which images one fold trains on and which it tests; both ascending."""

    train_index: NDArray[np.int64]
    """[n_train], indices into images."""
    test_index: NDArray[np.int64]
    """[n_test], indices into images."""


@dataclass(frozen=True, eq=False, slots=True)
class PreparedDataset:
    """Images, classes, groups and folds, checked at birth; the arrays are read-only views."""

    name: str
    """Name in the registry."""
    sha256: str
    """Hash of the content, 64 hex digits."""
    classes: int
    """Number of classes C, at least 2."""
    images: NDArray[np.uint8]
    """[N, H, W], grey values 0..255."""
    labels: NDArray[np.int64]
    """[N], classes 0..C-1, each of which occurs."""
    groups: NDArray[np.int32]
    """[N], 0 or more; a group stands in one fold."""
    folds: NDArray[np.int16]
    """[N], the fold in which an image is tested, 0..n_folds-1, each of which occurs."""

    def __post_init__(self) -> None:
        raw = RawDataset(self.images, self.labels, self.groups)
        if raw.classes != self.classes:
            raise ValueError(f"labels must be 0..{self.classes - 1}, each of which occurs, got 0..{raw.classes - 1}")
        check_array("folds", self.folds, np.int16, 1, len(self.images))
        if self.folds.min() < 0:
            raise ValueError(f"folds must be 0 or more, got {self.folds.min()}")
        absent = np.flatnonzero(np.bincount(self.folds) == 0)
        if absent.size or self.n_folds < 2:
            raise ValueError(
                f"folds must be 0..n-1 with n at least 2, each of which occurs, got {np.unique(self.folds)}"
            )
        homes = np.unique(self.groups.astype(np.int64) * self.n_folds + self.folds) // self.n_folds
        torn = homes[1:][homes[1:] == homes[:-1]]
        if torn.size:
            raise ValueError(f"a group must stand in one fold, group {torn[0]} stands in several")
        for name in ("images", "labels", "groups", "folds"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @property
    def image_shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.images.shape[1], self.images.shape[2]

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.folds.max()) + 1

    def split(self, fold: int) -> Split:
        """Return the images that a fold trains on and those that it tests.

        Args:
            fold: 0..n_folds-1.
        Raises:
            ValueError: there is no such fold.
        """
        if not 0 <= fold < self.n_folds:
            raise ValueError(f"fold must be in 0..{self.n_folds - 1}, got {fold}")
        return Split(np.flatnonzero(self.folds != fold), np.flatnonzero(self.folds == fold))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a prepared file holds, by name; `name` is a text of no axes."""
        return {
            "folds": self.folds,
            "groups": self.groups,
            "images": self.images,
            "labels": self.labels,
            "name": np.array(self.name),
        }


def from_arrays(
    name: str, images: ArrayLike, labels: ArrayLike, folds: ArrayLike, groups: ArrayLike | None = None
) -> PreparedDataset:
    """Build a data set from arrays that fit in its dtypes, and hash it.

    Args:
        name: what to call it.
        images: [N, H, W], 0..255.
        labels: [N], 0..C-1.
        folds: [N], 0..n_folds-1.
        groups: [N]; each image by itself when None.
    Raises:
        ValueError: a shape or range is wrong.
    """
    pixels = _as("images", images, np.uint8)
    arrays = {
        "images": pixels,
        "labels": _as("labels", labels, np.int64),
        "groups": _as("groups", np.arange(len(pixels)) if groups is None else groups, np.int32),
        "folds": _as("folds", folds, np.int16),
        "name": np.array(name),
    }
    return _build(arrays, content_sha256(arrays))


def load(path: str | PathLike[str], expected_sha256: str | None = None) -> PreparedDataset:
    """Read a prepared file and check every byte of its content.

    Args:
        path: the .npz that `prepare` made.
        expected_sha256: the content that is wanted; any when None.
    Raises:
        FileNotFoundError: there is no such file.
        DatasetCorrupt: the file is damaged, foreign, or another data set than the one expected.
    """
    try:
        arrays = _read(path)
        found = content_sha256(arrays)
        dataset = _build(arrays, found)
    except FileNotFoundError:
        raise
    except (
        ValueError,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as cause:
        raise DatasetCorrupt(f"{path} is not a prepared data set, or damaged: {cause}") from cause
    if expected_sha256 not in (None, found):
        raise DatasetCorrupt(f"{path} holds the content {found}, expected {expected_sha256}")
    return dataset


def load_unchanged(path: str | PathLike[str], expected_sha256: str | None = None) -> PreparedDataset:
    """As `load`, but a file that is as it was when it was last checked is not read again; for who asks often.

    Raises:
        As `load`.
    """
    file = os.stat(path)
    dataset = _loaded(os.fspath(path), (file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns))
    if expected_sha256 not in (None, dataset.sha256):
        raise DatasetCorrupt(f"{path} holds the content {dataset.sha256}, expected {expected_sha256}")
    return dataset


@lru_cache(maxsize=KEPT)
def _loaded(path: str, _state: tuple[int, ...]) -> PreparedDataset:
    return load(path)


def content_sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Hash names, dtypes, shapes and bytes, in the order of the names; the container's bytes do not matter.

    Args:
        arrays: any shapes; taken as little-endian and in C order.
    Returns:
        64 hex digits.
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{name} {plain.dtype.str} {list(array.shape)}\n".encode())
        digest.update(plain.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _read(path: str | PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read the members of a prepared file; a ValueError says what else the file holds."""
    with open(path, "rb") as stream:
        file = np.load(stream, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it is a single array")
        if set(file.files) != set(MEMBERS):
            raise ValueError(f"it must hold {', '.join(MEMBERS)}, got {', '.join(file.files) or 'nothing'}")
        return {name: file[name] for name in MEMBERS}


def _build(arrays: Mapping[str, NDArray[Any]], sha256: str) -> PreparedDataset:
    """Check the arrays and name them; the number of classes is that of the labels."""
    if arrays["name"].dtype.kind != "U" or arrays["name"].ndim:
        raise ValueError(f"name must be one text, got {arrays['name'].dtype} {list(arrays['name'].shape)}")
    labels = arrays["labels"]
    if not labels.size:
        raise ValueError("there must be images, got none")
    return PreparedDataset(
        name=str(arrays["name"]),
        sha256=sha256,
        classes=int(labels.max()) + 1,
        images=arrays["images"],
        labels=labels,
        groups=arrays["groups"],
        folds=arrays["folds"],
    )


def _as(name: str, values: ArrayLike, dtype: type[np.generic]) -> NDArray[Any]:
    """Convert whole numbers to a dtype, refusing those that do not fit."""
    given = np.asarray(values)
    converted = given.astype(dtype)
    if not np.array_equal(given, converted):
        raise ValueError(f"{name} must be whole numbers that fit {np.dtype(dtype)}, got {given.dtype}")
    return np.ascontiguousarray(converted)
