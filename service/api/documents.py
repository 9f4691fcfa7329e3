"""Rows of the store as the JSON that users see."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast, overload

from service.lifecycle import TERMINAL, Status
from service.schemas.data import CellDocument, PackDocument, PackState, ReplicateDocument
from service.schemas.studies import StudyDocument, StudyLinks
from service.store.queries import Pace
from service.store.tables import Cell, Pack, Replicate, Study
from studies.entry_points import Registry
from studies.golden import effective_learning_rate
from studies.results import Outcome

REPLICATE_FIELDS = tuple(ReplicateDocument.__annotations__)
"""In the order in which files have them."""


def study_document(study: Study, pace: Pace | None, dashboard: int | None = None) -> StudyDocument:
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
        "status": status,
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


def links(study_id: str, dashboard: int | None) -> StudyLinks:
    """Where the rest of a study is."""
    root = f"/v1/studies/{study_id}"
    return {
        "self": root,
        "cells": f"{root}/cells",
        "replicates": f"{root}/replicates",
        "packs": f"{root}/packs",
        "manifest": f"{root}/manifest",
        "comparison": f"{root}/comparison",
        "events": f"{root}/events",
        "page": f"/studies/{study_id}",
        "dashboard": "/dashboard" if dashboard is None else f"/dashboard/studies/{dashboard}",
    }


def cell_document(cell: Cell, mean: float | None, std: float | None) -> CellDocument:
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


def pack_document(pack: Pack) -> PackDocument:
    """One pack with its log."""
    return {
        "id": pack.id,
        "state": cast(PackState, pack.state),
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


def replicate_document(replicate: Replicate, points: Mapping[int, tuple[float, float]]) -> ReplicateDocument:
    """One replicate; `points` gives the (learning rate, momentum) of each cell."""
    learning_rate, momentum = points[replicate.cell]
    curve = replicate.curve
    return {
        "cell": replicate.cell,
        "learning_rate": learning_rate,
        "momentum": momentum,
        "fold": replicate.fold,
        "run": replicate.run,
        "outcome": Outcome(replicate.outcome),
        "accuracy": replicate.accuracy,
        "brier": replicate.brier,
        "loss": replicate.loss,
        "train_loss": replicate.train_loss,
        "curve": {"accuracy": curve["accuracy"], "loss": curve["loss"], "train_loss": curve["train_loss"]},
        "engine": replicate.engine,
        "precision": replicate.precision,
        "device": replicate.device,
        "seconds": replicate.seconds,
        "attempt": replicate.attempt,
        "reason": replicate.reason,
    }


@overload
def moment(value: datetime) -> str: ...
@overload
def moment(value: datetime | None) -> str | None: ...
def moment(value: datetime | None) -> str | None:
    """A time as ISO 8601, UTC."""
    return None if value is None else value.isoformat()


def package_of(names: Registry[Any], name: str) -> str | None:
    """The package and version that registered a name; None for what ships."""
    origin = names.origin(name)
    return None if origin is None else str(origin)


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
