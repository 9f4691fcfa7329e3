"""Is the service alive, and can it work."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from service.api.context import Shared

router = APIRouter(tags=["operations"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Something is missing", "content": {"application/json": {}}}})
def readyz(context: Shared) -> JSONResponse:
    """Say whether studies can be stored and trained, and what is missing."""
    checks: dict[str, Any] = {"database": "ok", "dispatcher": context.dispatcher_state()}
    checks["workers"] = len(context.workers())
    try:
        with context.store.read() as session:
            session.execute(sa.text("SELECT 1"))
    except SQLAlchemyError as error:
        checks["database"] = f"away: {type(error).__name__}"
    ready = checks["database"] == "ok" and checks["dispatcher"] in ("leading", "waiting")
    ready = ready and (checks["workers"] > 0 or checks["dispatcher"] == "waiting")
    return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)
