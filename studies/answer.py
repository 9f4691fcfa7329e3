"""The answer to a study: its comparison with names, secondary scores and warnings about the data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.compare import compare
from studies.datasets import registry
from studies.grid import Cell
from studies.spec import StudySpec

SECONDARY = ("brier", "train_loss")
"""Lower is better for both."""


@dataclass(frozen=True)
class Score:
    """One stored replicate, as far as the answer needs it."""

    cell: int
    fold: int
    run: int
    outcome: str
    accuracy: float | None
    brier: float | None
    train_loss: float | None


def answer(
    spec: StudySpec,
    grid: Sequence[Cell],
    scores: Sequence[Score],
    runs: int,
    status: str,
    images: int | None = None,
) -> dict[str, Any]:
    """Compare the prescribed point of a study with everything it was tried against.

    Only complete columns of replicates (every cell, one fold, one run) count.

    Args:
        spec: the study.
        grid: its cells.
        scores: stored replicates.
        runs: runs per fold, extensions included.
        images: of the data set, if they are known; by default what the registry says.
        status: what a user sees; anything but `completed` leaves the verdict `undecided`.

    Returns:
        The comparison as JSON; the same fields without estimates while no column is complete.
    """
    columns = complete_columns(scores, len(grid))
    notes = _notes(spec, scores, runs, status, len(columns))
    info = registry.get(spec.dataset)
    if not columns:
        return _nothing_yet(spec, grid) | {"warnings": notes, "data_note": info.note}
    table = _Table(grid, scores, columns)
    document = _compared(spec, grid, table, table.values("accuracy"), images or registry.get(spec.dataset).images)
    document["prescribed"]["label"] = grid[0].labels[0]
    document["best"]["label"] = ", ".join(grid[document["best"]["cell"]].labels) or None
    document["secondary"] = {name: _secondary(spec, grid, table, name) for name in SECONDARY}
    document["warnings"] = notes + document["warnings"]
    document["data_note"] = info.note
    if status != "completed" and document["verdict"] != "undecided":
        document["verdict"] = "undecided"
        document["sentence"] = f"Undecided while the study is {status}. So far: {document['sentence']}"
    return document


def complete_columns(scores: Sequence[Score], cells: int) -> list[tuple[int, int]]:
    """(fold, run) for which every cell has a score, in order of run, then fold."""
    count: dict[tuple[int, int], int] = {}
    for score in scores:
        if score.outcome != "failed":
            count[score.run, score.fold] = count.get((score.run, score.fold), 0) + 1
    return [(fold, run) for (run, fold), number in sorted(count.items()) if number == cells]


class _Table:
    """Scores as arrays `[C, R]`."""

    def __init__(self, grid: Sequence[Cell], scores: Sequence[Score], columns: Sequence[tuple[int, int]]) -> None:
        self.folds = [fold for fold, _ in columns]
        self._place = {column: at for at, column in enumerate(columns)}
        self._shape = (len(grid), len(columns))
        self._scores = [score for score in scores if (score.fold, score.run) in self._place]
        self.diverged = np.zeros(self._shape, dtype=bool)
        for score in self._scores:
            self.diverged[self._at(score)] = score.outcome == "diverged"

    def values(self, name: str) -> np.ndarray:
        """One score of every replicate, `[C, R]`; NaN where a diverged training has none."""
        values = np.full(self._shape, np.nan)
        for score in self._scores:
            value = getattr(score, name)
            values[self._at(score)] = np.nan if value is None else value
        return values

    def _at(self, score: Score) -> tuple[int, int]:
        return score.cell, self._place[score.fold, score.run]


def _compared(
    spec: StudySpec, grid: Sequence[Cell], table: _Table, values: np.ndarray, images: int | None
) -> dict[str, Any]:
    n_test = None if images is None else images // spec.folds
    return compare(
        np.nan_to_num(values),
        [(cell.learning_rate, cell.momentum) for cell in grid],
        0,
        margin=spec.claim.margin,
        confidence=spec.claim.confidence,
        folds=table.folds,
        diverged=table.diverged,
        observed=~np.isnan(values),
        references=_references(grid),
        n_test=n_test,
        n_train=None if n_test is None or images is None else images - n_test,
        grid=[cell.in_grid for cell in grid],
        seed=spec.seed,
    ).to_json()


def _references(grid: Sequence[Cell]) -> dict[str, int]:
    own = grid[0].labels[0]
    return {label: cell.index for cell in grid for label in cell.labels if label != own}


def _secondary(spec: StudySpec, grid: Sequence[Cell], table: _Table, name: str) -> dict[str, Any] | None:
    """Regret and best cell by a score of which less is better; in units of that score."""
    values = table.values(name)
    if np.isnan(values).all(axis=1).any():
        return None  # a cell that always diverged has no such score, and so no place in the comparison
    document = _compared(spec, grid, table, -values, None)
    found = {}
    for who in ("prescribed", "best"):
        summary = document[who]
        found[who] = {key: summary[key] for key in ("cell", "learning_rate", "momentum", "std", "n")}
        found[who]["mean"] = None if summary["mean"] is None else -summary["mean"]
    return {"score": name, "lower_is_better": True, "regret": document["regret"], **found}


def _notes(spec: StudySpec, scores: Sequence[Score], runs: int, status: str, complete: int) -> list[dict[str, str]]:
    notes = []
    info = registry.get(spec.dataset)
    if info.is_paper_data is not True:
        notes.append({"code": "stand-in", "text": info.note})
    failed = {(score.fold, score.run) for score in scores if score.outcome == "failed"}
    if failed:
        text = f"{len(failed)} of {spec.folds_used * runs} columns of replicates were dropped: a training failed"
        notes.append({"code": "failed", "text": text})
    if status != "completed":
        text = f"the study is {status}; {complete} of {spec.folds_used * runs} columns of replicates are complete"
        notes.append({"code": "unfinished", "text": text})
    return notes


def _nothing_yet(spec: StudySpec, grid: Sequence[Cell]) -> dict[str, Any]:
    """The fields of a comparison without a single complete column."""
    point = {
        "label": grid[0].labels[0],
        "cell": 0,
        "learning_rate": grid[0].learning_rate,
        "momentum": grid[0].momentum,
        "effective_learning_rate": grid[0].effective_learning_rate,
    }
    unknown = dict.fromkeys(("mean", "std", "divergence", "rank", "percentile", "difference")) | {"n": 0, "diverged": 0}
    return {
        "verdict": "undecided",
        "sentence": "Nothing can be said before one column of replicates (every cell, one fold, one run) is complete.",
        "not_said": "",
        "margin": spec.claim.margin,
        "confidence": spec.claim.confidence,
        "n": 0,
        "regret": {"estimate": None, "cross_fitted": None, "low": None, "high": None},
        "replicates_needed": None,
        "prescribed": point | unknown,
        "best": None,
        "references": [],
        "confidence_set": {"cells": [], "share": None},
        "divergence": [],
        "ridge": None,
        "surface": None,
        "populations": {"seeds": None, "new_data": None},
        "secondary": dict.fromkeys(SECONDARY),
        "method": "",
    }
