"""What `/studies/{id}/comparison/{other}` shows: two studies that share replicates."""

from dataclasses import dataclass

from service.lifecycle import TERMINAL
from service.pages import wording
from service.pages.answers import Look
from service.pages.differences import Differences, differences
from service.pages.wording import Fact
from service.schemas.studies import StudyDocument
from studies.documents.pair import PairCellDocument, PairDocument

REFRESH_SECONDS = 3
"""How often the page looks again while one of the studies goes on or the answer is being computed."""


@dataclass(frozen=True)
class PairMember:
    """One of the two studies."""

    letter: str
    id: str
    name: str
    status: str
    about: str
    """data set and loss"""
    progress: str


@dataclass(frozen=True)
class PairRow:
    """The same place in both studies."""

    where: str
    letter: str
    who: str
    """the names that the cell goes by; empty for a plain grid point"""
    learning_rate: str
    momentum: str
    mean: Fact
    spread: str
    diverged: str
    difference: Fact | None
    """A minus B, in the line of A"""


@dataclass(frozen=True)
class PairAnswer:
    """What the comparison gives."""

    sentence: str
    not_said: str
    method: str
    headline: tuple[tuple[str, Fact], ...]
    warnings: tuple[tuple[str, str], ...]
    """(code, text)"""
    figure: Differences
    rows: tuple[PairRow, ...]


@dataclass(frozen=True)
class PairPage:
    """Everything on the page."""

    members: tuple[PairMember, PairMember]
    answer: PairAnswer | None
    """None while it is being computed"""
    problem: str
    """why it cannot be; empty while nothing is wrong"""
    refresh_seconds: int | None
    address: str
    """of the same answer as JSON"""
    exchanged: str
    """of the page with A and B exchanged"""


def pair_page(a: StudyDocument, b: StudyDocument, look: Look[PairDocument]) -> PairPage:
    """Gather the page.

    Args:
        a: study A's document.
        b: study B's.
        look: the answer as far as it is known.
    """
    goes_on = not {a["status"], b["status"]} <= TERMINAL
    return PairPage(
        members=(_member("A", a), _member("B", b)),
        answer=None if look.answer is None else _answer(look.answer),
        problem=look.problem,
        refresh_seconds=REFRESH_SECONDS if goes_on or look.pending else None,
        address=f"/v1/studies/{a['id']}/comparison/{b['id']}",
        exchanged=f"/studies/{b['id']}/comparison/{a['id']}",
    )


def _member(letter: str, study: StudyDocument) -> PairMember:
    progress, spec = study["progress"], study["spec"]
    told = f"{progress['done']:,} of {progress['total']:,} trainings"
    return PairMember(
        letter, study["id"], study["name"], study["status"].value, f"{spec['dataset']}, {spec['loss']}", told
    )


def _answer(answer: PairDocument) -> PairAnswer:
    replicates = "columns (fold, run) in which every cell of both studies has a score"
    confidence = "of both intervals, each for itself; higher after an extension, which is one more look"
    differs = ", ".join(answer["differs"]) or "nothing that changes a training"
    headline = (
        ("Paired replicates", Fact(f"{answer['n']:,}", replicates)),
        ("Confidence", Fact(wording.level(answer["confidence"]), confidence)),
        ("They differ in", Fact(differs, "fields of the specification; what they share makes their replicates pairs")),
    )
    return PairAnswer(
        sentence=answer["sentence"],
        not_said=answer["not_said"],
        method=answer["method"],
        headline=headline,
        warnings=tuple((warning["code"], warning["text"]) for warning in answer["warnings"]),
        figure=differences(answer),
        rows=_rows(answer),
    )


def _rows(answer: PairDocument) -> tuple[PairRow, ...]:
    there, n = answer["prescribed"], wording.count(answer["n"], "paired replicate")
    found = list(_both("prescribed points", there["a"], there["b"], there["difference"]["estimate"], n, n))
    for one in () if answer["best"] is None else answer["best"]["selections"]:
        where = f"best on the {one['selected_on']} half"
        measured = f"{wording.count(one['n'], 'replicate')} of the other half"
        found += _both(where, one["a"], one["b"], one["estimate"], n, measured)
    return tuple(found)


def _both(
    where: str, a: PairCellDocument, b: PairCellDocument, difference: float, n: str, measured: str
) -> tuple[PairRow, PairRow]:
    fact = Fact(wording.signed(difference), f"A minus B in points, over {measured}")
    return _row(where, "A", a, n, fact), _row(where, "B", b, n, None)


def _row(where: str, letter: str, cell: PairCellDocument, n: str, difference: Fact | None) -> PairRow:
    return PairRow(
        where=where,
        letter=letter,
        who=", ".join(cell["labels"]),
        learning_rate=wording.learning_rate(cell["learning_rate"]),
        momentum=wording.momentum(cell["momentum"]),
        mean=Fact(wording.percent(cell["mean"]), f"mean accuracy over {n}; diverged ones with their documented score"),
        spread=wording.points(cell["std"]),
        diverged=f"{cell['diverged']:,}",
        difference=difference,
    )
