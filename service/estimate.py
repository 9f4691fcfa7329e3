"""What a study would cost, from what this service has measured, and what it could show."""

import json

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.schemas.studies import EstimateDocument, PowerDocument
from service.store.tables import Pack, Study
from service.submission import Checked
from studies.comparison.planning import Landscape, verdict_probability
from studies.datasets import registry
from studies.spec import StudySpec

ASSUMED_SPREAD = 0.003
"""Standard deviation of a paired difference of accuracies that the power assumes: what 1,000 test images near 99 %
give two trainings that share their seeds."""
RECENT_PACKS = 200


def estimate(session: Session, checked: Checked, slots: int) -> EstimateDocument:
    """Cost and power of a study that has not run.

    Args:
        session: to read what earlier packs took.
        checked: the study.
        slots: devices at hand now.

    Returns:
        Trainings, device-seconds and ETA (null before anything comparable was measured), and the probability of the
        verdict `equivalent` if the prescribed point is as good as the best.
    """
    spec = checked.spec
    seconds, measured_on = _seconds_per_epoch(session, spec)
    device_seconds = None if seconds is None else seconds * spec.epochs * checked.trainings
    return {
        "cells": len(checked.cells),
        "replicates_per_cell": spec.replicates_per_cell,
        "trainings": checked.trainings,
        "epochs": checked.trainings * spec.epochs,
        "device_seconds": device_seconds,
        "eta_seconds": None if device_seconds is None else device_seconds / max(1, slots),
        "devices": slots,
        "measured_on_trainings": measured_on,
        "power": _power(checked),
    }


def _seconds_per_epoch(session: Session, spec: StudySpec) -> tuple[float | None, int]:
    """Device-seconds per network-epoch, over recent packs of the same model, data set and engine."""
    query = (
        sa.select(Pack.seconds, Pack.members, Study.spec)
        .join(Study, Study.id == Pack.study_id)
        .where(Pack.state == "done", Pack.seconds.is_not(None))
        .order_by(Pack.ordinal.desc())
        .limit(RECENT_PACKS)
    )
    seconds, epochs, trainings = 0.0, 0, 0
    for took, members, text in session.execute(query):
        other = json.loads(text)  # unchecked: its model may no longer be installed
        if (other["model"], other["dataset"], other["engine"]) == (spec.model, spec.dataset, spec.engine):
            seconds += took
            epochs += len(members) * other["epochs"]
            trainings += len(members)
    return (seconds / epochs if epochs else None), trainings


def _power(checked: Checked) -> PowerDocument:
    spec = checked.spec
    competitors = max(1, len(checked.cells) - 1)
    landscape = Landscape(
        means=np.zeros(competitors),
        deviations=np.full(competitors, ASSUMED_SPREAD),
        shared=ASSUMED_SPREAD / np.sqrt(2),
    )
    equivalent, _inferior = verdict_probability(
        landscape,
        spec.replicates_per_cell,
        margin=spec.claim.margin,
        confidence=spec.claim.confidence,
        folds=spec.folds_used,
    )
    images = registry.get(spec.dataset).images
    return {
        "equivalent": equivalent,
        "margin": spec.claim.margin,
        "margin_in_test_images": None if images is None else spec.claim.margin * (images // spec.folds),
        "assumed_paired_spread": ASSUMED_SPREAD,
        "assumes": "all cells equally good, paired differences normal with the assumed spread",
    }
