"""Every error a user can meet, drawn whole; each knows its HTTP status and its default message.

GoldenbenchError
├── NotFound            404  no such thing
├── Conflict            409  the study's state forbids it
├── TooSlow             408  the body did not come in time
├── Invalid             422  fields that break rules (also 400 for unreadable, 413 for oversize bodies)
│   ├── Unreadable      400
│   └── TooLarge        413
├── TooMany             429  a limit on how much one user may ask for
├── Unavailable         503  try again later
├── LeadershipLost      500  another dispatcher leads; never reaches a client
├── DispatcherDied      500  the service ends, since its dispatcher has; never reaches a client
└── SetupError          500  the service cannot start as it was told to
"""

from collections.abc import Sequence

from studies.fields import Problem


class GoldenbenchError(Exception):
    """Something went wrong."""

    status = 500
    title = "Internal error"
    retry_after_seconds: int | None = None
    """After which the same request may succeed; None where it will not by itself."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or (type(self).__doc__ or "").partition("\n")[0])

    @property
    def detail(self) -> str:
        """The message for a person."""
        return str(self.args[0])


class NotFound(GoldenbenchError):
    """There is no such thing."""

    status = 404
    title = "Not found"


class Conflict(GoldenbenchError):
    """The state of the study does not allow this."""

    status = 409
    title = "Conflict"


class TooSlow(GoldenbenchError):
    """The body of the request did not come in time."""

    status = 408
    title = "Request timeout"


class Invalid(GoldenbenchError):
    """The request breaks a rule."""

    status = 422
    title = "Invalid request"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


class Unreadable(Invalid):
    """The body is not JSON."""

    status = 400
    title = "Unreadable body"


class TooLarge(Invalid):
    """The body is too large."""

    status = 413
    title = "Body too large"


class TooMany(GoldenbenchError):
    """More is waiting than one user may have waiting."""

    status = 429
    title = "Too many requests"
    retry_after_seconds = 60


class Unavailable(GoldenbenchError):
    """The database does not answer at the moment."""

    status = 503
    title = "Temporarily unavailable"
    retry_after_seconds = 5


class LeadershipLost(GoldenbenchError):
    """Another dispatcher leads this database."""


class DispatcherDied(GoldenbenchError):
    """The dispatcher's process has died, and the service ended with it: start it again, and studies go on."""


class SetupError(GoldenbenchError):
    """The service cannot start with these settings."""
