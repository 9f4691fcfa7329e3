"""The table of a suite: known answers, unfinished suites, and what becomes of studies that are no more."""

import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from suite_data import study, suite

from studies.columns import Score
from studies.racing import look_confidence
from studies.suite import SuiteSpec
from studies.suite_table import DELETED, Member, suite_table

SPEC = SuiteSpec.from_json(suite())
SQUARES = {(0, 0): [0.98, 0.96], (0, 1): [0.90, 0.94], (1, 0): [0.80, 0.70], (1, 1): [0.75, 0.85]}
"""Accuracies of the first study by (cell, fold), one per run."""
DUAL = {(0, 0): [0.99, 0.98], (0, 1): [0.92, 0.93]}
"""Of the cell that a row names, of the second."""


def scores(accuracies: dict[tuple[int, int], list[float]], outcome: str = "finished") -> tuple[Score, ...]:
    return tuple(
        Score(cell, fold, run, outcome, value, 0.1, 0.1)
        for (cell, fold), values in accuracies.items()
        for run, value in enumerate(values)
    )


def member(own: Sequence[Score], **changes: Any) -> Member:
    return replace(Member("id", "completed", 2, 10_000, "sha", 1, tuple(own)), **changes)


def members(**changes: Any) -> list[Member]:
    """Both studies, complete; changes are of the second."""
    return [member(scores(SQUARES), study_id="first"), member(scores(DUAL), study_id="second", **changes)]


def table(*given: Member, spec: SuiteSpec = SPEC) -> dict[str, Any]:
    found = suite_table(spec, given or members())
    json.dumps(found, allow_nan=False)
    return found


def codes(found: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in found["warnings"]]


# --- known answers


def test_rows_carry_mean_and_both_spreads() -> None:
    off, on, dual = table()["rows"]
    assert (off["name"], off["study_id"], off["label"], off["cell"], off["loss"]) == (
        *("off", "first", "no-momentum", 1),
        "sse",
    )
    assert off["mean"] == pytest.approx((0.8 + 0.7 + 0.75 + 0.85) / 4)
    assert off["spread_over_folds"] == {"std": pytest.approx(np.std([0.75, 0.80], ddof=1)), "n": 2}
    assert off["spread_over_runs"] == {"std": pytest.approx(np.std([0.775, 0.775], ddof=1)), "n": 2}
    assert on["spread_over_folds"]["std"] == pytest.approx(np.std([0.97, 0.92], ddof=1))
    assert on["spread_over_runs"]["std"] == pytest.approx(np.std([0.94, 0.95], ddof=1))
    assert (dual["n"], dual["wanted"], dual["complete"]) == (4, 4, True)
    assert off["published"] == {"mean": 0.774, "std": 0.1, "source": "a paper"}
    assert on["published"] is None
    assert off["effective_learning_rate"] == off["learning_rate"]


def test_contrasts_are_paired_differences_with_variance_within_folds() -> None:
    spec = SuiteSpec.from_json(suite(confidence=0.9))
    contrast = table(spec=spec)["contrasts"][0]
    differences = np.array([[0.18, 0.26], [0.15, 0.09]])
    within = differences - differences.mean(axis=1, keepdims=True)
    reach = stats.t.ppf(0.95, 2) * np.sqrt((within**2).sum() / 2 / 4)
    assert contrast["n"] == 4
    assert contrast["difference"] == {
        "estimate": pytest.approx(0.17),
        "low": pytest.approx(0.17 - reach),
        "high": pytest.approx(0.17 + reach),
    }
    assert contrast["confidence"] == pytest.approx(0.9)
    assert contrast["note"] == "within a study"
    assert contrast["sentence"].startswith("on minus off: +17.00 points of accuracy (90 % interval +")
    assert contrast["sentence"].endswith("4 paired replicates).")


