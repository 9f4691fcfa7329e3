"""How often somebody may ask, and how many at once, so that one user cannot take the service from the others."""

import ipaddress
import math
import time
from collections import OrderedDict

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem

BURST_SECONDS = 10.0
"""A user who was quiet may ask at once for as much as the rate gives in this time: a page with its files, a script."""
MOST_USERS = 10_000
"""Users that are remembered; the one that asked longest ago is forgotten first."""
IPV6_NETWORK = 64
"""Bits of an IPv6 address that a user cannot change: a network is given out as a whole."""
UNLIMITED = ("/healthz",)
"""Who watches the service has to see that it lives when it is busy."""


class Rate:
    """A bucket for each user that fills at a steady rate (token bucket) and from which each request takes one.

    Not thread-safe: it belongs to the event loop. (The library `limits` starts a thread for each request that it counts
    in memory, and forgets nobody early.)

    Args:
        per_second: requests that a user may send for ever.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second * BURST_SECONDS)
        self._users: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What is in a user's bucket, and when that was so."""

    def take(self, user: str) -> float:
        """Count one request.

        Returns:
            0 if it may pass, else the seconds until the next one may.
        """
        now = time.monotonic()
        left, at = self._users.pop(user, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_second)
        wait = 0.0 if left >= 1 else (1 - left) / self._per_second
        self._users[user] = (left if wait else left - 1, now)
        if len(self._users) > MOST_USERS:
            self._users.popitem(last=False)
        return wait


def address_of(scope: Scope) -> str:
    """Whom a request without a token counts for: an address, or the network of an IPv6 one."""
    client = scope.get("client")
    host = client[0] if client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False)) if address.version == 6 else host


def too_often(wait_seconds: float) -> ASGIApp:
    """The answer to a request that came too soon."""
    wait = max(1, math.ceil(wait_seconds))
    detail = f"this is more than GOLDENBENCH_REQUESTS_PER_SECOND; the next request may come in {wait} s"
    return problem(429, "Too many requests", detail, headers={"Retry-After": str(wait)})


class Crowd:
    """Refuses requests while as many are being answered as the service takes at once.

    Args:
        app: what answers the others.
        most: requests at once.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._present = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in UNLIMITED:
            await self._app(scope, receive, send)
            return
        if self._present >= self._most:
            detail = f"{self._most} requests (GOLDENBENCH_MAX_REQUESTS) are being answered at the moment"
            busy = problem(503, "Busy", detail, headers={"Retry-After": "1"})
            await busy(scope, receive, send)
            return
        self._present += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._present -= 1
