"""Tables of the controls: momentum at one effective rate, the square rule, random pairs, Table I."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from service.findings.catalog import table_1, table_1_name
from service.findings.markdown import at, made, measured, points, regret, spread, table
from service.findings.trained import Library, Trained
from studies.suite_table import Member, suite_table

EDGES = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, math.inf)
"""Bins of the effective learning rate."""


def alpha(library: Library) -> str:
    """Momenta at one effective learning rate."""
    return _by_momentum(library["alpha"])


def square_rule(library: Library) -> str:
    """Pairs eta = (1 - alpha)^2."""
    return _by_momentum(library["square-rule"])


def _by_momentum(study: Trained) -> str:
    found = [*study.comparison["references"], study.comparison["prescribed"]]
    rows: list[tuple[str, ...]] = []
    for one in sorted(found, key=lambda one: one["momentum"]):
        difference = measured(one["difference"]) if one["difference"] else "(the derived point)"
        effective = f"{one['learning_rate'] / (1 - one['momentum']):.3g}"
        rows.append((f"{one['momentum']:.3g}", f"{one['learning_rate']:.3g}", effective, spread(one), difference))
    headings = ("momentum", "learning rate", "effective rate", "accuracy, %", "minus the derived point, points")
    return f"{table(headings, rows)}\n\n{_regret(study)} {made([study])}"


def _regret(study: Trained) -> str:
    estimate, cross_fitted, interval = regret(study.comparison["regret"])
    return (
        f"Intervals: 95 %, each by itself. Regret of the derived point against all {len(study.grid) - 1} others: "
        f"{estimate} points as it stands, {cross_fitted} cross-fitted, 95 % interval {interval}; verdict at "
        f"{points(study.spec.claim.margin)} points: {study.comparison['verdict']}."
    )


def random_pairs(library: Library) -> str:
    """How random pairs do, by their effective learning rate."""
    study = library["random-pairs"]
    found = study.comparison["references"]
    rows: list[tuple[str, ...]] = []
    for low, high in pairwise(EDGES):
        inside = [one for one in found if low <= one["learning_rate"] / (1 - one["momentum"]) < high]
        if inside:
            rows.append((_bin(low, high), *_counted(inside)))
    rows.append(("all", *_counted(found)))
    headings = (
        "effective rate",
        "pairs",
        "worst, %",
        "median, %",
        "best, %",
        "diverged",
        "above the derived point",
        "cannot be told",
        "below",
    )
    derived = study.comparison["prescribed"]
    note = f"The derived point: {spread(derived)} %. Above and below: by the 95 % interval of the paired difference."
    return f"{table(headings, rows)}\n\n{note} {_regret(study)} {made([study])}"


def _bin(low: float, high: float) -> str:
    if low == 0:
        return f"below {high:g}"
    return f"from {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"


def _counted(found: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    means = sorted(one["mean"] for one in found)
    above = sum(one["difference"]["low"] > 0 for one in found)
    below = sum(one["difference"]["high"] < 0 for one in found)
    middle = means[len(means) // 2] if len(means) % 2 else sum(means[len(means) // 2 - 1 :][:2]) / 2
    lost = sum(one["diverged"] for one in found)
    told = (str(above), str(len(found) - above - below), str(below))
    return str(len(found)), points(means[0]), points(middle), points(means[-1]), str(lost), *told


def table_one(library: Library) -> str:
    """The quick version of Table I with its controls."""
    suite = table_1()
    studies = [library[table_1_name(study)] for study in suite.studies]
    members = [
        Member(one.name, "completed", one.spec.runs, one.images, one.manifest["dataset_sha256"], 1, one.scores)
        for one in studies
    ]
    document = suite_table(suite, members)
    rows: list[tuple[str, ...]] = []
    for row in document["rows"]:
        published = row["published"]
        paper = f"{points(published['mean'])} ± {points(published['std'])}" if published else ""
        over = tuple(points(row[name]["std"]) for name in ("spread_over_folds", "spread_over_runs"))
        rows.append((row["name"], at(row), points(row["mean"]), *over, str(row["n"]), str(row["diverged"]), paper))
    headings = ("row", "rate, momentum", "mean, %", "std over fold means", "std over runs", "n", "diverged", "paper, %")
    contrasts = [
        (f"{one['row']} minus {one['minus']}", measured(one["difference"]), str(one["n"]))
        for one in document["contrasts"]
    ]
    told = table(("contrast", "difference, points [95 %]", "n"), contrasts)
    return f"{table(headings, rows)}\n\n{told}\n\n{document['notes'][0]} {made(studies)}"
