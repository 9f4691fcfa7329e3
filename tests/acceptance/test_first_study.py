"""A study over REST, from its submission to its answer and its record in Optuna."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from optuna.trial import TrialState
from running import TINY, Service, assert_exactly_once, environment, eventually

EXAMPLE = {
    "schema": 1,
    "name": "golden grid",
    "dataset": "rotated-digits",
    "model": "paper-cnn",
    "loss": "dual-process",
    "prescribed": "golden",
    "grid": {"learning_rate": {"factor": 1.6, "steps": 2}, "momentum": {"factor": 1.6, "steps": 2}},
    "references": ["matlab", "pytorch", "plain", "same-effective-rate", "no-momentum"],
    "folds": 10,
    "folds_used": 1,
    "runs": 2,
    "epochs": 1,
    "batch_size": 128,
    "weight_decay": 0.0001,
    "bn_statistics": "population",
    "engine": "auto",
    "precision": "fp32",
    "racing": False,
    "priority": 0,
    "seed": 0,
    "claim": {"metric": "accuracy", "margin": 0.001, "confidence": 0.95},
}
"""The example of the design, whole, with less to train."""
COMPARISON = (
    "study verdict sentence margin confidence n regret replicates_needed prescribed best references confidence_set "
    "ridge populations secondary warnings method data_note"
)
SUMMARY = "label cell learning_rate momentum mean std n diverged rank percentile"


@pytest.fixture(scope="module")
def tiny(calm: Service) -> str:
    """A completed study of 8 cells."""
    return calm.run(TINY)


def test_example_of_the_design_runs_from_submission_to_answer(calm: Service) -> None:
    key = {"Idempotency-Key": "the example"}
    first = httpx.post(f"{calm.url}/v1/studies", json=EXAMPLE, headers=key)
    assert first.status_code == 201, first.text
    study = first.json()["id"]
    assert first.headers["Location"] == f"/v1/studies/{study}"
    again = httpx.post(f"{calm.url}/v1/studies", json=EXAMPLE, headers=key)
    assert (again.status_code, again.json()["id"]) == (201, study)
    other = httpx.post(f"{calm.url}/v1/studies", json=EXAMPLE | {"runs": 3}, headers=key)
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"

    seen = []
    while not seen or seen[-1]["status"] in ("queued", "running"):
        seen.append(calm.study(study))
        time.sleep(0.2)
    assert seen[-1]["status"] == "completed", seen[-1]["reason"]
    assert "running" in [document["status"] for document in seen]
    done = [document["progress"]["done"] for document in seen]
    assert done == sorted(done)
    assert len(set(done)) > 2
    cells = len(calm.get(f"/v1/studies/{study}/cells")["items"])
    assert {document["progress"]["total"] for document in seen} == {2 * cells}
    assert done[-1] == 2 * cells
    assert_exactly_once(calm.replicates(study), cells, 1, 2)

    answer = calm.get(f"/v1/studies/{study}/comparison")
    _assert_is_a_comparison(answer, study)
    assert answer["n"] == answer["prescribed"]["n"] == 2
    assert answer["prescribed"]["label"] == "golden"
    assert [reference["label"] for reference in answer["references"]] == EXAMPLE["references"]


def test_replicates_say_what_was_trained_and_on_what(calm: Service, tiny: str) -> None:
    rows = calm.replicates(tiny)
    assert_exactly_once(rows, 8, 1, 1)
    asked = "cell learning_rate momentum fold run outcome accuracy brier loss train_loss curve engine precision device"
    for row in rows:
        assert {*asked.split(), "seconds", "attempt"} <= row.keys()
        assert row["outcome"] == "finished"
        assert 0.1 < row["accuracy"] <= 1
        assert row["curve"]["accuracy"] == [row["accuracy"]]
        assert row["attempt"] == 1
    text = httpx.get(f"{calm.url}/v1/studies/{tiny}/replicates", params={"format": "csv"}).text
    assert len(text.splitlines()) == 1 + len(rows)


def test_optunas_command_lists_the_study(calm: Service, tiny: str) -> None:
    eventually(lambda: _complete(calm, tiny), 15, "the study is recorded")
    command = [str(Path(sys.executable).parent / "optuna"), "studies", "--storage", calm.storage_url, "-f", "json"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment(), timeout=60).stdout
    assert calm.study(tiny)["optuna_study"] in listed


def test_optuna_has_one_complete_trial_per_cell_and_the_right_best_one(calm: Service, tiny: str) -> None:
    eventually(lambda: _complete(calm, tiny), 15, "the study is recorded")
    cells = calm.get(f"/v1/studies/{tiny}/cells")["items"]
    recorded = calm.trials(tiny)
    for cell, trial in zip(cells, recorded, strict=True):
        assert trial.params == {"learning_rate": cell["learning_rate"], "momentum": cell["momentum"]}
        assert trial.value == cell["mean"]
        assert trial.user_attrs["n"] == 1
    best = max(recorded, key=lambda trial: trial.value)
    accuracies = {row["cell"]: row["accuracy"] for row in calm.replicates(tiny)}
    assert accuracies[best.number] == max(accuracies.values())
    assert calm.get(f"/v1/studies/{tiny}/comparison")["best"]["cell"] == best.number


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
def test_dashboard_refuses_to_change_anything(calm: Service, tiny: str, method: str) -> None:
    for path in ("/dashboard", "/api/studies", "/api/studies/1"):
        answer = httpx.request(method, calm.url + path, json={})
        assert answer.status_code == 405
        assert answer.headers["content-type"] == "application/problem+json"


def test_events_tell_every_change_until_the_end(calm: Service) -> None:
    study = calm.submit(TINY)
    lines = []
    with httpx.stream("GET", f"{calm.url}/v1/studies/{study}/events", timeout=60) as stream:
        lines = [line for line in stream.iter_lines() if line.startswith(("event:", "id:"))]
    assert lines.count("event: end") == 1
    revisions = [int(line.split(":")[1]) for line in lines if line.startswith("id:")]
    assert revisions == sorted(set(revisions))
    assert calm.study(study)["status"] == "completed"


def _complete(service: Service, study: str) -> bool:
    found = service.trials(study)
    return bool(found) and all(trial.state is TrialState.COMPLETE for trial in found)


def _assert_is_a_comparison(answer: dict[str, Any], study: str) -> None:
    assert set(COMPARISON.split()) <= answer.keys()
    assert answer["study"] == study
    assert answer["verdict"] in ("equivalent", "inferior", "undecided")
    assert answer["margin"] == 0.001
    assert answer["regret"].keys() >= {"estimate", "cross_fitted", "low", "high"}
    for row in (answer["prescribed"], answer["best"]):
        assert set(SUMMARY.split()) <= row.keys()
    for row in answer["references"]:
        assert row["difference"].keys() >= {"estimate", "low", "high"}
    assert answer["confidence_set"].keys() >= {"cells", "share"}
    assert answer["populations"].keys() >= {"seeds", "new_data"}
    assert answer["secondary"].keys() >= {"brier", "train_loss"}
    assert all(warning.keys() >= {"code", "text"} for warning in answer["warnings"])
