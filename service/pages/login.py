"""Logging in and out with a browser."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from service.access import tokens
from service.access.cookie import clear_cookie, set_cookie
from service.access.scopes import LOGIN
from service.api.body import read_body
from service.api.context import Caller, Context, Shared
from service.pages.rendering import respond

_PATH = re.compile(r"/(?![/\\])[!-~]*")
"""Browsers take //host and /\\host for another site."""
NO_STORE = {"Cache-Control": "no-store"}

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True)
class LoginPage:
    """What `/login` shows."""

    wanted: str
    """Where to go on, a path of ours."""
    wrong: bool
    """Whether a token was tried that is not valid."""


@router.get(LOGIN)
def show_login(request: Request) -> HTMLResponse:
    """Ask for a token."""
    return _page(request, LoginPage(_own_path(request.query_params.get("next", "/")), wrong=False), 200)


@router.post(LOGIN)
async def log_in(request: Request, context: Shared) -> Response:
    """Exchange a token for a cookie of its own that ends with it, after some hours, or with the logout."""
    fields = parse_qs((await read_body(request)).decode("utf-8", "replace"))
    wanted = _own_path(fields.get("next", ["/"])[0])
    login = await run_in_threadpool(_log_in, context, fields.get("token", [""])[0].strip())
    if login is None:
        return _page(request, LoginPage(wanted, wrong=True), 401)
    answer = RedirectResponse(wanted, 303, NO_STORE)
    set_cookie(answer, request.url.scheme, login)
    return answer


@router.post("/logout")
def log_out(request: Request, context: Shared, caller: Caller) -> Response:
    """End the login, here and in the store."""
    with context.store.write() as session:
        tokens.log_out(session, caller.login)
    answer = RedirectResponse(LOGIN, 303, {**NO_STORE, "Clear-Site-Data": '"cache"'})
    clear_cookie(answer, request.url.scheme)
    return answer


def _log_in(context: Context, presented: str) -> str | None:
    """What the cookie holds; None if the token is not valid."""
    with context.store.read() as session:
        row = tokens.find(session, presented, login=False)
    if row is None:
        return None
    with context.store.write() as session:
        return tokens.log_in(session, row)


def _page(request: Request, page: LoginPage, status: int) -> HTMLResponse:
    return respond(request, "login.html", page, status, NO_STORE)


def _own_path(wanted: str) -> str:
    """A path of ours, whatever a link says."""
    return wanted if _PATH.fullmatch(wanted) else "/"
