"""The commands that write files: pictures and exports."""

import json
import sys
from pathlib import Path
from typing import Literal, cast, get_args

from service.client import Client
from service.errors import GoldenbenchError
from service.plots.kinds import Form, Kind

Export = Literal["csv", "parquet", "json"]
STANDARD_OUTPUT = Path("-")


class BadOutput(GoldenbenchError):
    """The output cannot be written as asked."""


def plot(study_id: str, kind: Kind, output: Path | None, url: str | None) -> None:
    """Write a picture of a study; its form is that of the file's ending.

    Raises:
        BadOutput: the ending is neither .svg nor .png, or the file cannot be written.
    """
    target = output or Path(f"goldenbench-{study_id}-{kind}.svg")
    form = "svg" if target == STANDARD_OUTPUT else target.suffix.removeprefix(".")
    if form not in get_args(Form):
        raise BadOutput(f"{target} must end in {' or '.join('.' + known for known in get_args(Form))}")
    with Client(url) as client:
        _write(target, client.plot(study_id, kind, cast(Form, form)))


def export(study_id: str, form: Export, output: Path | None, url: str | None) -> None:
    """Write every training of a study.

    Raises:
        BadOutput: Parquet for a terminal, or the file cannot be written.
    """
    target = output or STANDARD_OUTPUT
    if form == "parquet" and target == STANDARD_OUTPUT and sys.stdout.isatty():
        raise BadOutput("parquet is no text for a terminal: name a file with -o")
    with Client(url) as client:
        if form == "json":
            content = (json.dumps(client.replicates(study_id), indent=1) + "\n").encode()
        else:
            content = client.export(study_id, form)
    _write(target, content)


def _write(target: Path, content: bytes) -> None:
    """Write a file and say so, or write to standard output."""
    if target == STANDARD_OUTPUT:
        sys.stdout.buffer.write(content)
        return
    try:
        target.write_bytes(content)
    except OSError as error:
        raise BadOutput(f"{target} cannot be written: {error.strerror}") from error
    print(target)
