"""Logging in with a browser: what the cookie is, what it opens, when it ends."""

import threading
import time
from urllib.parse import quote

import pytest
from access_data import Tokens, every_kind, revoke
from httpx import Response
from service_data import Service, TestClient, leader, opened, small

from service import door

PAGE = {"Accept": "text/html"}
ORIGIN = {"Origin": "http://127.0.0.1:8765"}
LATEST = "SELECT id, sha256 FROM gb_tokens ORDER BY created_at DESC LIMIT 6"


@pytest.fixture(autouse=True)
def _fresh_browser(guarded: Service) -> None:
    """Nobody is logged in."""
    guarded.client.cookies.clear()


@pytest.fixture
def given(guarded: Service) -> Tokens:
    """Tokens of every kind."""
    return every_kind(guarded.store)


def log_in(client: TestClient, token: str, wanted: str = "/") -> Response:
    form = {"token": token, "next": wanted}
    return client.post("/login", data=form, headers=ORIGIN | PAGE, follow_redirects=False)


def test_page_leads_to_the_login_and_from_there_to_where_one_wanted(guarded: Service, given: Tokens) -> None:
    client = guarded.client
    sent = client.get("/?cursor=WzFd&x=%20y", headers=PAGE, follow_redirects=False)
    assert sent.status_code == 303
    assert sent.headers["location"] == "/login?next=" + quote("/?cursor=WzFd&x=%20y", safe="")
    form = client.get(sent.headers["location"], headers=PAGE)
    assert 'value="/?cursor=WzFd&amp;x=%20y"' in form.text
    assert form.headers["cache-control"] == "no-store"
    entered = log_in(client, given.read, "/?cursor=WzFd")
    assert (entered.status_code, entered.headers["location"]) == (303, "/?cursor=WzFd")
    assert client.get("/", headers=PAGE).status_code == 200


def test_program_is_not_led_to_the_login(guarded: Service) -> None:
    assert guarded.client.get("/v1/studies", follow_redirects=False).status_code == 401
    assert guarded.client.get("/v1/studies", headers=PAGE | {"Authorization": "Bearer x"}).status_code == 401
    assert guarded.client.post("/v1/studies", headers=PAGE, follow_redirects=False).status_code == 401


def test_cookie_is_kept_from_scripts_and_other_sites(guarded: Service, given: Tokens) -> None:
    cookie = log_in(guarded.client, given.submit).headers["set-cookie"]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} <= attributes
    assert "secure" not in attributes, "a browser would not send it back over HTTP"
    assert not any(part.startswith("domain") for part in attributes)
    assert given.submit not in cookie
    assert given.submit.split("_", 2)[2] not in cookie


def test_cookie_is_bound_to_this_host_and_to_encryption_over_https(guarded: Service, given: Tokens) -> None:
    client = TestClient(guarded.client.app, base_url="https://127.0.0.1:8765")
    form = {"token": given.submit, "next": "/"}
    headers = {"Origin": "https://127.0.0.1:8765"}
    cookie = client.post("/login", data=form, headers=headers, follow_redirects=False).headers["set-cookie"]
    assert cookie.startswith("__Host-goldenbench=")
    assert "secure" in cookie.lower()
    assert client.get("/v1/studies").status_code == 200
    assert client.post("/v1/studies", json=small(), headers=ORIGIN).status_code == 403, "the page was not encrypted"


@pytest.mark.parametrize("caller", ["revoked", "expired", "wrong"])
def test_login_refuses_a_token_that_is_not_valid(guarded: Service, given: Tokens, caller: str) -> None:
    answer = log_in(guarded.client, getattr(given, caller))
    assert answer.status_code == 401
    assert "not valid" in answer.text
    assert "set-cookie" not in answer.headers
    assert getattr(given, caller) not in answer.text


FOREIGN = ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)"]
FOREIGN += ["/\t/evil", "//[", "/\n", "evil.example", "", "/é"]


@pytest.mark.parametrize("wanted", FOREIGN)
def test_login_leads_nowhere_else(guarded: Service, given: Tokens, wanted: str) -> None:
    assert log_in(guarded.client, given.read, wanted).headers["location"] == "/"
    assert 'name="next" value="/"' in guarded.client.get("/login", params={"next": wanted}).text


@pytest.mark.parametrize("body", [b"", b"token", b"\xff\xfe", b"=" * 1000, b"&" * 5000, b"token=" + b"x" * 200_000])
def test_login_answers_a_form_that_is_nonsense(guarded: Service, body: bytes) -> None:
    assert guarded.client.post("/login", content=body, headers=ORIGIN | PAGE).status_code == 401


