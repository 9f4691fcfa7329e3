"""The table of a suite: what each row's trainings gave, beside what a paper reports, and paired differences of rows."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.columns import Score
from studies.comparison.bimodality import is_bimodal
from studies.comparison.divergence import DivergenceRate, divergence_rates
from studies.comparison.summary import Difference, paired_difference
from studies.comparison.table import ScoreTable, score_table
from studies.datasets import registry
from studies.documents.comparison import DivergenceDocument, IntervalDocument, WarningDocument
from studies.documents.suite import ContrastDocument, PublishedDocument, RowDocument, SpreadDocument, TableDocument
from studies.grid import Cell
from studies.racing import MOST_LOOKS, look_confidence
from studies.spec import StudySpec
from studies.statistics import FloatArray
from studies.suite import Contrast, Published, Row, SuiteSpec
from studies.suite_words import method, sentence

DELETED = "deleted"
"""The status of a study that is no more; its rows have no results."""


@dataclass(frozen=True)
class Member:
    """A study of a suite as it stands."""

    study_id: str
    status: str
    """What a user sees, or DELETED."""
    runs: int
    """Per fold, extensions included."""
    images: int | None
    """Of the data set, once it is prepared."""
    dataset_sha256: str | None
    looks: int
    """How often its results could be seen: one more with each extension."""
    scores: tuple[Score, ...]
    """Stored replicates of the cells that the rows name, failed ones included; others are ignored."""


@dataclass(frozen=True)
class _Entry:
    """A row with its cell and its scores."""

    row: Row
    study: StudySpec
    cell: Cell
    member: Member
    scores: dict[tuple[int, int], Score]
    """By (run, fold), without failed ones."""

    @property
    def wanted(self) -> int:
        return self.study.folds_used * self.member.runs

    @property
    def complete(self) -> bool:
        return len(self.scores) == self.wanted


def suite_table(suite: SuiteSpec, members: Sequence[Member]) -> TableDocument:
    """Compute the table from what is stored.

    Args:
        suite: the specification.
        members: its studies, in its order.

    Returns:
        Rows, contrasts, notes, warnings and method as JSON; null where nothing can be said yet.

    Raises:
        ValueError: not one member per study.

    Speaks for: new seeds on the same images and folds.
    """
    by_name = {study.name: member for study, member in zip(suite.studies, members, strict=True)}
    entries = [_entry(suite, row, by_name[row.study]) for row in suite.rows]
    table = _score_table(entries)
    rates = None if table is None else divergence_rates(table)
    info = registry.get(suite.studies[0].dataset)
    rows = [_row(entry, None if rates is None else rates[at]) for at, entry in enumerate(entries)]
    return {
        "name": suite.name,
        "complete": all(row["complete"] for row in rows),
        "confidence": suite.confidence,
        "rows": rows,
        "contrasts": [_contrast(suite, contrast, entries, table) for contrast in suite.contrasts],
        "notes": list(suite.notes),
        "warnings": _warnings(suite, members, entries),
        "method": method(suite),
        "data_note": info.note,
    }


def _entry(suite: SuiteSpec, row: Row, member: Member) -> _Entry:
    cell = suite.cell(row)
    own = (score for score in member.scores if score.cell == cell.index and score.outcome != "failed")
    return _Entry(row, suite.study(row.study), cell, member, {(score.run, score.fold): score for score in own})


def _score_table(entries: Sequence[_Entry]) -> ScoreTable | None:
    """The rows' accuracies `[rows, R]` over every (run, fold) that any of them has; None while there is none."""
    columns = sorted({column for entry in entries for column in entry.scores})
    if not columns:
        return None
    values, diverged = np.full((len(entries), len(columns)), np.nan), np.zeros((len(entries), len(columns)), bool)
    for at, entry in enumerate(entries):
        for place, column in enumerate(columns):
            if column in entry.scores:
                values[at, place] = entry.scores[column].accuracy
                diverged[at, place] = entry.scores[column].outcome == "diverged"
    study = entries[0].study
    images = next((entry.member.images for entry in entries if entry.member.images), None)
    images = images or registry.get(study.dataset).images
    return score_table(
        np.nan_to_num(values),
        [(entry.cell.learning_rate, entry.cell.momentum) for entry in entries],
        0,
        folds=[fold for _, fold in columns],
        diverged=diverged,
        observed=~np.isnan(values),
        n_test=None if images is None else images // study.folds,
    )


