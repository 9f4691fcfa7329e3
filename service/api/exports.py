"""All trainings of a study as a file: CSV for spreadsheets, Parquet for programs; read page by page."""

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from service.api.documents import REPLICATE_FIELDS, replicate_document
from service.schemas.data import ReplicateDocument
from service.store.engine import Store
from service.store.queries import replicate_page

PAGE = 1_000
"""Trainings held in memory at a time."""
CHUNK_BYTES = 1 << 20
MEMORY_BYTES = 16 << 20
"""A Parquet file larger than this is kept on disk while it is sent."""
Points = dict[int, tuple[float, float]]


def as_csv(store: Store, study_id: str, points: Points) -> Iterator[str]:
    """CSV with a header; the curve of a training is JSON in one column.

    Args:
        store: the database.
        study_id: an existing study.
        points: (learning rate, momentum) of each cell.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, REPLICATE_FIELDS)
    writer.writeheader()
    for page in _pages(store, study_id, points):
        for document in page:
            row = document | {"curve": json.dumps(document["curve"], separators=(",", ":"))}
            writer.writerow({name: _harmless(value) for name, value in row.items()})
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def as_parquet(store: Store, study_id: str, points: Points) -> Iterator[bytes]:
    """Parquet with one row group per page; the curve of a training is a struct of three lists.

    Args: as for `as_csv`.
    """
    with tempfile.SpooledTemporaryFile(MEMORY_BYTES) as file:
        _write_parquet(file, study_id, _pages(store, study_id, points))
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _write_parquet(file: IO[bytes], study_id: str, pages: Iterator[list[ReplicateDocument]]) -> None:
    import pyarrow as pa  # only where a file is asked for: it is large
    from pyarrow import parquet

    column = pa.list_(pa.float64())
    own = {"curve": pa.struct(dict.fromkeys(("accuracy", "loss", "train_loss"), column))}
    own |= {name: pa.int32() for name in ("cell", "fold", "run", "attempt")}
    own |= {name: pa.string() for name in ("outcome", "engine", "precision", "device", "reason")}
    fields = {name: own.get(name, pa.float64()) for name in REPLICATE_FIELDS}
    schema = pa.schema(fields, metadata={"goldenbench.study": study_id})
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for page in pages:
            writer.write_table(pa.Table.from_pylist(page, schema=schema))


def _pages(store: Store, study_id: str, points: Points) -> Iterator[list[ReplicateDocument]]:
    """Documents of all replicates in the order (cell, fold, run); the last page may be empty."""
    after: tuple[int, int, int] | None = None
    while True:
        with store.read() as session:
            rows = replicate_page(session, study_id, PAGE, after)
            page = [replicate_document(row, points) for row in rows]
        yield page
        if len(rows) < PAGE:
            return
        after = rows[-1].cell, rows[-1].fold, rows[-1].run


def _harmless(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is quoted."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
