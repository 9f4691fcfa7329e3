"""The tar file of a backup: written whole or not at all, and read with a check of every byte."""

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from service.backup.manifest import File, Manifest
from service.errors import SetupError

MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
"""Holds the manifest's hash."""
AT_ONCE = 1 << 20
"""Bytes that are copied together."""
MOST_MANIFEST_BYTES = 10_000_000


def describe(path: Path, content: str | None = None) -> File:
    """A file's entry in the manifest; `content` is a data set's own hash."""
    with path.open("rb") as stream:
        return File(path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest(), content)


def write(target: Path, manifest: Manifest, sources: Mapping[str, Path]) -> None:
    """Write a backup, readable for nobody else: it holds the hashes of tokens.

    Args:
        target: the file; it appears when it is complete.
        manifest: what it holds.
        sources: where the files are that the manifest names.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    document = manifest.to_json()
    try:
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
            with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name, text in ((MANIFEST, document), (SEAL, _seal(document))):
                    _add(tar, name, io.BytesIO(text), len(text))
                for name, file in manifest.files.items():
                    with sources[name].open("rb") as source:
                        _add(tar, name, source, file.bytes)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def unpack(source: Path, folder: Path) -> Manifest:
    """Copy the files of a backup into a folder, under the names that its manifest gives them.

    Args:
        source: the backup.
        folder: an empty folder of the caller's.

    Returns:
        The manifest, which every file agrees with.

    Raises:
        SetupError: it is no backup, is damaged (which says what), or holds something that a backup does not.
    """
    try:
        with tarfile.open(source, mode="r:") as tar:
            return _unpack(tar, folder)
    except (tarfile.TarError, EOFError) as error:
        raise SetupError(f"{source} is not a backup, or damaged: {error}") from error
    except OSError as error:
        raise SetupError(f"{source} cannot be read: {error}") from error


def _unpack(tar: tarfile.TarFile, folder: Path) -> Manifest:
    document = _open(tar, _next(tar, MANIFEST)).read(MOST_MANIFEST_BYTES)
    seal = _open(tar, _next(tar, SEAL)).read(len(_seal(b"")) + 1)
    if seal != _seal(document):
        raise SetupError(f"the backup is damaged: {MANIFEST} does not have the checksum in {SEAL}")
    manifest = Manifest.from_json(document)
    for name, file in manifest.files.items():
        _copy(tar, _next(tar, name), file, folder / name)
    rest = tar.next()
    if rest is not None:
        raise SetupError(f"the backup holds {rest.name[:100]!r}, which its manifest does not name")
    return manifest


def _next(tar: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    """The next member, which has to be that one."""
    member = tar.next()
    if member is None:
        raise SetupError(f"the backup is damaged, or none of goldenbench: it ends before {name}")
    if member.name != name:
        told = f"{member.name[:100]!r} stands where {name} should be"
        raise SetupError(f"the backup is damaged, or none of goldenbench: {told}")
    return member


def _seal(document: bytes) -> bytes:
    return hashlib.sha256(document).hexdigest().encode()


def _open(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(member) if member.isreg() else None
    if stream is None:
        raise SetupError(f"the backup is damaged: {member.name[:100]!r} is not a plain file")
    return stream


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, file: File, target: Path) -> None:
    source, digest = _open(tar, member), hashlib.sha256()
    if member.size != file.bytes:
        raise SetupError(f"the backup is damaged: {member.name} has {member.size} bytes instead of {file.bytes}")
    target.parent.mkdir(exist_ok=True)
    with target.open("xb") as stream:
        while part := source.read(AT_ONCE):
            digest.update(part)
            stream.write(part)
        stream.flush()
        os.fsync(stream.fileno())
    if digest.hexdigest() != file.sha256:
        raise SetupError(f"the backup is damaged: {member.name} does not have the checksum in {MANIFEST}")


def _add(tar: tarfile.TarFile, name: str, source: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    tar.addfile(member, source)