def test_a_contrast_across_studies_is_paired_by_fold_and_run() -> None:
    contrast = table()["contrasts"][1]
    assert contrast["difference"]["estimate"] == pytest.approx(np.mean([0.01, 0.02, 0.02, -0.01]))
    assert contrast["sentence"].endswith("the interval includes 0.")
    shuffled = [members()[0], member(tuple(reversed(scores(DUAL))))]
    assert table(*shuffled)["contrasts"][1]["difference"] == contrast["difference"]


def test_a_contrast_changes_its_sign_with_its_rows() -> None:
    spec = SuiteSpec.from_json(suite(contrasts=[{"row": "on", "minus": "dual"}]))
    turned = table(spec=spec)["contrasts"][0]["difference"]
    straight = table()["contrasts"][1]["difference"]
    assert turned == {
        "estimate": pytest.approx(-straight["estimate"]),
        "low": pytest.approx(-straight["high"]),
        "high": pytest.approx(-straight["low"]),
    }


def test_diverged_trainings_count_with_their_score_and_are_counted() -> None:
    lost = scores({(0, 0): [0.1, 0.1]}, "diverged")
    row = table(members()[0], member((*lost, *scores({(0, 1): [0.9, 0.9]}))))["rows"][2]
    assert row["mean"] == pytest.approx(0.5)
    assert (row["diverged"], row["divergence"]["rate"]) == (2, 0.5)
    assert 0 < row["divergence"]["low"] < 0.5 < row["divergence"]["high"] < 1
    assert table()["rows"][2]["divergence"]["high"] == pytest.approx(0.75)


def test_least_standard_error_is_that_of_whole_images() -> None:
    same = [member(scores(SQUARES | {(0, 0): [0.9, 0.9], (0, 1): [0.9, 0.9]})), member(scores({(0, 0): [0.9] * 2}))]
    difference = table(*same)["contrasts"][1]["difference"]
    assert difference["high"] == pytest.approx(stats.t.ppf(0.975, 1) / (2_000 * np.sqrt(12 * 2)))


# --- while a suite goes on


def test_nothing_yet_is_null_everywhere() -> None:
    empty = member((), status="queued", images=None, dataset_sha256=None)
    found = table(empty, empty)
    for row in found["rows"]:
        assert (row["mean"], row["n"], row["complete"], row["divergence"]) == (None, 0, False, None)
        assert row["spread_over_folds"] == row["spread_over_runs"] == {"std": None, "n": 0}
    for contrast in found["contrasts"]:
        assert contrast["difference"] == {"estimate": None, "low": None, "high": None}
        assert "nothing can be said" in contrast["sentence"]
    assert not found["complete"]
    assert codes(found) == ["stand-in", "unfinished", "unfinished"]


def test_unfinished_rows_show_what_is_complete_and_say_so() -> None:
    part = {(0, 0): [0.99, 0.98], (0, 1): [0.92]}
    found = table(members()[0], member(scores(part), status="running"))
    row = found["rows"][2]
    assert (row["n"], row["wanted"], row["complete"], row["study_status"]) == (3, 4, False, "running")
    assert row["spread_over_folds"] == {"std": None, "n": 1}
    assert row["spread_over_runs"] == {"std": None, "n": 1}
    within, across = found["contrasts"]
    assert (within["complete"], across["complete"], across["n"]) == (True, False, 3)
    assert across["sentence"].startswith("So far, dual minus on: ")
    assert not found["complete"]


def test_one_run_has_no_spread_over_runs() -> None:
    spec = SuiteSpec.from_json(suite(studies=[study("squares", runs=1), study("dual", runs=1)]))
    one = {key: values[:1] for key, values in SQUARES.items()}
    found = table(member(scores(one), runs=1), member(scores({(0, 0): [0.99], (0, 1): [0.98]}), runs=1), spec=spec)
    for row in found["rows"]:
        assert row["complete"]
        assert row["spread_over_runs"] == {"std": None, "n": 1}
        assert row["spread_over_folds"]["std"] is not None


