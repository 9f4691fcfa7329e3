"""What a backup holds, by its own account."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from service.errors import SetupError

FORMAT = "goldenbench-backup"
VERSION = 1
DATABASE = "database"
FILE_NAME = re.compile(r"datasets/[A-Za-z0-9_][A-Za-z0-9._-]*\.(npz|json)", re.ASCII)
"""What a prepared file and its index may be called."""

Kind = Literal["sqlite", "postgresql"]


@dataclass(frozen=True)
class Contents:
    """What a database holds, as far as a restore can be held to it."""

    schema: str
    """version"""
    studies: int
    trainings: int
    datasets: tuple[str, ...]
    """Content hashes of the data sets of its studies, 64 hex digits each."""


@dataclass(frozen=True)
class File:
    """One file of a backup."""

    bytes: int
    sha256: str
    content: str | None
    """Of a prepared data set: the hash of its content, by which studies name it."""


@dataclass(frozen=True)
class Manifest:
    """Everything that a backup says of itself."""

    goldenbench: str
    """Version that made it."""
    made_at: str
    """ISO 8601, UTC."""
    kind: Kind
    """of the database"""
    server: int
    """PostgreSQL's major version; 0 for SQLite."""
    contents: Contents
    files: Mapping[str, File]
    """By name in the archive."""
    absent: tuple[str, ...]
    """Data sets of studies that were not there, or damaged, when it was made."""

    def to_json(self) -> bytes:
        """As it stands in the archive."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Manifest":
        """Read and check a manifest.

        Raises:
            SetupError: it is not one, or of a later format.
        """
        try:
            document = json.loads(text)
            if document["format"] != FORMAT:
                raise ValueError(f"its format is {document['format']!r}")
            if document["version"] != VERSION:
                raise SetupError(f"the backup has format {document['version']!r}; this goldenbench reads {VERSION}")
            return cls(
                goldenbench=str(document["goldenbench"]),
                made_at=str(document["made_at"]),
                kind=cast(Kind, _one_of(document["kind"], ("sqlite", "postgresql"))),
                server=int(document["server"]),
                contents=_contents(document["contents"]),
                files=dict(_files(document["files"])),
                absent=tuple(map(str, document["absent"])),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SetupError(f"the backup's manifest.json is damaged: {error}") from error


def _contents(document: Mapping[str, Any]) -> Contents:
    counts = int(document["studies"]), int(document["trainings"])
    return Contents(str(document["schema"]), *counts, tuple(map(str, document["datasets"])))


def _files(document: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, File]]:
    if DATABASE not in document:
        raise ValueError("it names no database")
    for name, told in document.items():
        if name != DATABASE and not FILE_NAME.fullmatch(name):
            raise ValueError(f"it names a file {name[:100]!r}")
        content = told["content"]
        yield name, File(int(told["bytes"]), str(told["sha256"]), None if content is None else str(content))


def _one_of(value: object, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
    return str(value)
