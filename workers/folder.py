"""Folders of results: spec.json, manifest.json and replicates.jsonl, one result a line. One run at a time writes."""

import errno
import fcntl
import json
import math
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from studies.results import TrainingResult
from studies.spec import StudySpec

SPEC, REPLICATES, MANIFEST = "spec.json", "replicates.jsonl", "manifest.json"
Key = tuple[int, int, int]
"""(cell, fold, run)"""
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


@contextmanager
def writing(out: Path) -> Iterator[TextIO]:
    """Open a folder's results to add to them; a last line that a crash cut short is removed from the file.

    Raises:
        ValueError: another run has them open.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / REPLICATES).open("a", encoding="utf-8") as lines:
        try:
            fcntl.flock(lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"another run writes to {out}; wait for its end or use another folder") from error
        except OSError as error:
            # Some clusters' file systems have no locks; that two runs met there is seen later, as one training twice.
            if error.errno not in _NO_LOCKS:
                raise
        whole = len(whole_lines(out))
        if whole < os.fstat(lines.fileno()).st_size:
            os.truncate(lines.fileno(), whole)
        yield lines


def whole_lines(out: Path) -> bytes:
    """The lines of a folder's results that were written to their end."""
    path = out / REPLICATES
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def read_results(out: Path) -> Iterator[TrainingResult]:
    """The results in a folder, one of each training.

    Raises:
        ValueError: a line is no result, or one that an earlier line holds.
    """
    seen: dict[Key, int] = {}
    for number, line in enumerate(whole_lines(out).splitlines(), 1):
        place = f"{out / REPLICATES}, line {number}"
        try:
            result = TrainingResult.from_json(json.loads(line))
            earlier = seen.setdefault(result.key, number)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"{place} is no result: {type(error).__name__}: {error}") from error
        if earlier < number:
            raise ValueError(f"{place} has the training of line {earlier} again: two runs have met here; remove one")
        yield result


def claim(
    out: Path, spec: StudySpec, wanted: Collection[Key], fixed: Mapping[str, Any], noted: Mapping[str, Any]
) -> tuple[dict[str, Any], set[Key]]:
    """Find or make the folder the study's; one without results is anybody's.

    Args:
        out: opened by `writing`.
        spec: the study.
        wanted: its trainings.
        fixed: what the manifest says of all results.
        noted: what a new manifest says besides.

    Returns:
        The manifest so far, and the trainings that are done.

    Raises:
        ValueError: the folder holds results of anything else.
    """
    done = [result.key for result in read_results(out)]
    if not done:
        manifest = {**fixed, **noted, "seconds": 0.0, "trained": 0}
        replace_file(out / SPEC, spec.canonical())
        write_manifest(out, manifest)
        return manifest, set()
    _check_study(out, spec)
    manifest = read_manifest(out)
    for name, value in fixed.items():
        if manifest.get(name) != value:
            raise ValueError(f"{out / MANIFEST} has {name} {manifest.get(name)}, not {value}; use an empty folder")
    for number, key in enumerate(done, 1):
        if key not in wanted:
            raise ValueError(f"{out / REPLICATES}, line {number} is no training of the study: cell, fold, run {key}")
    if manifest.get("trained") != len(done):  # the last run ended between its results and its note of them
        manifest["trained"] = len(done)
        write_manifest(out, manifest)
    return manifest, set(done)


def _check_study(out: Path, spec: StudySpec) -> None:
    for name in (SPEC, MANIFEST):
        if not (out / name).exists():
            raise ValueError(f"{out} holds results of an unknown study, without {name}; use an empty folder")
    path = out / SPEC
    try:
        found = StudySpec.from_json_text(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # SpecError is a ValueError
        raise ValueError(f"{path} is no specification: {error}") from error
    if found.fingerprint != spec.fingerprint:
        raise ValueError(f"{path} is another study; use an empty folder")


def read_manifest(out: Path) -> dict[str, Any]:
    """What runs have noted of a folder.

    Raises:
        ValueError: not as `write_manifest` writes it.
    """
    path = out / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    seconds = found.get("seconds") if isinstance(found, dict) else None
    if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise ValueError(f"{path} must be an object with the seconds so far, a finite number of at least 0")
    return dict(found)


def write_manifest(out: Path, manifest: Mapping[str, Any]) -> None:
    """Note what is known of a folder's results."""
    replace_file(out / MANIFEST, json.dumps(manifest, indent=2))


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_suffix(".part")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
