"""The answer to a study: its comparison with names, secondary scores and warnings about the data."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from studies.columns import Columns, Score, complete_columns
from studies.compare import compare, regret
from studies.datasets import registry
from studies.documents.comparison import (
    AnswerDocument,
    CellSummaryDocument,
    RaceDocument,
    SecondaryCellDocument,
    SecondaryDocument,
    WarningDocument,
)
from studies.grid import Cell
from studies.racing import look_confidence, round_confidence, rounds
from studies.spec import StudySpec


def answer(
    spec: StudySpec,
    grid: Sequence[Cell],
    scores: Sequence[Score],
    runs: int,
    status: str,
    images: int | None = None,
    *,
    looks: int = 1,
    dropped: Mapping[int, int] | None = None,
) -> AnswerDocument:
    """Compare the prescribed point of a study with everything it was tried against.

    Only complete columns of replicates (every cell that had not been dropped by then, one fold, one run) count.

    Args:
        spec: the study.
        grid: its cells.
        scores: stored replicates.
        runs: runs per fold, extensions included; of a race, those of the rounds up to the present one.
        status: what a user sees; anything but `completed` leaves the verdict `undecided`.
        images: of the data set, if they are known; by default what the registry says.
        looks: how often the answer could be seen, this time included; >= 1.
        dropped: cells that a race dropped, with the runs that they have.

    Returns:
        The comparison as JSON; the same fields without estimates while no column is complete.
    """
    dropped = dropped or {}
    columns = complete_columns(scores, len(grid), dropped)
    level = _interval_confidence(spec, looks)
    race = _race(spec, grid, scores, runs, dropped) if spec.racing else None
    notes = _notes(spec, scores, runs, status, len(columns), looks)
    info = registry.get(spec.dataset)
    if not columns:
        return {**_nothing_yet(spec, grid, level, notes, info.note), "looks": looks, "racing": race}
    table = Columns(spec, grid, scores, columns, images or info.images)
    accuracy = table.arguments(table.values("accuracy"), with_images=True)
    claim = spec.claim
    comparison = compare(**accuracy, margin=claim.margin, confidence=level, claimed=claim.confidence, seed=spec.seed)
    # The fields of the comparison are those of its document, which a test holds them to.
    document = cast(AnswerDocument, comparison.to_json())
    document["prescribed"]["label"] = grid[0].labels[0]
    assert document["best"] is not None
    document["best"]["label"] = ", ".join(grid[document["best"]["cell"]].labels) or None
    document["looks"], document["racing"] = looks, race
    document["secondary"] = {
        "brier": _secondary(table, "brier", level),
        "train_loss": _secondary(table, "train_loss", level),
    }
    document["warnings"] = notes + document["warnings"]
    document["data_note"] = info.note
    if status != "completed" and document["verdict"] != "undecided":
        document["verdict"] = "undecided"
        document["sentence"] = f"Undecided while the study is {status}. So far: {document['sentence']}"
    return document


def _interval_confidence(spec: StudySpec, looks: int) -> float:
    """The level at which limits are computed, so that all rounds or looks together spend the claim's error once."""
    if spec.racing:
        return round_confidence(spec.claim.confidence, len(rounds(spec.folds_used, spec.runs)))
    return look_confidence(spec.claim.confidence, looks)


def _race(
    spec: StudySpec, grid: Sequence[Cell], scores: Sequence[Score], runs: int, dropped: Mapping[int, int]
) -> RaceDocument:
    """How far a race has come and what it spared."""
    planned = len(grid) * spec.replicates_per_cell
    return {
        "rounds": list(rounds(spec.folds_used, spec.runs)),
        "runs": runs,
        "dropped": len(dropped),
        "planned": planned,
        "trained": len(scores),
        "saved": planned - len(scores),
    }


