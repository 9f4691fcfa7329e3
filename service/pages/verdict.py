"""The answer in words and numbers: verdict, the table against best cell and references, what else was measured."""

from dataclasses import dataclass

from service.pages import wording
from service.pages.wording import NOTHING, Fact
from service.schemas.studies import ComparisonDocument
from studies.documents.comparison import CellSummaryDocument, IntervalDocument, SpanDocument

ROLES = {"prescribed": "prescribed", "best": "best cell", "reference": ""}


@dataclass(frozen=True)
class Verdict:
    """What the study found."""

    word: str
    sentence: str
    not_said: str
    method: str
    warnings: tuple[tuple[str, str], ...]
    """(code, text)"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    who: str
    note: str
    """`prescribed` or `best cell` where that is not the name itself"""
    role: str
    """`prescribed`, `best` or `reference`"""
    number: str
    """of a reference in the heat map; else empty"""
    learning_rate: str
    momentum: str
    effective: str
    mean: Fact
    spread: str
    n: str
    diverged: Fact
    rank: str
    difference: Fact


@dataclass(frozen=True)
class Secondary:
    """The same question by another score."""

    name: str
    estimate: str
    interval: str
    best: str


def verdict(answer: ComparisonDocument) -> Verdict:
    """The words of a comparison."""
    warnings = tuple((warning["code"], warning["text"]) for warning in answer["warnings"])
    return Verdict(answer["verdict"], answer["sentence"], answer["not_said"], answer["method"], warnings)


def numbered(answer: ComparisonDocument) -> list[int]:
    """Cells of the references in the order of their numbers, each once."""
    return list(dict.fromkeys(reference["cell"] for reference in answer["references"]))


def rows(answer: ComparisonDocument) -> tuple[Row, ...]:
    """The prescribed point, the best cell and the references."""
    numbers = {cell: str(place) for place, cell in enumerate(numbered(answer), 1)}
    found = [_row(answer["prescribed"], str(answer["prescribed"]["label"]), "prescribed", "", answer)]
    if answer["best"] is not None:
        found.append(_row(answer["best"], answer["best"]["label"] or "best cell", "best", "", answer))
    for reference in answer["references"]:
        found.append(_row(reference, str(reference["label"]), "reference", numbers[reference["cell"]], answer))
    return tuple(found)


def secondary(answer: ComparisonDocument) -> tuple[Secondary, ...]:
    """The regret by scores of which less is better, in their own units."""
    found = []
    scores = answer["secondary"]
    for name, other in (("Brier score", scores["brier"]), ("training loss", scores["train_loss"])):
        if other is not None:
            regret, best = other["regret"], other["best"]
            high = "no upper limit" if regret["high"] is None else f"{regret['high']:.4g}"
            at = wording.point(best["learning_rate"], best["momentum"])
            found.append(Secondary(name, f"{regret['estimate']:.4g}", f"{regret['low']:.4g} to {high}", at))
    return tuple(found)


def ridge_sentence(answer: ComparisonDocument) -> str:
    """What the paired tests along the prescribed point's diagonal say; empty without one."""
    ridge = answer["ridge"]
    if ridge is None or ridge["prescribed"] is None or ridge["matters"] is None:
        return ""
    diagonal = ridge["prescribed"]
    momenta = [wording.momentum(value) for value in diagonal["momentum"]]
    text = (
        f"At the prescribed point's effective learning rate ({diagonal['effective_learning_rate']:.3g}) the momentum "
        f"was varied from {momenta[0]} to {momenta[-1]} in {len(momenta)} cells: "
    )
    text += "it matters" if ridge["matters"] else "no effect was found, which is not the same as none"
    text += f" (p = {ridge['p_value']:.2g}, paired tests, corrected for all pairs)."
    slope = diagonal["slope"]
    if slope is not None:
        limits = f"{wording.signed(slope['low'])} to {wording.signed(slope['high'])}"
        text += (
            f" Accuracy changes by {wording.signed(slope['estimate'])} points for each tenfold 1 − momentum "
            f"({wording.level(answer['level'])} limits {limits})."
        )
    return text


