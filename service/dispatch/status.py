"""What the process that answers requests knows of the dispatcher, which is another one."""

from dataclasses import dataclass

from service.dispatch.tally import Snapshot
from service.schemas.catalog import WorkerDocument


@dataclass(frozen=True)
class DispatcherStatus:
    """The dispatcher and the recorder a moment ago; before they have told anything, the defaults."""

    state: str = "starting"
    """`starting`, `waiting` (another one leads), `leading`, or what is missing at the moment."""
    scheduler: str = "away"
    """`connected`, `away`, or `not needed` where another one leads."""
    workers: tuple[WorkerDocument, ...] = ()
    tally: Snapshot = Snapshot()
    """What this dispatcher's packs came to."""
    record_lag: tuple[int, float] = (0, 0.0)
    """Studies that Optuna's record is behind with, and for how many seconds the one that waits longest."""
