"""What the forms of the pages do: submit and estimate, pause, resume, cancel, extend and delete.

Each ends at a page, as a form expects.

`service.guard` refuses what a foreign page sends; a browser names the page in `Origin`.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from service import submission, suites
from service.access.principal import Principal
from service.api.body import read_body
from service.api.context import Caller, Context, Shared
from service.api.studies import cancel_study, delete_study, extend, pause_study, resume_study
from service.api.suites import cancel_suite
from service.errors import Invalid, Unreadable
from service.estimate import estimate
from service.pages import form as forms
from service.pages.form import Values
from service.pages.home import NewStudy, cost, preset_links
from service.pages.rendering import respond
from service.schemas.studies import StudyDocument
from studies.catalog import suites as ready_suites
from studies.fields import Problem

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
SEE_OTHER = 303
CARRIED_OUT: dict[str, Callable[[str, Context], StudyDocument]] = {
    "cancel": cancel_study,
    "pause": pause_study,
    "resume": resume_study,
}


@router.post("/studies")
async def submit(request: Request, context: Shared, caller: Caller) -> Response:
    """Queue the study in the form and show its page, or the form again with what is wrong."""
    values = await form_values(request)

    def work() -> Response:
        try:
            checked = submission.check(forms.specification(values), context.settings.data)
            key = _key(values, checked.spec.canonical())
            study, _new = submission.submit(context.store, checked, key, _submitter(context, caller))
        except Invalid as error:
            return respond(request, "new.html", new_study(context, values, None), error.status)
        return RedirectResponse(f"/studies/{study.id}", SEE_OTHER)

    return await run_in_threadpool(work)


@router.post("/estimate")
async def estimate_form(request: Request, context: Shared) -> Response:
    """Show the form with what the study in it would cost, or what is wrong with it."""
    values = await form_values(request)
    return await run_in_threadpool(lambda: respond(request, "new.html", new_study(context, values, None)))


@router.post("/studies/{study_id}/extend")
async def extend_form(study_id: str, request: Request, context: Shared) -> Response:
    """Add the runs in the form, then show the study."""
    runs = _first(await form_values(request), "runs").strip()
    document = {"runs": int(runs) if runs.isascii() and runs.isdigit() else runs}
    await run_in_threadpool(extend, context, study_id, document)
    return RedirectResponse(f"/studies/{study_id}", SEE_OTHER)


@router.post("/studies/{study_id}/delete")
def delete(study_id: str, context: Shared) -> Response:
    """Delete a study that has ended, then show the others."""
    delete_study(study_id, context)
    return RedirectResponse("/", SEE_OTHER)


@router.post("/studies/{study_id}/{action}")
def act(study_id: str, action: Literal["cancel", "pause", "resume"], context: Shared) -> Response:
    """Do what a button says, then show the study."""
    CARRIED_OUT[action](study_id, context)
    return RedirectResponse(f"/studies/{study_id}", SEE_OTHER)


@router.post("/suites")
async def submit_suite(request: Request, context: Shared, caller: Caller) -> Response:
    """Queue a preset of a suite and show its page."""
    values = await form_values(request)
    name, version = _first(values, "preset"), _first(values, "version")
    ready = ready_suites()
    if name not in ready or version not in ("full", "quick"):
        raise Invalid([Problem("preset", f"must be one of {', '.join(ready)}, its version full or quick")])
    spec = ready[name].quick if version == "quick" else ready[name].spec

    def work() -> Response:
        checked = suites.check(spec.to_json(), context.settings.data)
        key = _key(values, checked.spec.canonical())
        suite = suites.submit(context.store, checked, key, _submitter(context, caller))
        return RedirectResponse(f"/suites/{suite.id}", SEE_OTHER)

    return await run_in_threadpool(work)


@router.post("/suites/{suite_id}/cancel")
def end_suite(suite_id: str, context: Shared) -> Response:
    """End every study of a suite, then show it."""
    cancel_suite(suite_id, context)
    return RedirectResponse(f"/suites/{suite_id}", SEE_OTHER)


def new_study(context: Context, values: Values, preset: str | None) -> NewStudy:
    """The form with its values, and what the study would cost unless a rule is broken.

    Args:
        context: the parts of the service.
        values: what was filled in.
        preset: the one that they come from.
    """
    links, key = preset_links(preset), _first(values, "key") or secrets.token_urlsafe(12)
    try:
        checked = submission.check(forms.specification(values), context.settings.data)
        with context.store.read() as session:
            found = estimate(session, checked, len(context.dispatcher().workers))
    except Invalid as error:
        return NewStudy(forms.form(values, error.problems), links, None, key)
    return NewStudy(forms.form(values, ()), links, cost(found), key)


async def form_values(request: Request) -> dict[str, list[str]]:
    """The fields of a posted form.

    Raises:
        TooLarge, TooSlow: as `read_body`.
        Unreadable: not a form, or not in UTF-8.
    """
    content = await read_body(request)
    try:
        return parse_qs(content.decode(), keep_blank_values=True, errors="strict", max_num_fields=200)
    except ValueError as error:
        raise Unreadable([Problem("(body)", f"must be a form: {str(error)[:200]}")]) from error


def _submitter(context: Context, caller: Principal) -> submission.Submitter:
    return submission.Submitter(caller.token, context.settings.max_queued)


def _key(values: Mapping[str, list[str]], canonical: str) -> str:
    """The idempotency key of a form: one for each version of what it asks, so that a corrected form is a new study."""
    token = _first(values, "key")[:80]
    return f"form {token} {hashlib.sha256(canonical.encode()).hexdigest()[:16]}"


def _first(values: Values, name: str) -> str:
    return next(iter(values.get(name, ())), "")
