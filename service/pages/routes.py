"""The pages that are read: `/`, `/studies/{id}` and its comparison with another, `/suites/{id}` and `/docs`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from service.api.context import Context, Shared
from service.api.studies import get_studies, read_study
from service.api.suites import get_suites, read_suite
from service.errors import NotFound
from service.pages import actions
from service.pages.answers import Answers, Badge, about_pair, about_study, about_suite, badges
from service.pages.drawings import Drawings
from service.pages.form import filled
from service.pages.head import head, in_motion
from service.pages.home import HomePage, listed, prescribed_text, suite_presets, suites_listed
from service.pages.pair import pair_page
from service.pages.rendering import respond
from service.pages.study import study_page
from service.pages.suite import suite_page
from service.pages.workers import workers_listed
from studies.catalog import presets

ASSETS = Path(__file__).parent / "static"
FIRST_PRESET = "demo"
LISTED = 30
"""Studies on one page of the list."""
REFRESH_SECONDS = 3
"""How often a list with a study that goes on looks again."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True)
class DocsPage:
    """The routes of the API."""

    summary: str
    version: str
    routes: tuple[tuple[str, str, str], ...]
    """(method, path, what it does)"""


@router.get("/")
async def home(
    request: Request, context: Shared, cursor: str | None = None, preset: str = FIRST_PRESET
) -> HTMLResponse:
    """The studies of this service, and the form for a new one."""
    found = await run_in_threadpool(get_studies, context, limit=LISTED, cursor=cursor, fingerprint=None)
    known = badges(_answers(request), context, found["items"])
    return await run_in_threadpool(_home, request, context, found, known, preset)


@router.get("/studies/{study_id}")
async def study(request: Request, study_id: str, context: Shared) -> HTMLResponse:
    """One study with its answer."""
    document = await run_in_threadpool(read_study, context, study_id)
    look = await _answers(request).look(about_study(context, document))

    def draw() -> HTMLResponse:
        drawings: Drawings = request.app.state.drawings
        return respond(request, "study.html", study_page(context, drawings, document, look))

    return await run_in_threadpool(draw)


@router.get("/studies/{study_id}/comparison")
def choose_pair(study_id: str, other: str = "") -> Response:
    """Go to the page of two studies, the second of which was chosen on the page of the first."""
    return RedirectResponse(f"/studies/{quote(study_id, safe='')}/comparison/{quote(other, safe='')}", 303)


@router.get("/studies/{study_id}/comparison/{other}")
async def pair(request: Request, study_id: str, other: str, context: Shared) -> HTMLResponse:
    """Two studies that share replicates."""
    a, b = [await run_in_threadpool(read_study, context, one) for one in (study_id, other)]
    look = await _answers(request).look(about_pair(context, a, b))
    return await run_in_threadpool(lambda: respond(request, "pair.html", pair_page(a, b, look)))


@router.get("/suites/{suite_id}")
async def suite(request: Request, suite_id: str, context: Shared) -> HTMLResponse:
    """One suite with its table."""
    document = await run_in_threadpool(read_suite, context, suite_id)
    look = await _answers(request).look(about_suite(context, document))
    return await run_in_threadpool(lambda: respond(request, "suite.html", suite_page(document, look)))


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """The routes, from the OpenAPI description."""
    schema = request.app.openapi()
    routes = tuple(
        (method.upper(), path, operation.get("description") or operation["summary"])
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    )
    info = schema["info"]
    return respond(request, "docs.html", DocsPage(info["summary"], info["version"], routes))


@router.get("/favicon.ico")
def icon() -> Response:
    """No icon; the Optuna dashboard asks for one at this address."""
    return Response(status_code=204)


def install(app: FastAPI) -> None:
    """Add the pages to an app, with their files; `/static` is the Optuna dashboard's."""
    app.state.answers = Answers()
    app.state.drawings = Drawings()
    app.include_router(router)
    app.include_router(actions.router)
    app.mount("/assets", StaticFiles(directory=ASSETS), name="assets")


def _home(
    request: Request, context: Context, found: Mapping[str, Any], known: list[Badge], preset: str
) -> HTMLResponse:
    ready = presets()
    if preset not in ready:
        raise NotFound(f"there is no preset {preset[:40]!r}; there are {', '.join(ready)}")
    heads = [head(study) for study in found["items"]]
    studies = listed(heads, known)
    page = HomePage(
        *prescribed_text(),
        studies=studies,
        older=f"/?cursor={found['next']}" if found["next"] else None,
        refresh_seconds=REFRESH_SECONDS if in_motion(heads) or any(one.badge.awaited for one in studies) else None,
        workers=workers_listed(context.dispatcher().workers),
        suites=suites_listed(get_suites(context, limit=LISTED)["items"]),
        suite_presets=suite_presets(),
        new=actions.new_study(context, filled(ready[preset].spec.to_json()), preset),
    )
    return respond(request, "home.html", page)


def _answers(request: Request) -> Answers:
    answers: Answers = request.app.state.answers
    return answers