def test_login_by_a_foreign_page_is_refused(guarded: Service, given: Tokens) -> None:
    """Or it could log somebody in as another."""
    form = {"token": given.read}
    answer = guarded.client.post("/login", data=form, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_login_changes_something_for_our_own_page_only(guarded: Service, given: Tokens) -> None:
    """Without Origin, a request with a cookie might come from anywhere; SameSite does not tell ports apart."""
    client = guarded.client
    log_in(client, given.admin)
    assert client.post("/v1/studies", json=small()).status_code == 403
    for origin in ("http://127.0.0.1:9999", "http://localhost:8765", "https://127.0.0.1:8765", "null"):
        assert client.post("/v1/studies", json=small(), headers={"Origin": origin}).status_code == 403
    study = client.post("/v1/studies", json=small(), headers=ORIGIN)
    assert study.status_code == 201
    assert client.delete(f"/v1/studies/{study.json()['id']}").status_code == 403


def test_login_may_do_what_its_token_may(guarded: Service, given: Tokens) -> None:
    log_in(guarded.client, given.read)
    assert guarded.client.get("/v1/studies").status_code == 200
    assert guarded.client.get("/dashboard/").status_code == 200
    assert guarded.client.post("/v1/studies", json=small(), headers=ORIGIN).status_code == 403


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/", "/api/studies", "/static/bundle.js", "/csv/1"])
def test_dashboard_lies_behind_the_same_door(guarded: Service, given: Tokens, path: str) -> None:
    assert guarded.client.get(path).status_code == 401
    assert guarded.client.get(path, headers=PAGE, follow_redirects=False).headers["location"].startswith("/login?")
    assert guarded.client.get(path, headers=given.headers("read")).status_code not in (401, 403)


def test_logout_ends_the_login_in_the_store_too(guarded: Service, given: Tokens) -> None:
    client = guarded.client
    cookie = log_in(client, given.read).cookies["goldenbench"]
    assert "log out" in client.get("/", headers=PAGE).text
    assert client.post("/logout").status_code == 403, "a foreign page could log one out"
    left = client.post("/logout", headers=ORIGIN, follow_redirects=False)
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    assert left.headers["clear-site-data"] == '"cache"'
    assert "goldenbench" not in client.cookies
    assert client.get("/v1/studies", headers={"Cookie": f"goldenbench={cookie}"}).status_code == 401
    assert client.get("/v1/studies", headers=given.headers("read")).status_code == 200, "the token itself is valid"


def test_login_ends_when_its_token_is_revoked(guarded: Service, given: Tokens) -> None:
    log_in(guarded.client, given.admin)
    assert guarded.client.get("/v1/studies").status_code == 200
    revoke(guarded.store, given.admin)
    assert guarded.client.get("/v1/studies").status_code == 401


def test_stolen_rows_of_the_store_open_nothing(guarded: Service, given: Tokens) -> None:
    log_in(guarded.client, given.admin)
    guarded.client.cookies.clear()
    with guarded.store.read() as session:
        kept = session.connection().exec_driver_sql(LATEST).all()
    assert len(kept) == 6, "five tokens and the login"
    for token_id, sha256 in kept:
        for presented in (sha256, f"gb_{token_id}_{sha256}", f"gb_{token_id}_{sha256[:43]}"):
            for headers in ({"Authorization": f"Bearer {presented}"}, {"Cookie": f"goldenbench={presented}"}):
                assert guarded.client.get("/v1/studies", headers=headers).status_code == 401


def test_a_cookie_of_another_service_is_no_matter_where_no_token_is_required(client: TestClient) -> None:
    """Cookies do not know ports: two services on one machine see each other's."""
    assert client.get("/v1/studies", headers={"Cookie": "goldenbench=gb_00000000_" + "x" * 43}).status_code == 200


def test_stream_ends_after_its_token_was_revoked(
    guarded: Service, given: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "RECHECK_SECONDS", 0.0)
    monkeypatch.setattr("service.api.answers.KEEPALIVE_SECONDS", 0.0)
    leadership = leader(guarded.store)
    study = opened(guarded.store, leadership)
    leadership.release()

    def end_it() -> None:
        time.sleep(2)
        revoke(guarded.store, given.read)

    ending = threading.Thread(target=end_it)
    ending.start()
    began = time.monotonic()
    answer = guarded.client.get(f"/v1/studies/{study}/events", headers=given.headers("read"))
    ending.join()
    assert answer.status_code == 200
    assert "event: study" in answer.text
    assert "event: end" not in answer.text
    assert 1.5 < time.monotonic() - began < 30
