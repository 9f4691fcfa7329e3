"""The door in front of everything: who asks, and whether they may.

A token comes as `Authorization: Bearer gb_...` from programs, and as the cookie of a login from browsers.
"""

import asyncio
import time
from urllib.parse import quote

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection
from starlette.websockets import WebSocketClose

from service.access import tokens
from service.access.cookie import cookie_name
from service.access.principal import ANYBODY, NOBODY, Principal
from service.access.scopes import LOGIN, READING, Rules, Scope
from service.api.problems import database_away, problem
from service.limits import UNLIMITED, Rate, address_of, too_often
from service.store.engine import Store

RECHECK_SECONDS = 10.0
"""How long a stream may go on after its token was revoked."""

log = structlog.get_logger("goldenbench.door")


class Door:
    """Lets a request through to whom its token opens the door.

    Args:
        app: what answers.
        store: with the tokens.
        rules: what each route needs.
        required: whether somebody without a token is nobody; else they may do everything.
        rate: how often a token or address may ask; counted only where tokens are required, since whoever is on this
            machine has shorter ways to keep it busy.
    """

    def __init__(self, app: ASGIApp, store: Store, rules: Rules, required: bool, rate: Rate) -> None:
        self._app = app
        self._store = store
        self._rules = rules
        self._required = required
        self._rate = rate
        self._noting: dict[str, asyncio.Task[None]] = {}

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass one request on with who sent it in `request.state.principal`, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
            return
        needed = self._rules.needed(scope["method"], scope["path"])
        try:
            principal = NOBODY if needed is Scope.OPEN else await self._who(HTTPConnection(scope))
        except SQLAlchemyError as error:
            await database_away(error)(scope, receive, send)
            return
        answer = self._too_often(scope, principal) or _refusal(scope, principal, needed)
        if answer is not None:
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, self._while_valid(scope, send) if principal.token else send)

    async def _who(self, connection: HTTPConnection) -> Principal:
        """Who sent a request; NOBODY if they show a token that is not valid, or none where one is required."""
        header = connection.headers.get("authorization")
        cookie = connection.cookies.get(cookie_name(connection.url.scheme), "")
        kind, _, presented = (header or "").partition(" ")
        if header is not None and kind.lower() != "bearer":
            return NOBODY
        if presented or cookie:
            principal, unnoted = await run_in_threadpool(self._find, presented.strip() or cookie, header is None)
            if unnoted and principal.token not in self._noting:
                self._noting[principal.token] = asyncio.create_task(self._note_use(principal.token))
            if principal is not NOBODY:
                return principal
        return NOBODY if self._required or header is not None else ANYBODY

    def _find(self, presented: str, login: bool) -> tuple[Principal, bool]:
        """Whom a token stands for, and whether this use of it is to be noted."""
        with self._store.read() as session:
            row = tokens.find(session, presented, login)
            return (NOBODY, False) if row is None else (tokens.principal(row), tokens.is_use_due(session, row))

    async def _note_use(self, token: str) -> None:
        """Note the use beside the request, which must not wait for a writer."""

        def write() -> None:
            with self._store.write() as session:
                tokens.note_use(session, token)

        try:
            await run_in_threadpool(write)
        except SQLAlchemyError as error:
            log.warning("use of a token not noted", token=token, error=str(error)[:300])
        finally:
            del self._noting[token]

    def _too_often(self, scope: Connection, principal: Principal) -> ASGIApp | None:
        """The refusal of a request that comes too soon after others of the same user."""
        if not self._required or scope["path"] in UNLIMITED:
            return None
        wait = self._rate.take(principal.token or address_of(scope))
        return too_often(wait) if wait else None

    def _while_valid(self, scope: Connection, send: Send) -> Send:
        """Sends an answer, and ends it early if the token ends meanwhile: a stream of events may go on for days."""
        checked, ended = time.monotonic(), False

        async def send_if_valid(message: Message) -> None:
            nonlocal checked, ended
            if ended:
                return
            if message.get("more_body") and time.monotonic() - checked > RECHECK_SECONDS:
                checked = time.monotonic()
                ended = await self._is_over(HTTPConnection(scope))
            await send({"type": "http.response.body", "body": b""} if ended else message)

        return send_if_valid

    async def _is_over(self, connection: HTTPConnection) -> bool:
        try:
            return not (await self._who(connection)).token
        except SQLAlchemyError:  # while the database is away, nobody can have revoked anything
            return False


def _refusal(scope: Connection, principal: Principal, needed: Scope) -> ASGIApp | None:
    """The answer to somebody who may not send a request; None to somebody who may."""
    connection = HTTPConnection(scope)
    request = f"{scope['method']} {scope['path']}"
    if needed is Scope.OPEN:
        return None
    if principal.scope is Scope.OPEN:
        wants_page = scope["method"] == "GET" and "text/html" in connection.headers.get("accept", "")
        if wants_page and "authorization" not in connection.headers:
            wanted = scope["path"] + (f"?{connection.url.query}" if connection.url.query else "")
            return RedirectResponse(f"{LOGIN}?next={quote(wanted, safe='')}", 303, {"Cache-Control": "no-store"})
        detail = f"{request} needs a valid token: Authorization: Bearer gb_..."
        return problem(401, "No valid token", detail, headers={"WWW-Authenticate": 'Bearer realm="goldenbench"'})
    if principal.scope < needed:
        name, own = needed.name.lower(), principal.scope.name.lower()
        return problem(403, "Forbidden", f"{request} needs a token with the scope {name}; this one has {own}")
    if principal.login and scope["method"] not in READING and "origin" not in connection.headers:
        detail = f"{request}: with a login, changes are asked for by our own pages only, which show in Origin"
        return problem(403, "Forbidden", detail)
    return None
