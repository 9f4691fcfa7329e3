"""Tables of the four landscapes and of the losses against each other."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from service.findings.markdown import at, limits, made, measured, points, regret, signed, spread, table
from service.findings.trained import Library, Trained
from studies.pair import compare_pair
from studies.pair_answer import pair_answer
from studies.parts import REFERENCES

LANDSCAPES = ("landscape-dual-process", "landscape-sse", "landscape-cross-entropy", "landscape-energy")


def verdicts(library: Library) -> str:
    """Each loss: the prescribed point, the best cell, regret, verdict and confidence set."""
    studies = [library[name] for name in LANDSCAPES]
    rows: list[tuple[str, ...]] = []
    for study in studies:
        found = study.comparison
        members = found["confidence_set"]
        rows.append(
            (
                study.spec.loss,
                spread(found["prescribed"]),
                f"{spread(found['best'])} ({at(found['best'])})",
                *regret(found["regret"]),
                found["verdict"],
                f"{len(members['cells'])} of {len(study.grid)} cells, {100 * members['share']:.0f} % of the box",
            )
        )
    headings = (
        "loss",
        "prescribed point, %",
        "best cell, % (rate, momentum)",
        "regret as it stands",
        "cross-fitted",
        "95 % interval",
        "verdict at 0.50 points",
        "cannot be told from the best",
    )
    return f"{table(headings, rows)}\n\n{made(studies)}"


def references(library: Library) -> str:
    """Each reference under each loss, with its paired difference to the prescribed point."""
    studies = [library[name] for name in LANDSCAPES]
    rows: list[tuple[str, ...]] = [
        ("prescribed", at(studies[0].grid[0]), *(spread(study.comparison["prescribed"]) for study in studies))
    ]
    for label in REFERENCES:
        cell = studies[0].grid[studies[0].row(label)]
        rows.append((label, at(cell), *(_reference(study, label) for study in studies)))
    headings = ("", "rate, momentum", *(study.spec.loss for study in studies))
    note = "In brackets: the interval (95 %, each by itself) of the difference to the prescribed point, in points."
    return f"{table(headings, rows)}\n\n{note} {made(studies)}"


def _reference(study: Trained, label: str) -> str:
    found = _by_label(study)[label]
    return f"{spread(found)} {limits(found['difference'])}"


def _by_label(study: Trained) -> Mapping[str, Mapping[str, Any]]:
    return {found["label"]: found for found in study.comparison["references"]}


def losses(library: Library) -> str:
    """Every two losses: at the prescribed point, and each at its own cross-fitted best cell."""
    studies = [library[name] for name in LANDSCAPES]
    rows: list[tuple[str, ...]] = []
    for first, second in combinations(studies, 2):
        found = pair_answer(first.member, second.member, first.images)
        assert found["best"] is not None, "trained studies share more than one replicate"
        chosen = found["best"]["selections"]
        rows.append(
            (
                f"{first.spec.loss} minus {second.spec.loss}",
                measured(found["prescribed"]["difference"]),
                measured(found["best"]["difference"]),
                "; ".join(at(one["a"]) for one in chosen),
                "; ".join(at(one["b"]) for one in chosen),
            )
        )
    headings = (
        "losses",
        "at the prescribed point, points",
        "each at its own best cell, points",
        "selected for the first (even; odd half)",
        "selected for the second",
    )
    return f"{table(headings, rows)}\n\n{made(studies)}"


def steps(library: Library) -> str:
    """Eq. 26 and SSE where they step alike near the target; c is the ratio of their curvatures there."""
    eq26, sse = library["steps-dual-process"], library["steps-sse"]
    rows: list[tuple[str, ...]] = []
    for first, label, second, against in (
        (eq26, "golden", sse, "golden"),
        (eq26, "golden", sse, "c eta"),
        (eq26, "eta / c", sse, "golden"),
        (sse, "c eta", sse, "golden"),
        (eq26, "eta / c", eq26, "golden"),
        (eq26, "golden", sse, "eta / c"),
    ):
        here, there = first.table(first.row(label)), second.table(second.row(against))
        found = compare_pair(here, there, first.spec.claim.confidence).prescribed
        names = (_at(first, label), _at(second, against))
        means = (points(float(one.scores[one.derived].mean())) for one in (here, there))
        rows.append((*names, *means, f"{signed(found.estimate)} {limits({'low': found.low, 'high': found.high})}"))
    return f"{table(('A', 'B', 'A, %', 'B, %', 'A minus B, points'), rows)}\n\n{made([eq26, sse])}"


def _at(study: Trained, label: str) -> str:
    rate = "eta" if label == "golden" else label
    return f"{study.spec.loss} at {rate} = {study.grid[study.row(label)].learning_rate:.3g}"