def test_one_replicate_has_no_interval() -> None:
    first = {key: values[:1] for key, values in SQUARES.items() if key[1] == 0}
    contrast = table(member(scores(first), status="running"), members()[1])["contrasts"][0]
    assert contrast["difference"] == {"estimate": pytest.approx(0.18), "low": None, "high": None}
    assert contrast["sentence"].endswith("(1 paired replicate, too few for an interval).")


@pytest.mark.parametrize("status", ["cancelled", "failed", "paused"])
def test_a_study_that_ended_early_leaves_its_rows_marked(status: str) -> None:
    found = table(members()[0], member(scores({(0, 0): [0.99]}), status=status))
    assert found["rows"][2]["study_status"] == status
    assert any(status in warning["text"] and "'dual'" in warning["text"] for warning in found["warnings"])


def test_a_deleted_study_leaves_rows_without_results() -> None:
    gone = Member("second", DELETED, 2, None, None, 1, ())
    found = table(members()[0], gone)
    row = found["rows"][2]
    assert (row["study_status"], row["mean"], row["n"], row["complete"]) == ("deleted", None, 0, False)
    assert "deleted" in codes(found)
    assert found["rows"][0]["complete"]


def test_failed_trainings_are_missing_and_reported() -> None:
    failed = Score(0, 1, 1, "failed", None, None, None)
    found = table(members()[0], member((*scores({(0, 0): [0.99, 0.98], (0, 1): [0.92]}), failed)))
    row = found["rows"][2]
    assert (row["n"], row["complete"]) == (3, False)
    assert "failed" in codes(found)
    assert found["contrasts"][1]["n"] == 3


# --- what else a reader has to know


def test_extended_studies_pay_for_their_looks() -> None:
    longer = {(0, fold): [0.99, 0.98, 0.97] for fold in (0, 1)}
    found = table(members()[0], member(scores(longer), study_id="second", runs=3, looks=2))
    within, across = found["contrasts"]
    assert found["rows"][2]["wanted"] == 6
    assert (within["confidence"], across["confidence"]) == (0.95, pytest.approx(look_confidence(0.95, 2)))
    assert across["n"] == 4


def test_different_versions_of_the_data_are_not_compared() -> None:
    found = table(members()[0], member(scores(DUAL), study_id="second", dataset_sha256="other"))
    within, across = found["contrasts"]
    assert within["difference"]["estimate"] is not None
    assert across["difference"]["estimate"] is None
    assert "different versions of the data set" in across["sentence"]
    assert "data" in codes(found)


def test_two_groups_of_accuracies_are_named() -> None:
    values = [0.1 + 0.001 * run if run % 2 else 0.98 + 0.001 * run for run in range(8)]
    own = scores({(0, 0): values, (0, 1): values})
    found = table(members()[0], member(own, runs=8))
    (warning,) = [warning for warning in found["warnings"] if warning["code"] == "bimodal"]
    assert warning["text"].endswith("in: dual.")
    assert "bimodal" not in codes(table())


def test_stand_in_data_are_named() -> None:
    found = table()
    assert found["warnings"][0]["code"] == "stand-in"
    assert "not the paper's data" in found["data_note"]
    assert found["notes"] == ["a note"]


def test_one_member_per_study_is_asked_for() -> None:
    with pytest.raises(ValueError, match="shorter"):
        suite_table(SPEC, members()[:1])


def test_input_survives_the_way_to_another_process() -> None:
    spec, given = pickle.loads(pickle.dumps((SPEC, members())))
    assert suite_table(spec, given) == table()


@pytest.mark.parametrize("shuffle", [reversed, lambda given: given])
def test_order_of_the_scores_changes_nothing(shuffle: Callable[[Sequence[Score]], Any]) -> None:
    own = [replace(one, scores=tuple(shuffle(one.scores))) for one in members()]
    assert table(*own)["contrasts"] == table()["contrasts"]
