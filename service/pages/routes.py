"""The pages: `/`, `/studies/{id}` and `/docs`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

from service.api.context import Context, Shared
from service.api.data import get_cells
from service.api.studies import get_studies, read_study
from service.lifecycle import TERMINAL
from service.pages.landscape import Landscape, landscape
from studies import golden
from studies.catalog import presets

HERE = Path(__file__).parent
REFRESH_SECONDS = 3
"""How often a page of a study that goes on loads itself again."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
templates = Jinja2Templates(HERE / "templates")
templates.env.filters["percent"] = lambda share: "–" if share is None else f"{100 * share:.2f} %"
templates.env.filters["points"] = lambda share: "–" if share is None else f"{100 * share:.2f}"


@dataclass(frozen=True)
class HomePage:
    """What `/` shows."""

    studies: list[dict[str, Any]]
    presets: list[tuple[str, str]]
    """(name, title)"""
    learning_rate: float
    momentum: float
    following: str | None
    """Cursor of the next page of studies."""


@dataclass(frozen=True)
class StudyPage:
    """What `/studies/{id}` shows."""

    study: dict[str, Any]
    comparison: dict[str, Any]
    contenders: list[tuple[str, dict[str, Any]]]
    """(who, summary): the prescribed point, the best cell, the references."""
    landscape: Landscape
    refresh_seconds: int | None
    """None once the study has ended."""


@router.get("/")
def home(request: Request, context: Shared, cursor: str | None = None) -> HTMLResponse:
    """The studies of this service, and how to submit one."""
    listed = get_studies(context, limit=50, cursor=cursor, fingerprint=None)
    page = HomePage(
        listed["items"],
        [(preset.name, preset.title) for preset in presets().values()],
        golden.LEARNING_RATE,
        golden.MOMENTUM,
        listed["next"],
    )
    return templates.TemplateResponse(request, "home.html", {"page": page})


@router.get("/studies/{study_id}")
async def study(request: Request, study_id: str, context: Shared) -> HTMLResponse:
    """One study with its answer."""
    document = await run_in_threadpool(read_study, context, study_id)
    comparison = await context.reports.comparison(study_id)
    page = await run_in_threadpool(_study_page, context, document, comparison)
    return templates.TemplateResponse(request, "study.html", {"page": page})


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """The routes, from the OpenAPI description."""
    schema = request.app.openapi()
    routes = [
        (method.upper(), path, operation)
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    ]
    return templates.TemplateResponse(request, "docs.html", {"routes": routes, "info": schema["info"]})


@router.get("/favicon.ico")
def icon() -> Response:
    """No icon; the Optuna dashboard asks for one at this address."""
    return Response(status_code=204)


def mount_static(app: FastAPI) -> None:
    """Serve the style sheet; `/static` is the Optuna dashboard's."""
    app.mount("/assets", StaticFiles(directory=HERE / "static"), name="assets")


def _study_page(context: Context, document: dict[str, Any], comparison: dict[str, Any]) -> StudyPage:
    best = comparison["best"]
    contenders = [("prescribed", comparison["prescribed"])]
    if best is not None:
        contenders.append(("best cell", best))
    contenders += [("reference", reference) for reference in comparison["references"]]
    cells = get_cells(document["id"], context)["items"]
    ended = document["status"] in TERMINAL
    shown = landscape(cells, None if best is None else best["cell"])
    return StudyPage(document, comparison, contenders, shown, None if ended else REFRESH_SECONDS)
