"""Is the service alive, can it work, and how does it fare."""

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from sqlalchemy.exc import SQLAlchemyError

from service.api.context import Context, Shared
from service.api.problems import MEDIA_TYPE
from service.schemas.operations import HealthDocument, ReadyChecks, ReadyDocument

router = APIRouter(tags=["operations"])
TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {
        "description": "Something is missing; as problem+json where the service is too busy to look",
        "model": ReadyDocument,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


@router.get("/healthz")
def healthz() -> HealthDocument:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=NOT_READY)
def readyz(context: Shared, response: Response) -> ReadyDocument:
    """Say whether studies can be stored and trained, and what is missing."""
    database, schema = _database(context)
    dispatcher = context.dispatcher()
    checks: ReadyChecks = {
        "database": database,
        "schema": schema,
        "dispatcher": dispatcher.state,
        "scheduler": dispatcher.scheduler,
        "workers": len(dispatcher.workers),
    }
    missing = _missing(checks)
    response.status_code = 503 if missing else 200
    return {"status": "not ready" if missing else "ready", "checks": checks, "missing": missing}


@router.get("/metrics", response_class=Response, responses=TEXT)
def get_metrics(context: Shared) -> Response:
    """Tell Prometheus how the service fares, in its text format; docs/operations.md says what each metric means."""
    return Response(context.metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _database(context: Context) -> tuple[str, str]:
    """How the database and its schema are."""
    try:
        present, ours = context.store.revision(), context.store.revisions[-1]
    except SQLAlchemyError as error:
        return f"away: {type(error).__name__}", "unknown while the database is away"
    return "ok", "ok" if present == ours else f"{present or 'none'}, and this program works with {ours}"


def _missing(checks: ReadyChecks) -> list[str]:
    """What has to come before studies can be stored and trained."""
    missing = []
    if checks["database"] != "ok":
        missing.append(f"the database does not answer ({checks['database']})")
    elif checks["schema"] != "ok":
        missing.append(f"the schema of the database is {checks['schema']}")
    if checks["dispatcher"] == "waiting":
        return missing  # another one leads, and has the scheduler and the workers
    if checks["dispatcher"] != "leading":
        missing.append(f"the dispatcher does not lead yet ({checks['dispatcher']})")
    if checks["scheduler"] != "connected":
        missing.append(f"the Dask scheduler is {checks['scheduler']}")
    elif not checks["workers"]:
        missing.append("no worker has joined")
    return missing
