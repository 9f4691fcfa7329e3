"""The data of a study: cells, replicates, packs, manifest."""

import json
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from service.api import cursor as cursors
from service.api.context import Shared
from service.api.documents import cell_document, moment, pack_document, package_of, replicate_document
from service.api.exports import Points, as_csv, as_parquet
from service.schemas.data import CellsDocument, ManifestDocument, ManifestPacks, PacksDocument, ReplicatesDocument
from service.store.engine import Store
from service.store.queries import cell_statistics, find_study, replicate_page, study_cells
from service.store.tables import Pack
from studies.datasets import registry
from studies.models.registry import MODELS

router = APIRouter(prefix="/v1/studies/{study_id}", tags=["data"])
FILES: dict[str, tuple[str, Callable[[Store, str, Points], Iterator[str | bytes]]]] = {
    "csv": ("text/csv", as_csv),
    "parquet": ("application/vnd.apache.parquet", as_parquet),
}
"""Media type and writer of each form in which all rows come as one file."""
FILE = {"type": "string", "format": "binary"}


@router.get("/cells")
def get_cells(study_id: str, context: Shared) -> CellsDocument:
    """List the cells, the prescribed point first, with their present means."""
    with context.store.read() as session:
        find_study(session, study_id)
        statistics = cell_statistics(session, study_id)
        cells = study_cells(session, study_id)
        items = [cell_document(cell, *statistics.get(cell.cell, (None, None))) for cell in cells]
    return {"items": items, "next": None}


@router.get(
    "/replicates",
    response_model=ReplicatesDocument,
    responses={200: {"content": {media_type: {"schema": FILE} for media_type, _ in FILES.values()}}},
)
def get_replicates(
    study_id: str,
    context: Shared,
    format: Annotated[Literal["json", "csv", "parquet"], Query(description="files hold all rows")] = "json",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    cursor: str | None = None,
) -> ReplicatesDocument | StreamingResponse:
    """List the stored trainings in the order (cell, fold, run)."""
    position = cursors.decode(cursor, 3)
    with context.store.read() as session:
        study = find_study(session, study_id)
        points = {cell.cell: (cell.learning_rate, cell.momentum) for cell in study_cells(session, study_id)}
        if format != "json":
            media_type, write = FILES[format]
            headers = {"Content-Disposition": f'attachment; filename="goldenbench-{study.id}.{format}"'}
            return StreamingResponse(write(context.store, study_id, points), media_type=media_type, headers=headers)
        rows = replicate_page(session, study_id, limit + 1, position)  # type: ignore[arg-type]  # three parts, checked
        items = [replicate_document(row, points) for row in rows[:limit]]
        last = rows[limit - 1] if len(rows) > limit else None
    return {"items": items, "next": cursors.encode(last.cell, last.fold, last.run) if last else None}


@router.get("/packs")
def get_packs(
    study_id: str,
    context: Shared,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
    cursor: str | None = None,
) -> PacksDocument:
    """List the packs, oldest first, with the logs of their attempts."""
    position = cursors.decode(cursor, 1)
    with context.store.read() as session:
        find_study(session, study_id)
        query = sa.select(Pack).where(Pack.study_id == study_id).order_by(Pack.ordinal).limit(limit + 1)
        rows = session.scalars(query if position is None else query.where(Pack.ordinal > position[0])).all()
        following = cursors.encode(rows[limit - 1].ordinal) if len(rows) > limit else None
        return {"items": [pack_document(row) for row in rows[:limit]], "next": following}


@router.get("/manifest")
def get_manifest(study_id: str, context: Shared) -> ManifestDocument:
    """Show everything that is needed to repeat the study and to judge its numbers."""
    with context.store.read() as session:
        study = find_study(session, study_id)
        spec = json.loads(study.spec)
        info = registry.get(spec["dataset"])
        return {
            "study": study.id,
            "status": study.shown,
            "spec": spec,
            "fingerprint": study.fingerprint,
            "runs": study.runs,
            "dataset": {
                "name": info.name,
                "package": package_of(registry.DATASETS, info.name),
                "sha256": study.dataset_sha256,
                "source": info.source,
                "licence": info.licence,
                "is_paper_data": info.is_paper_data,
                "note": info.note,
            },
            "model": {"name": spec["model"], "package": package_of(MODELS, spec["model"])},
            "numeric_class": study.numeric_class,
            "seeds": "PCG64 of sha256 of 'goldenbench/1 {seed} {fold} {run} {purpose}'; purposes: weights, order",
            "packs": pack_totals(session, study_id),
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in ("goldenbench", "torch", "numpy", "optuna", "distributed")},
            "created_at": moment(study.created_at),
            "started_at": moment(study.started_at),
            "finished_at": moment(study.finished_at),
        }


def pack_totals(session: Session, study_id: str) -> ManifestPacks:
    """What the trainings of a study took; counted by the database, since a long study has thousands of packs."""
    query = sa.select(
        sa.func.count().filter(Pack.state == "done"),
        sa.func.coalesce(sa.func.sum(Pack.attempt), 0),
        sa.func.coalesce(sa.func.sum(Pack.charged), 0),
        sa.func.sum(Pack.seconds),
    )
    done, attempts, charged, seconds = session.execute(query.where(Pack.study_id == study_id)).one()
    return {"done": done, "attempts": int(attempts), "charged": int(charged), "device_seconds": seconds or 0.0}
