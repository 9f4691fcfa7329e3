"""The studies that are struck, and what a calm run of them gives."""

import secrets
from typing import Any

from tests.chaos.deployment import Deployment
from tests.chaos.invariants import check, table

Key = tuple[int, int, int]
"""(cell, fold, run)"""


def spec(runs: int, seed: int = 0, name: str = "chaos") -> dict[str, Any]:
    """13 cells, 2 folds: 26 trainings per run."""
    return {
        "name": name,
        "dataset": "chaos-spots",
        "model": "chaos-linear",
        "loss": "cross-entropy",
        "engine": "reference",
        "grid": {"learning_rate": {"values": [0.01, 0.1, 1.0, 5.0]}, "momentum": {"values": [0.0, 0.5, 0.9]}},
        "references": [],
        "folds": 3,
        "folds_used": 2,
        "runs": runs,
        "epochs": 2,
        "batch_size": 16,
        "seed": seed,
    }


def submit(deployment: Deployment, document: dict[str, Any]) -> str:
    """Queue a study under a new key; its id."""
    return deployment.submit(document, secrets.token_hex(8))


def calm_run(deployment: Deployment, document: dict[str, Any]) -> list[str]:
    """Run a study that nothing happens to; its table. Its invariants hold, or nothing below means anything."""
    study = submit(deployment, document | {"name": "calm"})
    deployment.wait(study)
    calm = table(deployment, study)
    check(deployment, study, calm)
    deployment.log.note("calm run", study=study, trainings=len(calm))
    return calm


def struck_run(deployment: Deployment, study: str, calm: list[str]) -> None:
    """Wait for a struck study and hold it against the calm run."""
    deployment.wait(study)
    check(deployment, study, calm)
    deployment.log.count_up("studies")
    deployment.log.count_up("trainings", len(calm))
    deployment.log.note("as calm", study=study)
