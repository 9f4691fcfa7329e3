"""`goldenbench token`: who may use a service, written into its database."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from service.access import tokens
from service.access.scopes import TOKEN_SCOPES
from service.cli.nodes import settings
from service.errors import SetupError
from service.store.engine import Store
from service.store.tables import Token, now


def create(name: str, scope: str, days: float | None, if_none: bool = False, **flags: Any) -> None:
    """Make a token. Only the token goes to standard output, so that a script can catch it."""
    with _store(flags) as store, store.write() as session:
        if if_none and tokens.any_valid(session):
            print("there is a valid token already, so none is made", file=sys.stderr)
            return
        row, presented = tokens.create(session, name, TOKEN_SCOPES[scope], days)
        until = "until it is revoked" if row.expires_at is None else f"until {row.expires_at:%Y-%m-%d %H:%M} UTC"
    print(f"token {row.id}, scope {scope}, valid {until}; it is shown only now:", file=sys.stderr, flush=True)
    print(presented)


def show(as_json: bool, **flags: Any) -> None:
    """List the tokens."""
    with _store(flags) as store, store.read() as session:
        rows = [_document(row) for row in tokens.listed(session)]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("Id", "Name", "Scope", "State", "Made", "Expires", "Last used", box=None, pad_edge=False)
    for row in rows:
        days = [(row[field] or "–")[:10] for field in ("created_at", "expires_at", "used_at")]
        table.add_row(row["id"], escape(row["name"]), row["scope"], row["state"], *days)
    Console().print(table)


def revoke(token_id: str, **flags: Any) -> None:
    """End a token and the logins with it."""
    with _store(flags) as store, store.write() as session:
        row = tokens.revoke(session, token_id.removeprefix("gb_")[:8])
    print(f"token {row.id} ({row.name}) is revoked", file=sys.stderr)


def _document(row: Token) -> dict[str, Any]:
    expired = row.expires_at is not None and row.expires_at <= now()
    moments = {name: getattr(row, name) for name in ("created_at", "expires_at", "revoked_at", "used_at")}
    return {
        "id": row.id,
        "name": row.name,
        "scope": row.scope,
        "state": "revoked" if row.revoked_at else "expired" if expired else "valid",
        **{name: None if at is None else at.isoformat() for name, at in moments.items()},
    }


@contextmanager
def _store(flags: dict[str, Any]) -> Iterator[Store]:
    store = Store(settings(**flags).store_url)
    try:
        store.migrate()
        yield store
    except SQLAlchemyError as error:
        raise SetupError(f"the database cannot be used: {str(error).splitlines()[0]}") from error
    finally:
        store.close()
