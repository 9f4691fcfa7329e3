"""Making a data set ready for training, once: `<data_dir>/datasets/<name>-<folds>-<sha>.npz`."""

import hashlib
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from studies.datasets import prepared_file, registry
from studies.datasets.errors import DatasetInvalid, DatasetUnavailable
from studies.datasets.folds import FOLD_SEED, STRATIFIED_GROUP_SEED, assign_folds, check_folds
from studies.datasets.load import content_sha256, from_arrays
from studies.datasets.prepared_file import PreparedFile
from studies.datasets.raw import RawDataset
from studies.datasets.registry import DatasetInfo


def prepare(name: str, folds: int, data_dir: str | os.PathLike[str]) -> PreparedFile:
    """Return the prepared file of a data set, making it if it is not there; may download.

    Safe when several processes do it at once. A damaged file is made again.

    Args:
        name: a name in the registry.
        folds: number of folds, 2..1000.
        data_dir: the data folder; sources lie below it, the result in its folder `datasets`.
    Raises:
        UnknownDataset: no data set of that name is registered.
        DatasetUnavailable: the sources are not here; the message says what to put where.
        DatasetInvalid: the sources break a rule, or are too few for so many folds.
        ValueError: folds is out of range.
    """
    info = registry.get(name)
    check_folds(folds)
    check_available(name, data_dir)
    folder, stem = Path(data_dir) / "datasets", f"{name}-{folds}"
    # Before the sources are read: if they change meanwhile, the next call makes the file again.
    recipe = _recipe(info, Path(data_dir))
    found = prepared_file.find(folder, stem, recipe)
    if found is not None:
        return found
    raw = _maker(info)(info, Path(data_dir))
    _check_promises(info, raw)
    try:
        assigned = assign_folds(raw.labels, raw.groups, folds)
    except ValueError as cause:
        raise DatasetInvalid(f"{name} cannot be cut into {folds} folds: {cause}") from cause
    dataset = from_arrays(name, raw.images, raw.labels, assigned, raw.groups)
    return prepared_file.write(folder, stem, recipe, dataset)


def check_available(name: str, data_dir: str | os.PathLike[str]) -> None:
    """Refuse at once a data set whose owner has yet to fill its folder; what can be downloaded passes.

    Args:
        name: a name in the registry.
        data_dir: the data folder.
    Raises:
        UnknownDataset: no data set of that name is registered.
        DatasetUnavailable: the folder is missing; the message says what to put where.
    """
    info = registry.get(name)
    if info.folder is not None and not (Path(data_dir) / info.folder).is_dir():
        raise DatasetUnavailable(
            f"{name} needs the folder {Path(data_dir) / info.folder}: put one folder per class into it, "
            "with the images of the class, or make it a link to such a folder, and try again"
        )


def _maker(info: DatasetInfo) -> Callable[[DatasetInfo, Path], RawDataset]:
    """Import the function that makes a data set."""
    module, _, function = info.maker.partition(":")
    return cast(Callable[[DatasetInfo, Path], RawDataset], getattr(importlib.import_module(module), function))


def _check_promises(info: DatasetInfo, raw: RawDataset) -> None:
    """Refuse a data set that is not what the registry says."""
    promises = (
        ("images", info.images, len(raw.images)),
        ("classes", info.classes, raw.classes),
        ("image shape", info.image_shape, raw.images.shape[1:]),
        ("content", info.content_sha256, info.content_sha256 and _source_sha256(raw)),
    )
    for what, promised, made in promises:
        if promised is not None and promised != made:
            raise DatasetInvalid(f"{info.name} is not what is registered: {what} should be {promised}, got {made}")


def _source_sha256(raw: RawDataset) -> str:
    """Hash a data set before it is cut into folds; this is what the registry states."""
    return content_sha256({"images": raw.images, "labels": raw.labels, "groups": raw.groups})


def _recipe(info: DatasetInfo, data_dir: Path) -> str:
    """Name everything known beforehand that the prepared content depends on; returns 64 hex digits."""
    parts: list[object] = [
        info.maker,
        info.content_sha256,
        FOLD_SEED,
        STRATIFIED_GROUP_SEED,
        sorted(info.checksums.items()),
    ]
    origin = registry.DATASETS.origin(info.name)
    if origin is not None:
        parts.append(str(origin))  # another version of the package may make other images
    if info.folder is not None:
        parts.append(_listing(data_dir / info.folder))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    """List the files below a folder with their sizes in bytes and times of change in nanoseconds."""
    listing = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            # A link that leads nowhere is the maker's to judge, so here the link itself will do.
            status = os.stat(path) if os.path.exists(path) else os.lstat(path)
            listing.append((os.path.relpath(path, folder), status.st_size, status.st_mtime_ns))
    return sorted(listing)
