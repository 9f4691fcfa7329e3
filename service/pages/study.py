"""What `/studies/{id}` shows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from service.api.context import Context
from service.api.data import get_cells, get_manifest
from service.lifecycle import TERMINAL, Status
from service.pages import verdict as words
from service.pages import wording
from service.pages.answers import Look
from service.pages.cell_table import CellTable, cell_table
from service.pages.contenders import Contender, read_contenders
from service.pages.curves import Curves, curves
from service.pages.dots import Dots, dots
from service.pages.estimates import Estimates, estimates
from service.pages.head import Head, head
from service.pages.heatmap import Heatmap, heatmap
from service.pages.record import downloads, manifest
from service.pages.ridge import RidgePlot, ridge_plot
from service.pages.verdict import Row, Secondary, Verdict
from service.pages.wording import Fact
from service.pairs import partners
from service.plots.lattice import lattice
from service.schemas.data import CellDocument
from service.schemas.studies import ComparisonDocument, StudyDocument
from service.store.tables import Study
from studies.datasets import registry
from studies.racing import MOST_LOOKS

POLL_SECONDS = 1
"""How soon a page asks again for an answer that is being computed."""
RETRY_SECONDS = 15
"""How soon a page tries again for one that could not be computed."""
LOOKED_AT = 200
"""Newest studies among which those are sought that this one can be compared with."""


@dataclass(frozen=True)
class Answered:
    """What the comparison gives."""

    verdict: Verdict
    headline: tuple[tuple[str, Fact], ...]
    """the numbers behind the verdict"""
    estimates: Estimates | None
    rows: tuple[Row, ...]
    secondary: tuple[Secondary, ...]
    ridge: RidgePlot | None
    ridge_sentence: str
    surface: tuple[tuple[str, Fact], ...]


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
    answered: Answered | None
    heatmap: Heatmap | None
    table: CellTable | None
    curves: Curves | None
    dots: Dots | None
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


def study_page(context: Context, document: StudyDocument, look: Look[ComparisonDocument]) -> StudyPage:
    """Gather the page of a study; reads the database.

    Args:
        context: the parts of the service.
        document: the study's.
        look: its answer as far as it is known.
    """
    study_id, spec = document["id"], document["spec"]
    cells = get_cells(study_id, context)["items"]
    answer = look.answer
    contenders: tuple[Contender, ...] = ()
    with context.store.read() as session:
        if answer is not None:
            contenders = read_contenders(session, study_id, answer)
        found = tuple(map(_partner, partners(session, study_id, LOOKED_AT)))
    grid = lattice(cells) if cells else None
    references = [] if answer is None else words.numbered(answer)
    info = registry.get(spec["dataset"])
    return StudyPage(
        head=head(document),
        data_note=info.note,
        stand_in=info.is_paper_data is not True,
        awaited=look.pending,
        problem=look.problem,
        refresh_seconds=POLL_SECONDS if look.pending else RETRY_SECONDS if look.problem else None,
        answered=None if answer is None else _answered(answer, cells),
        heatmap=None if grid is None else heatmap(grid, cells, spec["claim"]["margin"], answer, references),
        table=None if grid is None else cell_table(grid, cells, answer),
        curves=curves(contenders) if contenders else None,
        dots=dots(contenders) if contenders else None,
        partners=found,
        can_extend=_can_extend(document),
        can_delete=document["status"] in TERMINAL,
        specification=json.dumps(spec, indent=1),
        manifest=manifest(get_manifest(study_id, context)),
        downloads=downloads(document["links"], bool(contenders), _has_ridge(answer)),
        dashboard=document["links"]["dashboard"],
    )


def _partner(row: Study) -> Partner:
    return Partner(row.id, row.name, f"{json.loads(row.spec)['loss']}, {wording.moment(row.created_at.isoformat())}")


def _can_extend(study: StudyDocument) -> bool:
    """Whether more runs may be asked for; the lifecycle decides."""
    over = (Status.CANCELLED, Status.FAILED)
    return study["status"] not in over and not study["spec"]["racing"] and study["looks"] < MOST_LOOKS


def _answered(answer: ComparisonDocument, cells: Sequence[CellDocument]) -> Answered:
    return Answered(
        verdict=words.verdict(answer),
        headline=_headline(answer, len(cells)),
        estimates=estimates(answer),
        rows=words.rows(answer) if answer["n"] else (),
        secondary=words.secondary(answer),
        ridge=ridge_plot(answer, cells),
        ridge_sentence=words.ridge_sentence(answer),
        surface=words.surface_facts(answer),
    )


def _headline(answer: ComparisonDocument, cells: int) -> tuple[tuple[str, Fact], ...]:
    margin = Fact(f"{wording.points(answer['margin'])} points", "fixed before the run: a smaller loss does not matter")
    n = Fact(f"{answer['n']:,}", "paired replicates: columns (fold, run) that are complete for every cell")
    found = [("Margin", margin), ("Paired replicates", n)]
    share = words.share_fact(answer, cells)
    if share is not None:
        found.append(("Confidence set", share))
    prescribed = answer["prescribed"]
    if prescribed["percentile"] is not None:
        meaning = "share of grid cells whose mean is not higher; the box is centred on the claim, so this says little"
        found.append(("Percentile in the grid", Fact(f"{100 * prescribed['percentile']:.0f} %", meaning)))
    needed = answer["replicates_needed"]
    if needed is not None:
        meaning = "would settle it with a probability of 80 %, if the truth is as these data suggest"
        found.append(("Replicates needed", Fact(f"{needed:,}", meaning)))
    race = answer["racing"]
    if race is not None:
        meaning = (
            f"of the {race['planned']:,} planned; {race['dropped']:,} cells were out of the running before the end"
        )
        found.append(("Trainings spared by racing", Fact(f"{race['saved']:,}", meaning)))
    return tuple(found)


def _has_ridge(answer: ComparisonDocument | None) -> bool:
    return answer is not None and answer["ridge"] is not None and bool(answer["ridge"]["diagonals"])
