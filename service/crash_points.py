"""Points at which a test can have this process die, or lose the database's answer; none unless it is told to.

`GOLDENBENCH_CRASH_POINT` names one as `{transaction}:{moment}:{what}`, such as `accept:after-commit:die`, and may end
in `@n` for its n-th passage. Whoever can set a service's environment could as well kill it, so this opens no door.
"""

import os
import signal
from itertools import count

from sqlalchemy.exc import OperationalError

VARIABLE = "GOLDENBENCH_CRASH_POINT"
TRANSACTIONS = (
    "lead",
    "recover",
    "submit",
    "wish",
    "submit-suite",
    "wish-suite",
    "open",
    "refuse",
    "settle",
    "explain",
    "lease",
    "progress",
    "accept",
    "charge",
    "give-back",
    "race",
    "record",
    "record-check",
    "import",
    "stop",
)
"""Every writing transaction of the service, by what it does."""
MOMENTS = ("before-commit", "after-commit")
ACTIONS = ("die", "lose-answer")

_passages = count(1)


def reach(transaction: str, moment: str) -> None:
    """Pass a point.

    Args:
        transaction: one of TRANSACTIONS.
        moment: one of MOMENTS.

    Raises:
        OperationalError: the environment asks for it, as if the connection had broken just now.
    """
    wanted = os.environ.get(VARIABLE)  # 1 microsecond, where a commit takes hundreds
    if wanted is None:
        return
    point, _, passage = wanted.partition("@")
    named, _, action = point.rpartition(":")
    if named != f"{transaction}:{moment}" or next(_passages) != int(passage or 1):
        return
    if action == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    raise OperationalError(f"crash point {wanted}", None, ConnectionError("the answer was lost"))
