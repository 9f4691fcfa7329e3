"""The answer to a pair of studies: their differences with names, words and warnings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from studies.columns import Columns, Score, complete_columns
from studies.comparison.table import ScoreTable, score_table
from studies.datasets import registry
from studies.documents.comparison import WarningDocument
from studies.documents.pair import (
    PairBestDocument,
    PairCellDocument,
    PairDifferenceDocument,
    PairDocument,
    PairMemberDocument,
    PairSelectionDocument,
)
from studies.fields import Problem
from studies.grid import Cell, cells
from studies.pair import PairComparison, PairDifference, compare_pair
from studies.pair_words import METHOD, not_said, sentence
from studies.racing import MOST_LOOKS, look_confidence
from studies.spec import StudySpec

SHARED = ("dataset", "model", "folds", "folds_used", "seed")
"""What two studies must have in common, so that their replicates are pairs."""
HALVES: tuple[Literal["even", "odd"], ...] = ("even", "odd")
UNTOLD = ("name", "priority", "schema", "claim", "racing", "runs", "engine")
"""Fields that are not named as differences: they change neither a training nor what the answer is about."""


@dataclass(frozen=True)
class Member:
    """One study of a pair."""

    study: str
    """its identifier"""
    spec: StudySpec
    scores: tuple[Score, ...]
    looks: int = 1
    """how often its results could be seen: one more with each extension"""


def unshared(a: StudySpec, b: StudySpec) -> list[Problem]:
    """What keeps two studies from being compared, field by field; empty if nothing does."""
    return [
        Problem(name, f"must be the same in both studies, not {getattr(a, name)} and {getattr(b, name)}")
        for name in SHARED
        if getattr(a, name) != getattr(b, name)
    ]


def shared_columns(a: Member, b: Member) -> list[tuple[int, int]]:
    """(fold, run) in which every cell of both studies has a score, in order of run, then fold.

    Of a race these are the columns before it dropped a cell: what it dropped was chosen by the later ones too.
    """
    there = set(_columns(b))
    return [column for column in _columns(a) if column in there]


def pair_answer(a: Member, b: Member, images: int | None) -> PairDocument:
    """Compare two studies that share replicates.

    Args:
        a: study A.
        b: study B.
        images: of the data set, if they are known; by default what the registry says.

    Returns:
        A JSON document; every difference is A minus B, in units of the score.

    Raises:
        ValueError: they do not belong together (see `unshared`), or have no column in common.
    """
    problems, columns = unshared(a.spec, b.spec), shared_columns(a, b)
    if problems:
        raise ValueError("; ".join(map(str, problems)))
    if not columns:
        raise ValueError("no (fold, run) has a score in every cell of both studies")
    # Each extension after a result is one more look, whichever of the two studies had it.
    looks = min(a.looks + b.looks - 1, MOST_LOOKS)
    confidence = look_confidence(max(a.spec.claim.confidence, b.spec.claim.confidence), looks)
    tables = [_table(member, columns, images) for member in (a, b)]
    found = compare_pair(tables[0], tables[1], confidence)
    grids = [cells(member.spec) for member in (a, b)]
    differs = differing(a.spec, b.spec)
    return {
        "a": _member(a),
        "b": _member(b),
        "differs": differs,
        "n": found.n,
        "folds": found.folds,
        "confidence": confidence,
        "looks": looks,
        "prescribed": {
            "a": _cell(tables[0], grids[0][0]),
            "b": _cell(tables[1], grids[1][0]),
            "difference": _difference(found.prescribed),
        },
        "best": _best(found, tables, grids),
        "sentence": sentence(found),
        "not_said": not_said(differs),
        "warnings": _warnings(a.spec, found, grids),
        "method": METHOD,
        "data_note": registry.get(a.spec.dataset).note,
    }


def differing(a: StudySpec, b: StudySpec) -> list[str]:
    """Fields of the specification in which the studies differ, apart from those that change no training."""
    one, other = a.to_json(), b.to_json()
    return [name for name in one if name not in UNTOLD and one[name] != other[name]]


def _columns(member: Member) -> list[tuple[int, int]]:
    return complete_columns(member.scores, len(cells(member.spec)), {})


def _table(member: Member, columns: Sequence[tuple[int, int]], images: int | None) -> ScoreTable:
    known = images or registry.get(member.spec.dataset).images
    found = Columns(member.spec, cells(member.spec), member.scores, columns, known)
    return score_table(**found.arguments(found.values("accuracy"), with_images=True))


def _member(member: Member) -> PairMemberDocument:
    return {"study": member.study, "name": member.spec.name, "loss": member.spec.loss}


def _cell(table: ScoreTable, cell: Cell) -> PairCellDocument:
    scores = table.scores[cell.index]
    return {
        "cell": cell.index,
        "labels": list(cell.labels),
        "learning_rate": cell.learning_rate,
        "momentum": cell.momentum,
        "mean": float(scores.mean()),
        "std": float(scores.std(ddof=1)) if len(scores) > 1 else None,
        "diverged": int(table.diverged[cell.index].sum()),
    }


def _best(
    found: PairComparison, tables: Sequence[ScoreTable], grids: Sequence[tuple[Cell, ...]]
) -> PairBestDocument | None:
    if found.best is None:
        return None
    selections: list[PairSelectionDocument] = [
        {
            "selected_on": half,
            "a": _cell(tables[0], grids[0][one.a]),
            "b": _cell(tables[1], grids[1][one.b]),
            "estimate": one.estimate,
            "n": one.n,
        }
        for half, one in zip(HALVES, found.selections, strict=True)
    ]
    return {"difference": _difference(found.best), "selections": selections}


def _difference(difference: PairDifference) -> PairDifferenceDocument:
    return {
        "estimate": difference.estimate,
        "low": _finite(difference.low),
        "high": _finite(difference.high),
        "standard_error": _finite(difference.standard_error),
        "df": difference.df,
        "n": difference.n,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _warnings(spec: StudySpec, found: PairComparison, grids: Sequence[tuple[Cell, ...]]) -> list[WarningDocument]:
    warnings: list[WarningDocument] = []
    info = registry.get(spec.dataset)
    if info.is_paper_data is not True:
        warnings.append({"code": "stand-in", "text": info.note})
    for name, grid, rows in zip(
        "AB", grids, ({s.a for s in found.selections}, {s.b for s in found.selections}), strict=True
    ):
        if any(_on_edge(grid, grid[row]) for row in rows):
            text = f"a selected cell of {name} lies on the edge of its grid or off it; its best may lie beyond"
            warnings.append({"code": "edge", "text": text})
        if len(rows) > 1:
            text = f"the two halves of the replicates selected different cells of {name}"
            warnings.append({"code": "unstable", "text": text})
    return warnings


def _on_edge(grid: Sequence[Cell], cell: Cell) -> bool:
    """Whether a cell is not surrounded by grid cells along each axis that has more than one value."""
    if not cell.in_grid:
        return True
    for axis in ("learning_rate", "momentum"):
        values = {getattr(other, axis) for other in grid if other.in_grid}
        if len(values) > 1 and getattr(cell, axis) in (min(values), max(values)):
            return True
    return False
