"""The life of a study: pure functions of its stored status and the user's last wish.

The dispatcher alone moves `status`; the API writes `desired`. What a user sees is both together, so that a request
shows at once although the dispatcher carries it out a moment later.
"""

from enum import StrEnum

from service.errors import Conflict


class Status(StrEnum):
    """What a user sees."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Desired(StrEnum):
    """What the user asked for last."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"
    DELETE = "delete"


class Action(StrEnum):
    """What a user may ask of a study."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    EXTEND = "extend"
    DELETE = "delete"


TERMINAL = frozenset({Status.COMPLETED, Status.CANCELLED, Status.FAILED})
_WISH = {
    Action.CANCEL: Desired.CANCEL,
    Action.PAUSE: Desired.PAUSE,
    Action.RESUME: Desired.RUN,
    Action.EXTEND: Desired.RUN,
    Action.DELETE: Desired.DELETE,
}


def shown(status: str, desired: str, extended: bool = False) -> Status:
    """The status a user sees.

    Args:
        status: as the dispatcher stored it.
        desired: the user's last wish.
        extended: whether replicates are wanted that are not stored; a completed study with such waits for them.
    """
    stored = Status(status)
    if stored is Status.COMPLETED and extended:
        stored = Status.QUEUED
    if stored in TERMINAL:
        return stored
    if desired == Desired.CANCEL:
        return Status.CANCELLED
    if desired == Desired.PAUSE:
        return Status.PAUSED
    return Status.QUEUED if stored is Status.PAUSED else stored


def wish(action: Action, status: Status) -> Desired:
    """The wish that an action writes.

    Args:
        action: what the user asks.
        status: what the user sees.

    Raises:
        Conflict: the action does not go with the status.
    """
    if action is Action.DELETE:
        if status not in TERMINAL:
            raise Conflict(f"the study is {status}; cancel it before deleting it")
    elif action is Action.EXTEND:
        if status in (Status.CANCELLED, Status.FAILED):
            raise Conflict(f"the study is {status}; only a queued, running, paused or completed study can be extended")
        if status is Status.PAUSED:
            return Desired.PAUSE
    elif status in TERMINAL:
        raise Conflict(f"the study is {status} and cannot be changed any more")
    return _WISH[action]


def settle(status: str, desired: str, done: int, total: int, complete_columns: int) -> Status:
    """The next stored status.

    Args:
        status: as stored.
        desired: the user's last wish.
        done, total: stored and wanted replicates.
        complete_columns: (fold, run) for which every cell has a score.
    """
    stored = Status(status)
    if desired == Desired.CANCEL and stored not in TERMINAL:
        return Status.CANCELLED
    if done >= total and stored not in (Status.CANCELLED, Status.FAILED):
        return Status.COMPLETED if complete_columns > 0 else Status.FAILED
    if stored is Status.COMPLETED:
        return Status.QUEUED  # it was extended
    if desired == Desired.PAUSE and stored in (Status.QUEUED, Status.RUNNING):
        return Status.PAUSED
    if desired == Desired.RUN and stored is Status.PAUSED:
        return Status.QUEUED
    return stored
