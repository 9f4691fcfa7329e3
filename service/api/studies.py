"""Studies: submission, listing, control."""

import json
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from service import submission
from service.api import cursor as cursors
from service.api.body import component, json_body, json_schema
from service.api.context import Caller, Context, Shared
from service.api.documents import study_document
from service.errors import Conflict, Invalid
from service.estimate import estimate
from service.lifecycle import Action, wish
from service.schemas.studies import EstimateDocument, StudiesDocument, StudyDocument
from service.store.queries import find_study, list_studies, paces
from service.store.tables import Study
from studies.fields import Integer, Problem, SpecError, read_object
from studies.racing import MOST_LOOKS
from studies.spec import MAX_TRAININGS

router = APIRouter(prefix="/v1", tags=["studies"])
SPEC_BODY = json_schema(component("StudySpecDocument"))
EXTENSION = {"runs": Integer(1, 10_000)}


@router.post("/studies", status_code=201, openapi_extra=SPEC_BODY)
async def submit_study(
    request: Request,
    response: Response,
    context: Shared,
    caller: Caller,
    idempotency_key: Annotated[str | None, Header(description="Makes repeating the request safe")] = None,
) -> StudyDocument:
    """Queue a study. It is stored before the answer is sent."""
    document = await json_body(request)

    def work() -> StudyDocument:
        checked = submission.check(document, context.settings.data)
        by = submission.Submitter(caller.token, context.settings.max_queued)
        study, _new = submission.submit(context.store, checked, idempotency_key, by)
        return study_document(study, None)

    answer = await run_in_threadpool(work)
    response.headers["Location"] = f"/v1/studies/{answer['id']}"
    return answer


@router.post("/estimates", openapi_extra=SPEC_BODY)
async def estimate_study(request: Request, context: Shared) -> EstimateDocument:
    """Say what a study would cost and what it could show, without queueing it."""
    document = await json_body(request)

    def work() -> EstimateDocument:
        checked = submission.check(document, context.settings.data)
        with context.store.read() as session:
            return estimate(session, checked, len(context.dispatcher().workers))

    return await run_in_threadpool(work)


@router.get("/studies")
def get_studies(
    context: Shared,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
    fingerprint: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None,
) -> StudiesDocument:
    """List studies, the newest first."""
    position = cursors.decode(cursor, 1)
    with context.store.read() as session:
        rows = list_studies(session, limit + 1, position[0] if position else None, fingerprint)
        measured = paces(session, [row.id for row in rows[:limit]])
        items = [study_document(row, measured.get(row.id)) for row in rows[:limit]]
        following = cursors.encode(rows[limit - 1].ordinal) if len(rows) > limit else None
    return {"items": items, "next": following}


@router.get("/studies/{study_id}")
def get_study(study_id: str, context: Shared) -> StudyDocument:
    """Show one study."""
    return read_study(context, study_id)


@router.post("/studies/{study_id}/cancel")
def cancel_study(study_id: str, context: Shared) -> StudyDocument:
    """End a study; what is stored stays."""
    return _act(context, study_id, Action.CANCEL)


@router.post("/studies/{study_id}/pause")
def pause_study(study_id: str, context: Shared) -> StudyDocument:
    """Stop handing out packs; running ones are discarded and not charged."""
    return _act(context, study_id, Action.PAUSE)


@router.post("/studies/{study_id}/resume")
def resume_study(study_id: str, context: Shared) -> StudyDocument:
    """Go on with a paused study."""
    return _act(context, study_id, Action.RESUME)


@router.post(
    "/studies/{study_id}/extend",
    openapi_extra=json_schema(
        {
            "type": "object",
            "properties": {name: rule.json_schema() for name, rule in EXTENSION.items()},
            "required": ["runs"],
            "additionalProperties": False,
        }
    ),
)
async def extend_study(study_id: str, request: Request, context: Shared) -> StudyDocument:
    """Add runs per fold to a study, also to a completed one.

    Each extension after a result is one more look at the answer, and is paid for: the interval of look k is at level
    1 - a/2^(k - 1), so that all looks together give a wrong definite verdict with probability a at most.
    """
    document = await json_body(request)
    return await run_in_threadpool(extend, context, study_id, document)


def extend(context: Context, study_id: str, document: object) -> StudyDocument:
    """Add as many runs as a request's document says."""
    try:
        more = read_object("", document, EXTENSION, ["runs"])["runs"]
    except SpecError as error:
        raise Invalid(error.problems) from error
    return _act(context, study_id, Action.EXTEND, more)


@router.delete("/studies/{study_id}", status_code=204)
def delete_study(study_id: str, context: Shared) -> None:
    """Delete a study that has ended, with all its data."""
    _act(context, study_id, Action.DELETE)


def read_study(context: Context, study_id: str) -> StudyDocument:
    """A study's document as of now."""
    with context.store.read() as session:
        study = find_study(session, study_id)
        number = context.optuna_number(study.optuna_name) if study.recorded else None
        return study_document(study, paces(session, [study_id])[study_id], number)


def _act(context: Context, study_id: str, action: Action, more_runs: int = 0) -> StudyDocument:
    """Write what a user wishes; the dispatcher carries it out."""
    with context.store.write("wish") as session:
        study = find_study(session, study_id, lock=True)
        desired = wish(action, study.shown)
        if action is Action.EXTEND:
            if json.loads(study.spec)["racing"]:
                raise Conflict("a racing study has rounds that were fixed beforehand; submit another with more runs")
            if study.looks >= MOST_LOOKS:
                raise Conflict(f"the study has been looked at {study.looks} times; submit another with more runs")
            study.looks += study.done > 0
            total = study.total // study.runs * (study.runs + more_runs)
            if total > MAX_TRAININGS:
                raise Invalid([Problem("runs", f"must leave at most {MAX_TRAININGS:,} trainings, not {total:,}")])
            study.runs, study.total = study.runs + more_runs, total
        study.desired = desired.value
        session.execute(sa.update(Study).where(Study.id == study_id).values(revision=Study.revision + 1))
        session.flush()
        session.refresh(study)
        return study_document(study, paces(session, [study_id])[study_id])
