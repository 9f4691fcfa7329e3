"""The head of a study: what it is, how far it is, and what can be done about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.lifecycle import TERMINAL, Action, Status
from service.pages import wording
from service.pages.wording import Fact
from service.schemas.studies import StudyDocument

ACTIONS: dict[Status, tuple[Action, ...]] = {
    Status.QUEUED: (Action.PAUSE, Action.CANCEL),
    Status.RUNNING: (Action.PAUSE, Action.CANCEL),
    Status.PAUSED: (Action.RESUME, Action.CANCEL),
}
"""What a page offers; the lifecycle decides what is done."""


@dataclass(frozen=True)
class Head:
    """One study in a list and at the top of its page."""

    id: str
    name: str
    status: str
    reason: str | None
    progress: Fact
    fraction: str
    """of the work that is done, 0 to 1"""
    left: str
    """how long it will go on; empty if unknown or over"""
    about: str
    """data set and loss"""
    created: str
    actions: tuple[str, ...]
    goes_on: bool
    """whether it may still change by itself"""


def head(study: StudyDocument) -> Head:
    """The head of a study document."""
    status, progress, spec = Status(study["status"]), study["progress"], study["spec"]
    goes_on = status not in TERMINAL
    eta = study["eta_seconds"]
    each = (
        f"{spec['folds_used']} of {spec['folds']} folds x {study['runs']} runs of every cell, {spec['epochs']} epochs"
    )
    return Head(
        id=study["id"],
        name=study["name"],
        status=status.value,
        reason=study["reason"],
        progress=Fact(f"{progress['done']:,} of {progress['total']:,}", f"stored trainings; {each} each"),
        fraction=f"{progress['fraction']:.4f}",
        left=f"about {wording.duration(eta)} left" if goes_on and eta else "",
        about=f"{spec['dataset']}, {spec['loss']}",
        created=wording.moment(study["created_at"]),
        actions=tuple(action.value for action in ACTIONS.get(status, ())),
        goes_on=goes_on,
    )


def in_motion(heads: Sequence[Head]) -> bool:
    """Whether any of the studies may still change by itself."""
    return any(one.goes_on for one in heads)
