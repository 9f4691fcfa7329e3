"""The answer to a study: only whole columns count, names and caveats stand beside the numbers."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from studies.answer import answer
from studies.columns import Score, complete_columns, score_table_of
from studies.comparison.interval import competitor_limits
from studies.datasets import registry
from studies.grid import cells
from studies.racing import rounds
from studies.spec import StudySpec

SPEC = StudySpec.from_json(
    {
        "dataset": "rotated-digits",
        "loss": "dual-process",
        "grid": {"learning_rate": {"factor": 1.6, "steps": 1}, "momentum": {"factor": 1.6, "steps": 1}},
        "references": ["matlab", {"name": "mine", "learning_rate": 0.02, "momentum": 0.5}],
        "folds": 10,
        "folds_used": 4,
        "runs": 3,
        "claim": {"margin": 0.01},
    }
)
GRID = cells(SPEC)
BEST = 7
"""The cell that scores best in `scores`."""


def scores(spread: float = 0.0005, gain: float = 0.003) -> list[Score]:
    """Every replicate of the study; one cell is better by `gain`, as small as can still be told from noise."""
    generator = np.random.default_rng(1)
    found = []
    for run in range(SPEC.runs):
        for fold in range(SPEC.folds_used):
            for cell in GRID:
                accuracy = 0.97 + spread * generator.standard_normal() + gain * (cell.index == BEST)
                found.append(Score(cell.index, fold, run, "finished", accuracy, 1 - accuracy, 2 * (1 - accuracy)))
    return found


def answered(found: list[Score], status: str = "completed") -> dict[str, Any]:
    document = answer(SPEC, GRID, found, SPEC.runs, status)
    json.dumps(document, allow_nan=False)
    return document


def codes(document: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in document["warnings"]]


def test_a_completed_study_has_a_verdict_with_names() -> None:
    found = scores()
    document = answered(found)
    assert document["verdict"] == "equivalent"
    assert document["n"] == 12
    assert document["prescribed"]["label"] == "golden"
    assert document["prescribed"]["cell"] == 0
    assert document["best"]["cell"] == BEST
    assert document["best"]["label"] is None
    assert [reference["label"] for reference in document["references"]] == ["matlab", "mine"]
    assert document["data_note"] == registry.get("rotated-digits").note
    assert "stand-in" in codes(document)
    means = {cell.index: np.mean([s.accuracy for s in found if s.cell == cell.index]) for cell in GRID}
    assert document["prescribed"]["mean"] == pytest.approx(means[0])
    assert document["regret"]["estimate"] == pytest.approx(means[BEST] - means[0])


def test_a_best_cell_that_is_a_reference_carries_its_name() -> None:
    matlab = next(cell.index for cell in GRID if "matlab" in cell.labels)
    better = [replace(s, accuracy=0.99) if s.cell == matlab else s for s in scores()]
    assert answered(better)["best"]["label"] == "matlab"


def test_only_whole_columns_count() -> None:
    found = scores()
    torn = [s for s in found if (s.cell, s.fold, s.run) != (5, 2, 1)]
    whole = [s for s in found if (s.fold, s.run) != (2, 1)]
    assert complete_columns(torn, len(GRID), {}) == complete_columns(whole, len(GRID), {})
    assert len(complete_columns(torn, len(GRID), {})) == 11
    without, wanted = answered(torn, "running"), answered(whole, "running")
    assert without == wanted
    assert without["n"] == 11
    assert complete_columns(found, len(GRID), {})[:5] == [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1)]


def test_the_order_of_the_scores_does_not_matter() -> None:
    found = scores()
    shuffled = [found[i] for i in np.random.default_rng(0).permutation(len(found))]
    assert answered(shuffled) == answered(found)


def test_a_failed_replicate_drops_its_column_and_says_so() -> None:
    found = scores()
    failed = [
        replace(s, outcome="failed", accuracy=None, brier=None, train_loss=None)
        if s.fold == s.run == 1 and s.cell < 2
        else s
        for s in found
    ]
    document = answered(failed)
    assert document["n"] == 11
    assert "1 of 12 columns of replicates were dropped" in next(
        warning["text"] for warning in document["warnings"] if warning["code"] == "failed"
    )


@pytest.mark.parametrize("status", ["running", "paused", "cancelled", "queued"])
def test_a_study_that_is_not_completed_stays_undecided(status: str) -> None:
    document = answered(scores(), status)
    assert document["verdict"] == "undecided"
    assert document["sentence"].startswith(f"Undecided while the study is {status}. So far: ")
    assert "unfinished" in codes(document)
    text = next(warning["text"] for warning in document["warnings"] if warning["code"] == "unfinished")
    assert text == f"the study is {status}; 12 of 12 columns of replicates are complete"


def test_an_extended_study_answers_at_the_level_of_its_look() -> None:
    first = answered(scores())
    third = answer(SPEC, GRID, scores(), SPEC.runs, "completed", looks=3)
    assert (first["confidence"], first["level"]) == (0.95, 0.95)
    assert (third["confidence"], third["level"]) == (0.95, 1 - 0.05 / 4)
    assert third["regret"]["high"] > first["regret"]["high"]
    assert ("looks" in codes(third), "looks" in codes(first)) == (True, False)


def test_a_race_keeps_the_limits_of_what_it_dropped() -> None:
    spec = replace(SPEC, racing=True, runs=8)
    ends = rounds(SPEC.folds_used, 8)
    assert len(ends) > 1
    generator = np.random.default_rng(2)
    every = [
        Score(
            cell.index, fold, run, "finished", 0.9 + 0.001 * generator.standard_normal() - 0.1 * (cell.index == 4), 0, 0
        )
        for run in range(8)
        for fold in range(SPEC.folds_used)
        for cell in GRID
    ]
    raced = [score for score in every if score.cell != 4 or score.run < ends[0]]
    document = answer(spec, GRID, raced, 8, "completed", dropped={4: ends[0]})
    assert document["n"] == 8 * SPEC.folds_used
    assert document["level"] == pytest.approx(1 - 0.05 / len(ends))
    wanted = {"dropped": 1, "planned": len(every), "trained": len(raced), "saved": len(every) - len(raced)}
    assert document["racing"] == wanted | {"rounds": list(ends), "runs": 8}
    assert 4 not in document["confidence_set"]["cells"]
    early = [score for score in raced if score.run < ends[0]]
    table = score_table_of(spec, GRID, early, {}, None)
    later = score_table_of(spec, GRID, raced, {4: ends[0]}, None)
    assert table is not None
    assert later is not None
    level = document["level"]
    frozen, final = competitor_limits(table, level), competitor_limits(later, level)
    assert (frozen.low[4], frozen.high[4]) == (final.low[4], final.high[4])
    assert document["regret"]["high"] == pytest.approx(max(0, final.high.max()))
    assert answer(spec, GRID, every, 8, "completed", dropped={4: ends[0]})["n"] < document["n"]  # torn columns


def test_means_of_a_race_stand_on_one_footing() -> None:
    """Cell 4 is 0.02 behind in every replicate it has; the later ones, which it missed, are harder by 0.1."""
    spec = replace(SPEC, racing=True, runs=8)
    ends = rounds(SPEC.folds_used, 8)
    generator = np.random.default_rng(3)
    raced = []
    for run in range(8):
        for fold in range(SPEC.folds_used):
            for cell in GRID:
                if cell.index != 4 or run < ends[0]:
                    ease = 0.95 - 0.1 * (run >= ends[0]) - 0.02 * (cell.index == 4)
                    value = ease + 0.0005 * generator.standard_normal()
                    raced.append(Score(cell.index, fold, run, "finished", value, 0, 0))
    document = answer(spec, GRID, raced, 8, "completed", dropped={4: ends[0]})
    raw = np.mean([score.accuracy for score in raced if score.cell == 4])
    assert raw > document["prescribed"]["mean"] + 0.01, "its own mean flatters it"
    assert document["landscape"][4] == pytest.approx(document["prescribed"]["mean"] - 0.02, abs=0.001)
    assert document["landscape"][0] == document["prescribed"]["mean"]
    assert len(document["landscape"]) == len(GRID)


def test_before_the_first_whole_column_the_same_fields_are_there_empty() -> None:
    nothing = answered([], "queued")
    full = answered(scores())
    assert set(nothing) == set(full)
    for part in ("prescribed", "regret", "confidence_set", "populations", "secondary"):
        assert set(nothing[part]) == set(full[part]), part
    assert nothing["verdict"] == "undecided"
    assert nothing["n"] == 0
    assert nothing["prescribed"]["learning_rate"] == GRID[0].learning_rate
    assert answered(scores()[: len(GRID) - 1], "running")["n"] == 0


def test_divergence_counts_with_the_score_of_a_guess() -> None:
    found = [
        replace(s, outcome="diverged", accuracy=0.1, brier=0.9, train_loss=None) if s.cell == 3 and s.fold < 2 else s
        for s in scores()
    ]
    document = answered(found)
    assert document["n"] == 12
    assert [rate["diverged"] for rate in document["divergence"]] == [6 if cell.index == 3 else 0 for cell in GRID]
    assert document["secondary"]["train_loss"] is not None
    assert document["secondary"]["train_loss"]["best"]["cell"] == BEST


def test_a_cell_that_always_diverges_has_no_training_loss_to_compare() -> None:
    found = [
        replace(s, outcome="diverged", accuracy=0.1, brier=0.9, train_loss=None) if s.cell == 3 else s for s in scores()
    ]
    document = answered(found)
    assert document["secondary"]["train_loss"] is None
    assert document["secondary"]["brier"]["best"]["cell"] == BEST


def test_secondary_scores_are_better_when_less() -> None:
    found = scores()
    document = answered(found)
    assert tuple(document["secondary"]) == ("brier", "train_loss")
    for name, scale in (("brier", 1), ("train_loss", 2)):
        secondary = document["secondary"][name]
        assert secondary["lower_is_better"] is True
        assert secondary["best"]["cell"] == BEST
        assert secondary["best"]["mean"] < secondary["prescribed"]["mean"]
        assert secondary["prescribed"]["mean"] == pytest.approx(
            np.mean([getattr(s, name) for s in found if s.cell == 0])
        )
        assert secondary["regret"]["estimate"] == pytest.approx(scale * document["regret"]["estimate"])


def test_a_prescribed_point_that_is_a_reference_is_in_both_places() -> None:
    spec = StudySpec.from_json(SPEC.to_json() | {"prescribed": {"learning_rate": 0.01, "momentum": 0.9}})
    grid = cells(spec)
    found = [Score(cell.index, fold, 0, "finished", 0.9 + 0.001 * fold, 0.1, 0.1) for fold in range(4) for cell in grid]
    document = answer(spec, grid, found, 1, "running")
    assert document["prescribed"]["label"] == "prescribed"
    matlab = next(reference for reference in document["references"] if reference["label"] == "matlab")
    assert matlab["cell"] == 0
    assert matlab["mean"] == document["prescribed"]["mean"]
    assert matlab["difference"] is None


def test_the_papers_own_data_are_not_called_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    owned = replace(registry.get("rotated-digits"), is_paper_data=True)
    monkeypatch.setattr(registry, "get", lambda name: owned)
    assert "stand-in" not in codes(answered(scores()))
