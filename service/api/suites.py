"""Suites: submission, listing, the table, cancelling."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from service import suites
from service.api import cursor as cursors
from service.api.body import component, json_body, json_schema
from service.api.context import Caller, Context, Shared
from service.api.suite_documents import suite_document
from service.lifecycle import Status
from service.schemas.suites import SuiteDocument, SuitesDocument, SuiteTableDocument
from service.store.queries import paces
from service.store.suites import find_suite, list_suites, suite_studies
from service.store.tables import Suite
from service.submission import Submitter
from studies.suite import SuiteSpec
from studies.suite_table import Member, suite_table

router = APIRouter(prefix="/v1/suites", tags=["suites"])


@router.post("", status_code=201, openapi_extra=json_schema(component("SuiteSpecDocument")))
async def submit_suite(
    request: Request,
    response: Response,
    context: Shared,
    caller: Caller,
    idempotency_key: Annotated[str | None, Header(description="Makes repeating the request safe")] = None,
) -> SuiteDocument:
    """Queue a suite and all its studies. They are stored before the answer is sent."""
    document = await json_body(request)

    def work() -> SuiteDocument:
        checked = suites.check(document, context.settings.data)
        by = Submitter(caller.token, context.settings.max_queued)
        return read_suite(context, suites.submit(context.store, checked, idempotency_key, by).id)

    answer = await run_in_threadpool(work)
    response.headers["Location"] = f"/v1/suites/{answer['id']}"
    return answer


@router.get("")
def get_suites(
    context: Shared,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> SuitesDocument:
    """List suites, the newest first."""
    position = cursors.decode(cursor, 1)
    with context.store.read() as session:
        rows = list_suites(session, limit + 1, position[0] if position else None)
        items = [_document(session, row) for row in rows[:limit]]
        following = cursors.encode(rows[limit - 1].ordinal) if len(rows) > limit else None
    return {"items": items, "next": following}


@router.get("/{suite_id}")
def get_suite(suite_id: str, context: Shared) -> SuiteDocument:
    """Show one suite with its studies."""
    return read_suite(context, suite_id)


@router.get("/{suite_id}/table")
async def get_suite_table(suite_id: str, context: Shared) -> SuiteTableDocument:
    """Show what each row gave, beside what a paper reports, and the paired differences of rows.

    A suite that has not ended shows what is stored so far; rows say what is complete.
    """
    return await read_table(context, suite_id)


@router.post("/{suite_id}/cancel")
def cancel_suite(suite_id: str, context: Shared) -> SuiteDocument:
    """End every study of a suite that has not ended; what is stored stays."""
    with context.store.write("wish-suite") as session:
        suites.cancel(session, suite_id)
    return read_suite(context, suite_id)


def read_suite(context: Context, suite_id: str) -> SuiteDocument:
    """A suite's document as of now."""
    with context.store.read() as session:
        return _document(session, find_suite(session, suite_id))


async def read_table(context: Context, suite_id: str) -> SuiteTableDocument:
    """A suite's table as of now, computed outside this process."""

    def work() -> tuple[SuiteSpec, list[Member], Status]:
        with context.store.read() as session:
            return suites.table_input(session, suite_id)

    spec, members, status = await run_in_threadpool(work)
    table = await context.reports.run(suite_table, spec, members)
    return {"suite": suite_id, "status": status, **table}


def _document(session: Session, suite: Suite) -> SuiteDocument:
    studies = suite_studies(session, suite.id)
    measured = paces(session, [study_id for study_id, study in studies if study is not None])
    return suite_document(suite, studies, measured)