def _row(entry: _Entry, rate: DivergenceRate | None) -> RowDocument:
    accuracies = [score.accuracy for score in entry.scores.values()]
    by_fold_and_run = np.full((entry.study.folds_used, entry.member.runs), np.nan)
    for (run, fold), score in entry.scores.items():
        by_fold_and_run[fold, run] = score.accuracy
    return {
        "name": entry.row.name,
        "study": entry.row.study,
        "study_id": entry.member.study_id,
        "study_status": entry.member.status,
        "cell": entry.cell.index,
        "label": entry.row.cell,
        "loss": entry.study.loss,
        "learning_rate": entry.cell.learning_rate,
        "momentum": entry.cell.momentum,
        "effective_learning_rate": entry.cell.effective_learning_rate,
        "mean": float(np.mean(np.array(accuracies, dtype=np.float64))) if accuracies else None,
        "n": len(accuracies),
        "wanted": entry.wanted,
        "complete": entry.complete,
        "spread_over_folds": _spread(by_fold_and_run),
        "spread_over_runs": _spread(by_fold_and_run.T),
        "diverged": 0 if rate is None else rate.diverged,
        "divergence": None if rate is None or not rate.n else _divergence(rate),
        "published": None if entry.row.published is None else _published(entry.row.published),
    }


def _spread(values: FloatArray) -> SpreadDocument:
    """Standard deviation (n - 1) of the means of complete lines.

    Args:
        values: `[lines, trainings]`, NaN where there is none; a line with a gap does not count.
    """
    means = values[~np.isnan(values).any(axis=1)].mean(axis=1)
    return {"std": float(means.std(ddof=1)) if len(means) > 1 else None, "n": len(means)}


def _contrast(
    suite: SuiteSpec, contrast: Contrast, entries: Sequence[_Entry], table: ScoreTable | None
) -> ContrastDocument:
    names = [entry.row.name for entry in entries]
    row, minus = names.index(contrast.row), names.index(contrast.minus)
    both = {entry.member.study_id: entry.member for entry in (entries[row], entries[minus])}
    # Each extension after a result is one more look, whichever of the two studies had it.
    looks = 1 + sum(member.looks - 1 for member in both.values())
    confidence = look_confidence(suite.confidence, min(looks, MOST_LOOKS))
    same_data = _one_data_set(list(both.values()))
    found, n = Difference(None, -math.inf, math.inf), 0
    if table is not None and same_data:
        n = int((table.observed[row] & table.observed[minus]).sum())
        found = paired_difference(dataclasses.replace(table, derived=minus), row, confidence)
    difference = _interval(found)
    complete = entries[row].complete and entries[minus].complete
    return {
        "row": contrast.row,
        "minus": contrast.minus,
        "complete": complete,
        "confidence": confidence,
        "n": n,
        "difference": difference,
        "sentence": sentence(contrast, difference, n, confidence, complete=complete, same_data=same_data),
        "note": contrast.note,
    }


def _warnings(suite: SuiteSpec, members: Sequence[Member], entries: Sequence[_Entry]) -> list[WarningDocument]:
    found: list[WarningDocument] = []
    info = registry.get(suite.studies[0].dataset)
    if info.is_paper_data is not True:
        found.append({"code": "stand-in", "text": info.note})
    for study, member in zip(suite.studies, members, strict=True):
        if member.status == DELETED:
            found.append({"code": "deleted", "text": f"The study {study.name!r} was deleted, and with it its results."})
        elif member.status != "completed":
            text = f"The study {study.name!r} is {member.status}; its rows show what is stored so far. Limits assume "
            text += "numbers of replicates that were fixed beforehand."
            found.append({"code": "unfinished", "text": text})
    failed = sum(score.outcome == "failed" for member in members for score in member.scores)
    if failed:
        found.append({"code": "failed", "text": f"{failed} trainings failed and are missing; see the studies' packs."})
    if not _one_data_set(members):
        found.append({"code": "data", "text": "The studies were trained on different versions of the data set."})
    split = [entry.row.name for entry in entries if _is_bimodal(entry)]
    if split:
        text = f"The accuracies fall into two groups, which no mean and spread describes, in: {', '.join(split)}."
        found.append({"code": "bimodal", "text": text})
    return found


def _one_data_set(members: Sequence[Member]) -> bool:
    return len({member.dataset_sha256 for member in members} - {None}) <= 1


def _is_bimodal(entry: _Entry) -> bool:
    finished = [score.accuracy for score in entry.scores.values() if score.outcome == "finished"]
    images = entry.member.images or registry.get(entry.study.dataset).images
    step = 0.0 if images is None else entry.study.folds / images
    return bool(finished) and is_bimodal(np.array(finished, dtype=np.float64), step)


def _interval(found: Difference) -> IntervalDocument:
    """A difference; null where there is none, or no limit."""
    if found.estimate is None:
        return {"estimate": None, "low": None, "high": None}
    low, high = (limit if math.isfinite(limit) else None for limit in (found.low, found.high))
    return {"estimate": found.estimate, "low": low, "high": high}


def _divergence(rate: DivergenceRate) -> DivergenceDocument:
    return {"diverged": rate.diverged, "n": rate.n, "rate": rate.rate, "low": rate.low, "high": rate.high}


def _published(published: Published) -> PublishedDocument:
    return {"mean": published.mean, "source": published.source, "std": published.std}