def _secondary(table: Columns, name: str, level: float) -> SecondaryDocument | None:
    """Regret and best cell by a score of which less is better; in units of that score."""
    values = table.values(name)
    if np.isnan(values).all(axis=1).any():
        return None  # a cell that always diverged has no such score, and so no place in the comparison
    document = regret(**table.arguments(-values, with_images=False), confidence=level).to_json()
    return {
        "score": name,
        "lower_is_better": True,
        "regret": document["regret"],
        "prescribed": _lower_is_better(document["prescribed"]),
        "best": _lower_is_better(document["best"]),
    }


def _lower_is_better(summary: Mapping[str, Any]) -> SecondaryCellDocument:
    return {
        "cell": summary["cell"],
        "learning_rate": summary["learning_rate"],
        "momentum": summary["momentum"],
        "std": summary["std"],
        "n": summary["n"],
        "mean": None if summary["mean"] is None else -summary["mean"],
    }


def _notes(
    spec: StudySpec, scores: Sequence[Score], runs: int, status: str, complete: int, looks: int
) -> list[WarningDocument]:
    notes: list[WarningDocument] = []
    info = registry.get(spec.dataset)
    if info.is_paper_data is not True:
        notes.append({"code": "stand-in", "text": info.note})
    failed = {(score.fold, score.run) for score in scores if score.outcome == "failed"}
    if failed:
        text = f"{len(failed)} of {spec.folds_used * runs} columns of replicates were dropped: a training failed"
        notes.append({"code": "failed", "text": text})
    if looks > 1:
        level = look_confidence(spec.claim.confidence, looks)
        text = (
            f"the study was extended after results were there, so this is look {looks} at its answer; its limits are "
            f"at {100 * level:.4g} %, so that a wrong definite verdict at any look has a probability of at most "
            f"{100 * (1 - spec.claim.confidence):.4g} %"
        )
        notes.append({"code": "looks", "text": text})
    if spec.racing:
        number = len(rounds(spec.folds_used, spec.runs))
        text = (
            f"the study races: after each of at most {number} rounds, cells out of the running got no more replicates; "
            f"limits are at {100 * round_confidence(spec.claim.confidence, number):.4g} %, so that all rounds together "
            f"keep {100 * spec.claim.confidence:.4g} %; means of different cells may be over different replicates"
        )
        notes.append({"code": "racing", "text": text})
    if status != "completed":
        text = f"the study is {status}; {complete} of {spec.folds_used * runs} columns of replicates are complete"
        notes.append({"code": "unfinished", "text": text})
    return notes


def _nothing_yet(
    spec: StudySpec, grid: Sequence[Cell], level: float, notes: list[WarningDocument], data_note: str
) -> AnswerDocument:
    """The fields of a comparison without a single complete column."""
    point: CellSummaryDocument = {
        "label": grid[0].labels[0],
        "cell": 0,
        "learning_rate": grid[0].learning_rate,
        "momentum": grid[0].momentum,
        "effective_learning_rate": grid[0].effective_learning_rate,
        "mean": None,
        "std": None,
        "n": 0,
        "diverged": 0,
        "divergence": None,
        "rank": None,
        "percentile": None,
        "difference": None,
    }
    return {
        "verdict": "undecided",
        "sentence": "Nothing can be said before one column of replicates (every cell, one fold, one run) is complete.",
        "not_said": "",
        "margin": spec.claim.margin,
        "confidence": spec.claim.confidence,
        "level": level,
        "n": 0,
        "regret": {"estimate": None, "cross_fitted": None, "low": None, "high": None},
        "replicates_needed": None,
        "prescribed": point,
        "best": None,
        "references": [],
        "confidence_set": {"cells": [], "share": None},
        "landscape": [],
        "divergence": [],
        "ridge": None,
        "surface": None,
        "populations": {"seeds": None, "new_data": None},
        "secondary": {"brier": None, "train_loss": None},
        "warnings": notes,
        "method": "",
        "looks": 1,
        "racing": None,
        "data_note": data_note,
    }
