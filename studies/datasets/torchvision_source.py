"""Data sets that torchvision can download: read from `<data_dir>/raw`, fetched into it if missing."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.datasets.errors import DatasetInvalid, DatasetUnavailable
from studies.datasets.raw import RawDataset
from studies.datasets.registry import DatasetInfo

DOWNLOAD_LIMIT_SECONDS = 1800.0
"""A download that takes longer is given up: the largest, 536 MB, then came with less than 0.3 MB/s."""

_IDX = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class _Source:
    """How torchvision calls a data set and where it puts it."""

    class_name: str
    """Class of torchvision.datasets."""
    folder: str
    """Folder of the files, below `<data_dir>/raw`."""
    files: tuple[str, ...] = _IDX
    """What torchvision reads there."""
    root: str = ""
    """What torchvision calls root, below `<data_dir>/raw`."""
    options: tuple[tuple[str, str], ...] = ()
    """Arguments of the class."""
    transposed: bool = False
    """Whether rows and columns of the images are exchanged."""


_SOURCES = {
    "mnist": _Source("MNIST", "MNIST/raw"),
    "fashion-mnist": _Source("FashionMNIST", "FashionMNIST/raw"),
    "kmnist": _Source("KMNIST", "KMNIST/raw"),
    "emnist-digits": _Source(
        "EMNIST",
        "EMNIST/raw",
        options=(("split", "digits"),),
        transposed=True,
        files=tuple(
            f"emnist-digits-{part}-{kind}-ubyte"
            for part in ("train", "test")
            for kind in ("images-idx3", "labels-idx1")
        ),
    ),
    "usps": _Source("USPS", "USPS", files=("usps.bz2", "usps.t.bz2"), root="USPS"),
}


def make(info: DatasetInfo, data_dir: Path) -> RawDataset:
    """Read a data set, after downloading it if its files are missing; training images first, then test.

    Args:
        info: one of those that torchvision has.
        data_dir: the data folder.
    Returns:
        images [N, H, W]; each image is a group.
    Raises:
        DatasetUnavailable: the download failed; the message says what to put where.
        DatasetInvalid: a file there is damaged.
    """
    source, raw = _SOURCES[info.name], data_dir / "raw"
    folder = raw / source.folder
    _check_archives(info, folder)
    if not all((folder / name).is_file() for name in source.files):
        _fetch(info, source, raw)
    try:
        parts = [_read(source, raw, train) for train in (True, False)]
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return RawDataset(images, labels, np.arange(len(images), dtype=np.int32))
    except Exception as cause:  # torchvision reads damaged files with many kinds of errors, assertions among them
        raise DatasetInvalid(
            f"the files of {info.name} in {folder} cannot be read ({_one_line(cause)}); remove them and try again"
        ) from cause


def _read(source: _Source, raw: Path, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the training or the test images: [n, H, W] and [n]."""
    import torchvision.datasets

    dataset: Any = getattr(torchvision.datasets, source.class_name)
    part = dataset(str(raw / source.root), train=train, download=False, **dict(source.options))
    images, labels = np.asarray(part.data, dtype=np.uint8), np.asarray(part.targets, dtype=np.int64)
    return images.transpose(0, 2, 1) if source.transposed else images, labels


def _check_archives(info: DatasetInfo, folder: Path) -> None:
    """Refuse archives that were put there and are not what upstream publishes."""
    for name, published in info.checksums.items():
        path = folder / name
        if not path.is_file():
            continue
        with open(path, "rb") as stream:
            found = "md5:" + hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found != published:
            raise DatasetInvalid(f"{path} has {found}, upstream publishes {published}; remove it and try again")


def _fetch(info: DatasetInfo, source: _Source, raw: Path) -> None:
    """Download into a folder of its own, then move the finished files: nothing half-done is ever read."""
    folder = raw / source.folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=raw) as staging:
        fetched = Path(staging) / source.folder
        fetched.mkdir(parents=True)
        for name in info.checksums:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, fetched / name)
        cause = _download(source, Path(staging) / source.root)
        if cause is not None:
            raise DatasetUnavailable(
                f"{info.name} could not be downloaded ({cause}); "
                f"put {', '.join(info.checksums)} into {folder} and try again"
            )
        for path in fetched.iterdir():
            if path.is_file():
                os.replace(path, folder / path.name)


def _download(source: _Source, root: Path) -> str | None:
    """Run torchvision's download in a process of its own; returns why it failed, or None."""
    script = Path(__file__).with_name("fetch.py")
    command = [
        sys.executable,
        "-P",
        str(script),
        source.class_name,
        json.dumps(dict(source.options)),
        str(root),
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=DOWNLOAD_LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {DOWNLOAD_LIMIT_SECONDS:g} seconds"
    if done.returncode == 0:
        return None
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return lines[-1] if lines else f"the process ended with status {done.returncode}"


def _one_line(cause: Exception) -> str:
    """Return an error's kind and text on one line."""
    return " ".join(f"{type(cause).__name__}: {cause}".split())
