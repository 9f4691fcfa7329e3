"""The workers on `/`: what each of them is and does."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.pages import wording
from service.pages.wording import Fact
from service.schemas.catalog import WorkerDocument

FEWEST_A_SECOND = 0.1
"""Trainings per second below which a rate is told by the minute."""


@dataclass(frozen=True)
class ListedWorker:
    """One worker in the list."""

    name: str
    device: str
    study: str | None
    """id of the study that it trains for; None while it is idle"""
    pack: str
    """empty while it is idle"""
    rate: Fact


def workers_listed(documents: Sequence[WorkerDocument]) -> tuple[ListedWorker, ...]:
    """Workers in a list, as `/v1/workers` gives them."""
    return tuple(
        ListedWorker(one["name"], one["device"], one["study"], one["pack"] or "", _rate(one["trainings_per_second"]))
        for one in documents
    )


def _rate(per_second: float | None) -> Fact:
    if per_second is None:
        return Fact(wording.NOTHING, "it has not ended a pack since the service started")
    meaning = "while it trains, over its last packs; how fast depends on what it trains"
    if per_second < FEWEST_A_SECOND:
        return Fact(f"{60 * per_second:.2g} trainings/min", meaning)
    return Fact(f"{per_second:.2g} trainings/s", meaning)
