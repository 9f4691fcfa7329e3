"""Prepared files: written once and whole, found again by a small index beside them."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from studies.datasets.errors import DatasetCorrupt
from studies.datasets.load import PreparedDataset, load_unchanged


@dataclass(frozen=True, slots=True)
class PreparedFile:
    """A prepared data set on disk."""

    path: Path
    """The .npz that `load` reads."""
    sha256: str
    """Hash of its content, 64 hex digits."""


def find(folder: Path, stem: str, recipe: str) -> PreparedFile | None:
    """Return the file that was made by this recipe, after checking every byte of its content.

    Args:
        folder: where prepared files lie.
        stem: name and number of folds.
        recipe: what the content depends on.
    Returns:
        None if it was never made, or is damaged, or was made by another recipe.
    """
    try:
        index = json.loads((folder / f"{stem}.json").read_text())
        if index["recipe"] != recipe:
            return None
        file = PreparedFile(folder / f"{stem}-{index['sha256'][:16]}.npz", index["sha256"])
        load_unchanged(file.path, file.sha256)
    except (FileNotFoundError, ValueError, KeyError, TypeError, DatasetCorrupt):
        # An index that is missing or torn, or a file that is: make it again.
        return None
    return file


def write(folder: Path, stem: str, recipe: str, dataset: PreparedDataset) -> PreparedFile:
    """Write a data set and its index, each by renaming a finished file into place.

    Two processes may do so at once: each renames its own, and both have the same content.

    Args:
        folder: where prepared files lie; made if missing.
        stem: name and number of folds.
        recipe: what the content depends on.
        dataset: the content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = PreparedFile(folder / f"{stem}-{dataset.sha256[:16]}.npz", dataset.sha256)
    with _replacing(file.path) as stream:
        np.savez_compressed(stream, allow_pickle=False, **dataset.arrays())
    with _replacing(folder / f"{stem}.json") as stream:
        stream.write(json.dumps({"recipe": recipe, "sha256": dataset.sha256}).encode())
    return file


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that takes the place of `path`, on disk and whole, when the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
