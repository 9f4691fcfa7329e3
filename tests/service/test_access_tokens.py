"""Tokens in the store: what is kept of them, when they end, whose keys and studies are whose."""

import hashlib
import json
import re
import time
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from access_data import Tokens, every_kind, expire, id_of, made, revoke
from service_data import Service, small
from typer.testing import CliRunner

from service.access import tokens
from service.access.scopes import TOKEN_SCOPES, Scope
from service.cli import tokens as command
from service.cli.main import ScopeName, app
from service.errors import Conflict, Invalid, NotFound
from service.store.engine import Store
from service.store.tables import Study, Token


@pytest.fixture
def guarded(serve: Any, sqlite_store: Store) -> Service:
    """The app where tokens are required."""
    found: Service = serve(sqlite_store, require_tokens=True)
    return found


@pytest.fixture
def given(guarded: Service) -> Tokens:
    """Tokens of every kind."""
    return every_kind(guarded.store)


def rows(store: Store) -> list[Token]:
    with store.read() as session:
        return list(session.scalars(sa.select(Token)))


def valid(store: Store, presented: str, login: bool = False) -> bool:
    with store.read() as session:
        return tokens.find(session, presented, login) is not None


def test_store_keeps_the_hash_of_a_token_and_not_the_token(store: Store) -> None:
    presented = made(store, "submit")
    secret = presented.split("_", 2)[2]
    with store.read() as session:
        kept = session.execute(sa.text("SELECT * FROM gb_tokens")).all()
    assert len(secret) == 43, "256 bits"
    assert secret not in str(kept)
    assert hashlib.sha256(presented.encode()).hexdigest() in str(kept)
    assert valid(store, presented)


def test_tokens_are_all_different(sqlite_store: Store) -> None:
    assert len({made(sqlite_store, "read") for _ in range(50)}) == 50


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "A", lambda t: t.upper(), lambda t: " " + t, str])
def test_find_takes_nothing_but_the_token(sqlite_store: Store, change: Any) -> None:
    presented = made(sqlite_store, "read")
    assert valid(sqlite_store, change(presented)) == (change is str)


def test_find_does_not_take_the_secret_of_another_token(sqlite_store: Store) -> None:
    one, other = made(sqlite_store, "read"), made(sqlite_store, "admin")
    assert not valid(sqlite_store, f"gb_{id_of(other)}_{one.split('_', 2)[2]}")


def test_token_ends_when_it_is_revoked_or_expires(store: Store) -> None:
    lasting, short = made(store, "read"), made(store, "read", days=1)
    assert valid(store, lasting)
    assert valid(store, short)
    revoke(store, lasting)
    expire(store, id_of(short))
    assert not valid(store, lasting)
    assert not valid(store, short)


def test_a_login_ends_with_its_token_and_goes_in_a_cookie_only(store: Store) -> None:
    presented = made(store, "submit")
    with store.write() as session:
        row = tokens.find(session, presented, login=False)
        assert row is not None
        login, second = tokens.log_in(session, row), tokens.log_in(session, row)
    assert valid(store, login, login=True)
    assert not valid(store, login, login=False)
    assert not valid(store, presented, login=True)
    with store.write() as session:
        tokens.log_out(session, id_of(second))
        tokens.log_out(session, id_of(presented))  # not a login: stays
    assert not valid(store, second, login=True)
    assert valid(store, presented)
    revoke(store, presented)
    assert not valid(store, login, login=True)


def test_logins_that_are_over_are_cleared_away(sqlite_store: Store) -> None:
    presented = made(sqlite_store, "read")
    with sqlite_store.write() as session:
        row = tokens.find(session, presented, login=False)
        assert row is not None
        old = tokens.log_in(session, row)
    expire(sqlite_store, id_of(old))
    assert not valid(sqlite_store, old, login=True)
    with sqlite_store.write() as session:
        row = session.get_one(Token, id_of(presented))
        new = tokens.log_in(session, row)
    assert {row.id for row in rows(sqlite_store)} == {id_of(presented), id_of(new)}


def test_revoke_says_when_there_is_nothing_to_revoke(sqlite_store: Store) -> None:
    presented = made(sqlite_store, "read")
    revoke(sqlite_store, presented)
    with pytest.raises(Conflict, match="revoked already"):
        revoke(sqlite_store, presented)
    for unknown in ("00000000", "\0", "%", ""):
        with sqlite_store.write() as session, pytest.raises(NotFound, match="no token"):
            tokens.revoke(session, unknown)


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "\x1b[2J", "\u202e"])
def test_create_refuses_a_name_that_a_terminal_could_not_show(sqlite_store: Store, name: str) -> None:
    with sqlite_store.write() as session, pytest.raises(Invalid, match="name: must be printable"):
        tokens.create(session, name, Scope.READ)
    with sqlite_store.write() as session, pytest.raises(Invalid, match="scope: must be one of read"):
        tokens.create(session, "Ann", Scope.OPEN)


