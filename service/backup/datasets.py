"""The prepared data sets in a backup."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.backup.manifest import Manifest
from service.errors import SetupError
from studies.datasets.errors import DatasetError
from studies.datasets.load import load


@dataclass(frozen=True)
class Found:
    """A prepared file, or the index of one."""

    path: Path
    content: str | None
    """Hash of a data set's content; None for an index."""


def prepared(data: Path) -> Iterator[Found]:
    """Every whole prepared file below a data folder, with the indexes that lead to them."""
    for path in sorted((data / "datasets").glob("*")):
        if path.suffix == ".json" and not path.name.startswith("."):
            yield Found(path, None)
        elif path.suffix == ".npz" and not path.name.startswith("."):
            try:
                yield Found(path, load(path).sha256)
            except DatasetError:
                continue  # a damaged file is made again when it is needed; `absent` tells of one that studies need


def check(folder: Path, manifest: Manifest) -> None:
    """Check the content of every data set that was taken out of a backup.

    Raises:
        SetupError: one is not what the manifest says.
    """
    for name, file in manifest.files.items():
        if file.content is not None:
            try:
                load(folder / name, file.content)
            except DatasetError as error:
                raise SetupError(f"the backup is damaged: {name}: {error}") from error


def place(folder: Path, manifest: Manifest, data: Path) -> None:
    """Copy the data sets of a backup to where a service looks for them; each appears whole or not at all.

    A file's name has its content's hash, so that none is ever replaced by another.
    """
    for name in manifest.files:
        if not name.startswith("datasets/"):
            continue
        target = data / name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            shutil.copyfile(folder / name, partial)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)


def absent(wanted: tuple[str, ...], found: Mapping[str, Found]) -> tuple[str, ...]:
    """The data sets of studies that are not there, or not whole."""
    return tuple(sorted(set(wanted) - {one.content for one in found.values()}))
