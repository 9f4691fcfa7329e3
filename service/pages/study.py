"""What `/studies/{id}` shows."""

import json
from dataclasses import dataclass

from service.api.context import Context
from service.lifecycle import TERMINAL, Status
from service.pages import wording
from service.pages.answers import Look
from service.pages.drawings import Drawings
from service.pages.head import Head, head
from service.pages.record import downloads, manifest, read_manifest
from service.pages.results import Results, draw_results
from service.pages.stamp import LOOKED_AT, Stamp, read_stamp
from service.pairs import partners
from service.schemas.studies import ComparisonDocument, StudyDocument
from service.store.tables import Study
from studies.datasets import registry
from studies.racing import MOST_LOOKS

POLL_SECONDS = 1
"""How soon a page asks again for an answer that is being computed."""
RETRY_SECONDS = 15
"""How soon a page tries again for one that could not be computed."""


@dataclass(frozen=True)
class Partner:
    """A study that this one can be compared with."""

    id: str
    name: str
    about: str


@dataclass(frozen=True)
class StudyPage:
    """Everything on the page of a study."""

    head: Head
    data_note: str
    stand_in: bool
    """whether the data are not the paper's"""
    awaited: bool
    """whether an answer is being computed"""
    problem: str
    """why there is none; empty while nothing is wrong"""
    refresh_seconds: int | None
    """how soon the page should look again without an event; None if it is final"""
    results: Results
    partners: tuple[Partner, ...]
    """studies that share replicates with it, the newest first"""
    can_extend: bool
    can_delete: bool
    """whether it has ended"""
    specification: str
    manifest: tuple[tuple[str, str], ...]
    downloads: tuple[tuple[str, str], ...]
    """(text, address)"""
    dashboard: str


def study_page(
    context: Context, drawings: Drawings, document: StudyDocument, look: Look[ComparisonDocument]
) -> StudyPage:
    """Gather the page of a study; reads the database.

    Args:
        context: the parts of the service.
        drawings: what has been drawn already.
        document: the study's.
        look: its answer as far as it is known.
    """
    study_id, spec = document["id"], document["spec"]
    with context.store.read() as session:
        stamp = read_stamp(session, study_id)
    results = drawings.of(
        f"results {study_id}",
        (stamp.cells, look.number),
        lambda: draw_results(context, drawings, document, look.answer, stamp.cells),
    )
    info = registry.get(spec["dataset"])
    return StudyPage(
        head=head(document),
        data_note=info.note,
        stand_in=info.is_paper_data is not True,
        awaited=look.pending,
        problem=look.problem,
        refresh_seconds=POLL_SECONDS if look.pending else RETRY_SECONDS if look.problem else None,
        results=results,
        partners=_partners(context, drawings, document, stamp),
        can_extend=_can_extend(document),
        can_delete=document["status"] in TERMINAL,
        specification=json.dumps(spec, indent=1),
        manifest=manifest(read_manifest(context, drawings, document, stamp.packs)),
        downloads=downloads(document["links"], results.has_curves, results.has_ridge),
        dashboard=document["links"]["dashboard"],
    )


def _partners(context: Context, drawings: Drawings, study: StudyDocument, stamp: Stamp) -> tuple[Partner, ...]:
    """Those of the newest studies that share replicates; a name and a specification never change."""

    def read() -> tuple[Partner, ...]:
        with context.store.read() as session:
            return tuple(map(_partner, partners(session, study["id"], LOOKED_AT)))

    found = drawings.of(f"partners {study['id']}", (study["progress"]["done"] > 0, stamp.others), read)
    return tuple(one for one in found if one.id in stamp.others)  # not one that came, and went, since the stamp


def _partner(row: Study) -> Partner:
    return Partner(row.id, row.name, f"{json.loads(row.spec)['loss']}, {wording.moment(row.created_at.isoformat())}")


def _can_extend(study: StudyDocument) -> bool:
    """Whether more runs may be asked for; the lifecycle decides."""
    over = (Status.CANCELLED, Status.FAILED)
    return study["status"] not in over and not study["spec"]["racing"] and study["looks"] < MOST_LOOKS