def test_use_of_a_token_is_noted_to_the_hour(guarded: Service, given: Tokens) -> None:
    for _ in range(3):
        assert guarded.client.get("/v1/derived", headers=given.headers("read")).status_code == 200

    def used() -> dict[str, Any]:
        return {row.id: row.used_at for row in rows(guarded.store)}

    deadline = time.monotonic() + 30
    while used()[id_of(given.read)] is None:  # it is noted beside the answers
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert used()[id_of(given.submit)] is None


def test_each_token_has_idempotency_keys_of_its_own(guarded: Service, given: Tokens) -> None:
    def posted(path: str, caller: str, document: dict[str, Any]) -> str:
        headers = given.headers(caller) | {"Idempotency-Key": "mine"}
        answer = guarded.client.post(path, json=document, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    first = posted("/v1/studies", "submit", small())
    assert posted("/v1/studies", "submit", small()) == first
    assert posted("/v1/studies", "admin", small(name="another")) != first
    suite = json.loads((guarded.client.get("/v1/presets", headers=given.headers("read"))).text)["suites"][0]["quick"]
    suites = [posted("/v1/suites", caller, suite["spec"]) for caller in ("submit", "submit", "admin")]
    assert suites[0] == suites[1] != suites[2]


def test_a_study_remembers_the_token_that_submitted_it(guarded: Service, given: Tokens) -> None:
    study = guarded.client.post("/v1/studies", json=small(), headers=given.headers("submit")).json()["id"]
    with guarded.store.read() as session:
        assert session.scalar(sa.select(Study.token).where(Study.id == study)) == id_of(given.submit)


def test_queue_is_full_when_a_token_has_too_many_studies_that_have_not_ended(serve: Any, store: Store) -> None:
    service = serve(store, require_tokens=True, max_queued=2)
    given = every_kind(store)

    def post(caller: str, **more: str) -> Any:
        return service.client.post("/v1/studies", json=small(), headers=given.headers(caller) | more)

    kept = [post("submit", **{"Idempotency-Key": str(number)}).json()["id"] for number in range(2)]
    full = post("submit")
    assert (full.status_code, full.headers["retry-after"]) == (429, "60")
    assert "GOLDENBENCH_MAX_QUEUED" in full.json()["detail"]
    assert post("submit", **{"Idempotency-Key": "1"}).json()["id"] == kept[1], "a repeated request is answered"
    assert post("admin").status_code == 201, "the queue of another token"
    suite = service.client.get("/v1/presets", headers=given.headers("read")).json()["suites"][0]["quick"]["spec"]
    assert service.client.post("/v1/suites", json=suite, headers=given.headers("submit")).status_code == 429
    service.client.post(f"/v1/studies/{kept[0]}/cancel", headers=given.headers("submit"))
    assert post("submit").status_code == 201, "one has ended"


def test_queue_counts_what_nobody_in_particular_submitted_together(serve: Any, sqlite_store: Store) -> None:
    service = serve(sqlite_store, max_queued=1)
    assert service.client.post("/v1/studies", json=small()).status_code == 201
    assert service.client.post("/v1/studies", json=small()).status_code == 429


def test_commands_make_list_and_revoke_a_token(
    sqlite_store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOLDENBENCH_DATABASE_URL", sqlite_store.url)
    command.create("Ann [red]", "submit", None)
    told = capsys.readouterr()
    presented = told.out.strip()
    assert valid(sqlite_store, presented)
    assert presented not in told.err
    command.show(as_json=False)
    listed = capsys.readouterr().out
    assert "Ann [red]" in listed
    assert presented not in listed
    command.revoke(presented)
    assert not valid(sqlite_store, presented)
    capsys.readouterr()
    command.show(as_json=True)
    assert [(row["scope"], row["state"]) for row in json.loads(capsys.readouterr().out)] == [("submit", "revoked")]


def test_names_of_scopes_are_those_of_the_command() -> None:
    assert tuple(TOKEN_SCOPES) == get_args(ScopeName)


def test_first_token_is_made_once(tmp_path: Path) -> None:
    """What deploy/kubernetes/token.yaml runs, whenever the manifests are applied."""
    ask = ["token", "create", "first", "--scope", "admin", "--if-none", "--data", str(tmp_path)]
    first, again = (CliRunner().invoke(app, ask) for _ in range(2))
    presented = first.stdout.strip()
    assert re.fullmatch(r"gb_[0-9a-f]{8}_\S{43}", presented)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "there is a valid token already" in again.stderr
    revoked = CliRunner().invoke(app, ["token", "revoke", presented, "--data", str(tmp_path)])
    assert revoked.exit_code == 0
    assert CliRunner().invoke(app, ask).stdout.startswith("gb_")
