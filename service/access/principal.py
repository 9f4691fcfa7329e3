"""Who asks."""

from dataclasses import dataclass

from service.access.scopes import Scope


@dataclass(frozen=True)
class Principal:
    """Whoever sent a request."""

    scope: Scope
    token: str = ""
    """Id of the token that was made for them; empty for somebody without one."""
    login: str = ""
    """Id of the login whose cookie came with the request; empty without one."""


ANYBODY = Principal(Scope.ADMIN)
"""Somebody on this machine, while no tokens are required."""
NOBODY = Principal(Scope.OPEN)
"""Somebody whose token did not matter, or who has no valid one."""
