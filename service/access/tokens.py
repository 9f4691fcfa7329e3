"""Tokens: made, found again by what somebody presents, listed, revoked.

A token reads `gb_{id}_{secret}`. The secret has 256 random bits, so its plain SHA-256 is as hard to invert as it is to
guess the secret, and needs neither salt nor a slow hash; those protect what people make up. Whoever steals the
database learns hashes, and cannot present one.

A login is a token of its own that hangs on the one it was made with: it ends with it, and travels in a cookie only.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.access.principal import Principal
from service.access.scopes import TOKEN_SCOPES, Scope
from service.errors import Conflict, Invalid, NotFound
from service.store.tables import Token, now
from studies.fields import Problem

SECRET_BYTES = 32
LOGIN_TIME = timedelta(hours=12)
"""A working day, after which the cookie is of no use to whoever finds it."""
USED_STEP = timedelta(hours=1)
"""How finely the last use is noted; every request would be a write otherwise."""
LONGEST_NAME = 100
_FORM = re.compile(r"gb_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")


def create(session: Session, name: str, scope: Scope, days: float | None = None) -> tuple[Token, str]:
    """Add a token.

    Args:
        session: a writing transaction.
        name: whom it is for, printable, 1 to LONGEST_NAME characters.
        scope: what it may do.
        days: how long it is valid; None: until it is revoked.

    Returns:
        Its row, and the token itself, which is nowhere else.

    Raises:
        Invalid: the name or the scope breaks its rule.
    """
    if not (1 <= len(name) <= LONGEST_NAME and name.isprintable()):
        raise Invalid([Problem("name", f"must be printable text of 1 to {LONGEST_NAME} characters")])
    if scope is Scope.OPEN:
        raise Invalid([Problem("scope", f"must be one of {', '.join(TOKEN_SCOPES)}")])
    expires_at = None if days is None else now() + timedelta(days=days)
    return _add(session, name=name, scope=scope.name.lower(), expires_at=expires_at)


def find(session: Session, presented: str, login: bool) -> Token | None:
    """The valid token that somebody presents.

    Args:
        session: a transaction.
        presented: what came with a request.
        login: whether it came in a cookie, where logins belong and nothing else.

    Returns:
        None if it is no token, or one that is revoked, expired or in the wrong place.
    """
    form = _FORM.fullmatch(presented)
    row = session.get(Token, form[1]) if form else None
    if row is None or not hmac.compare_digest(row.sha256, _sha256(presented)):
        return None
    return row if (row.login_of is not None) == login and is_valid(session, row) else None


def principal(row: Token) -> Principal:
    """Whom a token or a login stands for."""
    return Principal(TOKEN_SCOPES[row.scope], row.login_of or row.id, row.id if row.login_of else "")


def is_valid(session: Session, row: Token) -> bool:
    """Whether a token is neither revoked nor expired, nor the one that it hangs on."""
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now()):
        return False
    parent = None if row.login_of is None else session.get(Token, row.login_of)
    return parent is None or is_valid(session, parent)


def log_in(session: Session, row: Token) -> str:
    """Add a login with a token, and clear away those that are over.

    Returns:
        What the cookie holds.
    """
    session.execute(sa.delete(Token).where(Token.login_of.is_not(None), Token.expires_at < now()))
    fields = {"name": row.name, "scope": row.scope, "login_of": row.id, "expires_at": now() + LOGIN_TIME}
    return _add(session, **fields)[1]


def log_out(session: Session, login: str) -> None:
    """End a login."""
    session.execute(sa.delete(Token).where(Token.id == login, Token.login_of.is_not(None)))


def revoke(session: Session, token_id: str) -> Token:
    """End a token, and with it every login.

    Raises:
        NotFound: there is none of that id.
        Conflict: it is revoked already.
    """
    row = session.get(Token, token_id) if token_id.isalnum() else None
    if row is None:
        raise NotFound(f"there is no token {token_id[:40]!r}")
    if row.revoked_at is not None:
        raise Conflict(f"token {token_id} is revoked already")
    row.revoked_at = now()
    return row


def listed(session: Session) -> Sequence[Token]:
    """The tokens that were made on the command line, the oldest first."""
    return session.scalars(sa.select(Token).where(Token.login_of.is_(None)).order_by(Token.created_at, Token.id)).all()


def any_valid(session: Session) -> bool:
    """Whether anybody could get in with a token."""
    return any(is_valid(session, row) for row in listed(session))


def is_use_due(session: Session, row: Token) -> bool:
    """Whether this use of a token, or of a login with it, is to be noted."""
    used = row if row.login_of is None else session.get_one(Token, row.login_of)
    return used.used_at is None or now() - used.used_at > USED_STEP


def note_use(session: Session, token_id: str) -> None:
    """Note that a token was used just now."""
    session.execute(sa.update(Token).where(Token.id == token_id).values(used_at=now()))


def _add(session: Session, **fields: object) -> tuple[Token, str]:
    token_id = secrets.token_hex(4)
    presented = f"gb_{token_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    row = Token(id=token_id, sha256=_sha256(presented), **fields)
    session.add(row)
    session.flush()
    return row, presented


def _sha256(presented: str) -> str:
    return hashlib.sha256(presented.encode()).hexdigest()
