"""`goldenbench backup` and `restore`."""

import sys
from pathlib import Path
from typing import Any

from service.cli.nodes import settings


def backup(file: Path, **flags: Any) -> None:
    """Write a backup and say what is in it."""
    from service.backup.make import make

    manifest = make(settings(**flags), file)
    for sha256 in manifest.absent:
        print(f"goldenbench: data set {sha256[:16]} of a study is not here, so the backup has none", file=sys.stderr)
    print(f"{file}: {_told(manifest)}, {file.stat().st_size / 1e6:,.1f} MB")


def restore(file: Path, force: bool, **flags: Any) -> None:
    """Restore a backup and say what was in it."""
    from service.backup.restore import restore as put_back

    manifest = put_back(settings(**flags), file, force)
    print(f"restored {_told(manifest)}, of {manifest.made_at}; `goldenbench up` or `serve` goes on with it")


def _told(manifest: Any) -> str:
    held = sum(file.content is not None for file in manifest.files.values())
    counts = manifest.contents.studies, manifest.contents.trainings, held
    return "{:,} studies, {:,} trainings, {:,} data sets".format(*counts)
