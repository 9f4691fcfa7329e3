"""The cookie of a login."""

from starlette.responses import Response

from service.access.tokens import LOGIN_TIME

NAME = "goldenbench"


def cookie_name(scheme: str) -> str:
    """What the cookie is called; with HTTPS, browsers then take it from this very host only, and only encrypted."""
    return f"__Host-{NAME}" if scheme == "https" else NAME


def set_cookie(response: Response, scheme: str, value: str) -> None:
    """Give a browser a login."""
    _set(response, scheme, value, round(LOGIN_TIME.total_seconds()))


def clear_cookie(response: Response, scheme: str) -> None:
    """Take it away."""
    _set(response, scheme, "", 0)


def _set(response: Response, scheme: str, value: str, seconds: int) -> None:
    """No script reads it, and a browser sends it with no request that another site causes."""
    secure = scheme == "https"
    response.set_cookie(cookie_name(scheme), value, seconds, path="/", secure=secure, httponly=True, samesite="strict")
