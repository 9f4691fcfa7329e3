"""Tokens of every kind for the tests of access."""

from dataclasses import dataclass
from datetime import timedelta

from service.access import tokens
from service.access.scopes import TOKEN_SCOPES
from service.store.engine import Store
from service.store.tables import Token, now


@dataclass(frozen=True)
class Tokens:
    """A token of each scope, and ones that are not valid."""

    read: str
    submit: str
    admin: str
    revoked: str
    expired: str
    wrong: str

    def headers(self, name: str) -> dict[str, str]:
        """What a program sends; nothing for `none`."""
        return {} if name == "none" else {"Authorization": f"Bearer {getattr(self, name)}"}


def made(store: Store, scope: str, name: str = "Ann", days: float | None = None) -> str:
    """A new token."""
    with store.write() as session:
        return tokens.create(session, name, TOKEN_SCOPES[scope], days)[1]


def id_of(token: str) -> str:
    """The visible part of a token."""
    return token.split("_")[1]


def expire(store: Store, token_id: str) -> None:
    """Let a token have ended a second ago."""
    with store.write() as session:
        session.get_one(Token, token_id).expires_at = now() - timedelta(seconds=1)


def revoke(store: Store, token: str) -> None:
    """End a token."""
    with store.write() as session:
        tokens.revoke(session, id_of(token))


def every_kind(store: Store) -> Tokens:
    """A token of each kind; those that are not valid would be admin's."""
    revoked, expired = made(store, "admin"), made(store, "admin", days=1)
    revoke(store, revoked)
    expire(store, id_of(expired))
    valid = made(store, "admin")
    wrong = valid[:-1] + ("A" if valid[-1] != "A" else "B")
    return Tokens(made(store, "read"), made(store, "submit"), valid, revoked, expired, wrong)
