"""What a study answers: its comparison, and its events while it runs."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from service.api.context import Context, Shared
from service.api.studies import read_study
from service.errors import NotFound
from service.lifecycle import TERMINAL
from service.pairs import read_pair
from service.schemas.studies import ComparisonDocument, StudyDocument
from studies.documents.pair import PairDocument
from studies.pair_answer import pair_answer

router = APIRouter(prefix="/v1/studies/{study_id}", tags=["answers"])
POLL_SECONDS = 0.5
KEEPALIVE_SECONDS = 15.0
EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["study", "end"]},
        "id": {"type": "string", "description": "the study's revision"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "study: the StudyDocument; end: its status, `deleted` if it is gone",
        },
    },
    "required": ["event", "data"],
    "additionalProperties": False,
}
"""One event of the stream."""


@router.get("/comparison")
async def get_comparison(study_id: str, context: Shared) -> ComparisonDocument:
    """Compare the prescribed point with everything it was tried against."""
    return await context.reports.comparison(study_id)


@router.get("/comparison/{other}")
async def get_pair(study_id: str, other: str, context: Shared) -> PairDocument:
    """Compare two studies that share data, model, folds and seed, replicate by replicate.

    Every difference is this study minus the other, at the prescribed points and with each study at its own best cell,
    selected on one half of the replicates and measured on the other.
    """
    members = await run_in_threadpool(read_pair, context.store, study_id, other)
    return await context.reports.run(pair_answer, *members)


# Not `response_class=EventSourceResponse`: FastAPI then takes the function itself for a generator of events.
@router.get("/events", response_class=Response, responses={200: {"content": {"text/event-stream": {"schema": EVENT}}}})
async def get_events(
    study_id: str,
    context: Shared,
    last_event_id: Annotated[str | None, Header(description="Revision that was seen last")] = None,
) -> EventSourceResponse:
    """Stream the study's document after each change until it ends.

    An event's id is the study's revision; each event is the whole document, so a client that comes back with
    `Last-Event-ID` misses nothing but intermediate states.
    """
    first = await run_in_threadpool(read_study, context, study_id)
    seen = int(last_event_id) if last_event_id is not None and re.fullmatch("[0-9]{1,18}", last_event_id) else -1
    return EventSourceResponse(_events(context, first, seen), headers={"Cache-Control": "no-store"})


async def _events(context: Context, document: StudyDocument, seen: int) -> AsyncIterator[bytes]:
    told = time.monotonic()
    while True:
        if document["revision"] > seen:
            seen, told = document["revision"], time.monotonic()
            yield format_sse_event(data_str=json.dumps(document), event="study", id=str(seen))
        if document["status"] in TERMINAL:
            yield format_sse_event(data_str=json.dumps({"status": document["status"]}), event="end")
            return
        if time.monotonic() - told > KEEPALIVE_SECONDS:
            told = time.monotonic()
            yield KEEPALIVE_COMMENT
        await asyncio.sleep(POLL_SECONDS)
        try:
            document = await run_in_threadpool(read_study, context, document["id"])
        except NotFound:
            yield format_sse_event(data_str=json.dumps({"status": "deleted"}), event="end")
            return