def surface_facts(answer: ComparisonDocument) -> tuple[tuple[str, Fact], ...]:
    """The fitted surface's optimum and how far the prescribed point is from it; empty without a surface."""
    surface = answer["surface"]
    if surface is None or surface["shape"] == "flat":
        return ()
    fit = f"quadratic through the means of {surface['cells']} cells"
    fit += (
        "" if surface["r_squared"] is None else f", which explains {100 * surface['r_squared']:.0f} % of their variance"
    )
    edge = ", on the edge of the grid" if surface["on_edge"] else ""
    at = wording.point(surface["learning_rate"], surface["momentum"])
    sure = surface["confidence"]
    found = [
        (f"Highest point of a fitted surface ({surface['shape']})", Fact(at + edge, fit)),
        ("Distance of the prescribed point from it", _decades(surface["distance_decades"], sure)),
        ("Its effective rate over the prescribed one", _decades(surface["along_effective_rate_decades"], sure)),
    ]
    if surface["draws"] is not None:
        meaning = (
            "log-uniform over learning rates from 0.0001 to 1 and 1 − momentum from 0.01 to 1; read from the surface"
        )
        found.append(("Draws of a random search expected to do as well", Fact(_draws(surface["draws"]), meaning)))
    return tuple(found)


def share_fact(answer: ComparisonDocument, cells: int) -> Fact | None:
    """How much of the box the confidence set covers; None while there is none."""
    found = answer["confidence_set"]
    if found["share"] is None:
        return None
    n = wording.count(answer["n"], "paired replicate")
    told = f"{len(found['cells'])} of {cells} cells cannot be told from the best; {n}"
    return Fact(f"{100 * found['share']:.0f} % of the box", told)


def _row(summary: CellSummaryDocument, who: str, role: str, number: str, answer: ComparisonDocument) -> Row:
    n = wording.count(summary["n"], "training")
    rank, percentile = summary["rank"], summary["percentile"]
    return Row(
        who=who,
        note="" if who == ROLES[role] else ROLES[role],
        role=role,
        number=number,
        learning_rate=wording.learning_rate(summary["learning_rate"]),
        momentum=wording.momentum(summary["momentum"]),
        effective=f"{summary['effective_learning_rate']:.3g}",
        mean=Fact(
            wording.percent(summary["mean"]), f"mean accuracy over {n}, diverged ones with their documented score"
        ),
        spread=wording.points(summary["std"]),
        n=f"{summary['n']:,}",
        diverged=_divergence(summary),
        rank=NOTHING if rank is None or percentile is None else f"{rank}",
        difference=_difference(summary["difference"], summary["n"], answer),
    )


def _divergence(summary: CellSummaryDocument) -> Fact:
    rate = summary["divergence"]
    text = f"{summary['diverged']:,}"
    if rate is None:
        return Fact(text, f"of {wording.count(summary['n'], 'training')}")
    limits = f"{100 * rate['low']:.2g} to {100 * rate['high']:.2g} %"
    return Fact(text, f"of {wording.count(rate['n'], 'training')}; 95 % limits of the rate: {limits}")


def _difference(difference: IntervalDocument | None, n: int, answer: ComparisonDocument) -> Fact:
    if difference is None or difference["estimate"] is None:
        return Fact(NOTHING, "the prescribed point itself, or nothing to compare yet")
    low, high = wording.signed(difference["low"]), wording.signed(difference["high"])
    meaning = (
        f"this cell minus the prescribed one, in points; {wording.level(answer['level'])} limits for this pair alone; "
        f"{wording.count(n, 'training')}"
    )
    return Fact(f"{wording.signed(difference['estimate'])} ({low} to {high})", meaning)


def _decades(span: SpanDocument, confidence: float) -> Fact:
    text = f"{span['estimate']:.2f}".replace("-", wording.MINUS)
    if span["low"] is not None:
        limits = f"{span['low']:.2f} to {span['high']:.2f}".replace("-", wording.MINUS)
        return Fact(f"{text} decades ({limits})", f"{wording.level(confidence)} limits by resampling whole replicates")
    return Fact(f"{text} decades", "no limits: there is one replicate only")


def _draws(number: float) -> str:
    """A number of draws with two digits that count."""
    return f"{float(f'{number:.2g}'):,g}" if number < 1e6 else "more than a million"
