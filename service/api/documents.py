"""Rows of the store as the JSON that users see."""

import json
from datetime import datetime
from typing import Any

from service.lifecycle import TERMINAL, Status
from service.store.queries import Pace
from service.store.tables import Cell, Pack, Replicate, Study
from studies.golden import effective_learning_rate

REPLICATE_FIELDS = (
    "cell",
    "learning_rate",
    "momentum",
    "fold",
    "run",
    "outcome",
    "accuracy",
    "brier",
    "loss",
    "train_loss",
    "curve",
    "engine",
    "precision",
    "device",
    "seconds",
    "attempt",
    "reason",
)


def study_document(study: Study, pace: Pace | None, dashboard: int | None = None) -> dict[str, Any]:
    """One study.

    Args:
        study: its row.
        pace: how fast it goes; None where nobody asked.
        dashboard: Optuna's number of it.
    """
    status = study.shown
    spec = json.loads(study.spec)
    return {
        "id": study.id,
        "name": study.name,
        "status": status.value,
        "reason": study.reason,
        "progress": {"done": study.done, "total": study.total, "fraction": _fraction(study, spec["epochs"], pace)},
        "eta_seconds": _eta(study, status, spec["epochs"], pace),
        "optuna_study": study.optuna_name,
        "fingerprint": study.fingerprint,
        "runs": study.runs,
        "looks": study.looks,
        "race_runs": study.race_runs,
        "priority": study.priority,
        "dataset_sha256": study.dataset_sha256,
        "numeric_class": study.numeric_class,
        "created_at": moment(study.created_at),
        "started_at": moment(study.started_at),
        "finished_at": moment(study.finished_at),
        "revision": study.revision,
        "spec": spec,
        "links": links(study.id, dashboard),
    }


def links(study_id: str, dashboard: int | None) -> dict[str, str]:
    """Where the rest of a study is."""
    root = f"/v1/studies/{study_id}"
    parts = ("cells", "replicates", "packs", "manifest", "comparison", "events")
    return {
        "self": root,
        **{part: f"{root}/{part}" for part in parts},
        "page": f"/studies/{study_id}",
        "dashboard": "/dashboard" if dashboard is None else f"/dashboard/studies/{dashboard}",
    }


def cell_document(cell: Cell, mean: float | None, std: float | None) -> dict[str, Any]:
    """One cell with its present mean and standard deviation of accuracy."""
    return {
        "cell": cell.cell,
        "learning_rate": cell.learning_rate,
        "momentum": cell.momentum,
        "effective_learning_rate": effective_learning_rate(cell.learning_rate, cell.momentum),
        "labels": cell.labels,
        "in_grid": cell.in_grid,
        "n": cell.n,
        "diverged": cell.diverged,
        "failed": cell.failed,
        "dropped_after": cell.dropped_after,
        "mean": mean,
        "std": std,
    }


def pack_document(pack: Pack) -> dict[str, Any]:
    """One pack with its log."""
    return {
        "id": pack.id,
        "state": pack.state,
        "members": [{"cell": cell, "fold": fold, "run": run} for cell, fold, run in pack.members],
        "attempt": pack.attempt,
        "charged": pack.charged,
        "worker": pack.worker,
        "seconds": pack.seconds,
        "log": pack.log,
        "created_at": moment(pack.created_at),
        "started_at": moment(pack.started_at),
        "finished_at": moment(pack.finished_at),
    }


def replicate_document(replicate: Replicate, points: dict[int, tuple[float, float]]) -> dict[str, Any]:
    """One replicate; `points` gives the (learning rate, momentum) of each cell."""
    learning_rate, momentum = points[replicate.cell]
    own = {"learning_rate": learning_rate, "momentum": momentum}
    return {name: own[name] if name in own else getattr(replicate, name) for name in REPLICATE_FIELDS}


def moment(value: datetime | None) -> str | None:
    """A time as ISO 8601, UTC."""
    return None if value is None else value.isoformat()


def _fraction(study: Study, epochs: int, pace: Pace | None) -> float:
    """Share of the work that is done, epochs of running packs included."""
    in_flight = 0 if pace is None else pace.epochs_in_flight / epochs
    return min(1.0, (study.done + in_flight) / study.total)


def _eta(study: Study, status: Status, epochs: int, pace: Pace | None) -> float | None:
    """Seconds until the end at the present pace; None before the first pack is done."""
    if status in TERMINAL:
        return 0.0
    if pace is None or pace.seconds_per_replicate is None or status is Status.PAUSED:
        return None
    left = max(0.0, study.total - study.done - pace.epochs_in_flight / epochs)
    return left * pace.seconds_per_replicate / max(1, pace.running_packs)
