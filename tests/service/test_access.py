"""Every route and method for every kind of caller, from the app's own table of routes."""

import itertools

import pytest
from access_data import Tokens, every_kind
from fastapi import FastAPI
from service_data import Service, small

from service.access.scopes import NEEDED, Route, Rules, Scope, routes
from service.dashboard import PREFIXES

CALLERS = {
    "none": Scope.OPEN,
    "wrong": Scope.OPEN,
    "revoked": Scope.OPEN,
    "expired": Scope.OPEN,
    "read": Scope.READ,
    "submit": Scope.SUBMIT,
    "admin": Scope.ADMIN,
}
"""What each kind of token is worth."""
FILLED = {"kind": "heatmap", "form": "svg", "action": "pause"}
OPEN = {"GET /healthz", "GET /favicon.ico", "GET /login", "POST /login", "GET /assets"}
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PROPFIND")


@pytest.fixture(scope="module")
def given(guarded: Service) -> Tokens:
    """Tokens of every kind."""
    return every_kind(guarded.store)


def app_of(service: Service) -> FastAPI:
    app = service.client.app
    assert isinstance(app, FastAPI)
    return app


def address(route: Route) -> str:
    """A path that the route answers; of things that do not exist."""
    path = route.path
    while "{" in path:
        before, _, rest = path.partition("{")
        name, _, after = rest.partition("}")
        path = before + FILLED.get(name.partition(":")[0], "0123456789ab") + after
    return f"{path}/style.css" if route.mounted else path


def status_of(service: Service, method: str, path: str, headers: dict[str, str]) -> int:
    return service.client.request(method, path, headers=headers, follow_redirects=False).status_code


def test_every_route_declares_its_scope_and_nothing_else_does(guarded: Service) -> None:
    """A new route without a scope belongs into `service.access.scopes`."""
    assert {route.name for route in routes(app_of(guarded))} == set(NEEDED)


def test_scopes_follow_their_rules() -> None:
    """Written out once more, so that a slip in the table shows."""
    assert {name for name, scope in NEEDED.items() if scope is Scope.OPEN} == OPEN
    for name, scope in NEEDED.items():
        method = name.partition(" ")[0]
        if method == "GET":
            assert scope <= Scope.READ, name
        elif method == "DELETE":
            assert scope is Scope.ADMIN, name
        elif name not in ("POST /login", "POST /logout"):
            assert scope >= Scope.SUBMIT, name


@pytest.mark.parametrize("caller", CALLERS)
def test_each_route_lets_in_whom_it_should(guarded: Service, given: Tokens, caller: str) -> None:
    seen = {}
    for route in routes(app_of(guarded)):
        seen[route.name] = status_of(guarded, route.method, address(route), given.headers(caller))
    for name, status in seen.items():
        if NEEDED[name] is Scope.OPEN:
            assert status != 403, name
            assert status != 401 or name == "POST /login", name  # which asks for a token itself
        elif CALLERS[caller] is Scope.OPEN:
            assert status == 401, (name, status)
        elif CALLERS[caller] < NEEDED[name]:
            assert status == 403, (name, status)
        else:
            assert status not in (401, 403), (name, status)
            assert status < 500, (name, status)


@pytest.mark.parametrize("caller", ["none", "read"])
def test_no_method_of_any_path_passes_a_caller_without_a_token(guarded: Service, given: Tokens, caller: str) -> None:
    """Also methods and paths that no route has, and everything of the Optuna dashboard's."""
    paths = {address(route) for route in routes(app_of(guarded)) if route.name not in OPEN}
    paths |= {f"/{prefix}" for prefix in PREFIXES} | {"/dashboard/", "/api/studies", "/api/studies/1", "/csv/1"}
    paths |= {"/nothing", "/v1", "//v1/studies", "/v1/studies/", "/login/", "/login/x", "/healthz/", "/V1/studies"}
    paths |= {"/assets/../v1/studies", "/healthz%2f..%2fv1%2fstudies", "/v1/studies%00", "/;/v1/studies"}
    for method, path in itertools.product(METHODS, sorted(paths)):
        status = status_of(guarded, method, path, given.headers(caller))
        if CALLERS[caller] is Scope.OPEN:
            assert status == 401, (method, path, status)
        else:
            assert status != 401, (method, path, status)
            assert status < 500, (method, path, status)


def test_a_route_that_nobody_declared_needs_admin(guarded: Service) -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.get("/new")(lambda: {})
    app.post("/new/{name}")(lambda name: {})
    app.mount("/below", FastAPI())
    rules = Rules(app)
    assert [route.name for route in routes(app)] == ["GET /new", "POST /new/{name}", "GET /below"]
    asked = [("GET", "/new"), ("HEAD", "/new"), ("POST", "/new/x"), ("GET", "/below/x"), ("DELETE", "/below/x")]
    assert {rules.needed(method, path) for method, path in asked} == {Scope.ADMIN}


def test_a_kind_of_route_that_is_not_known_is_refused() -> None:
    app = FastAPI()
    app.websocket("/socket")(lambda socket: None)
    with pytest.raises(TypeError, match="/socket"):
        Rules(app)


def test_refusals_are_problems_that_say_what_is_missing(guarded: Service, given: Tokens) -> None:
    stranger = guarded.client.get("/v1/studies")
    assert stranger.headers["www-authenticate"].startswith("Bearer")
    reader = guarded.client.post("/v1/studies", json=small(), headers=given.headers("read"))
    for answer, word in ((stranger, "valid token"), (reader, "submit")):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert word in answer.json()["detail"]
        assert "gb_" not in answer.text.replace("gb_...", "")


ODD = ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer  {}x", "Bearer {} {}", "Token {}", "Bearer gb_", "Bearer é"]


@pytest.mark.parametrize("header", ODD)
def test_odd_authorization_is_refused(guarded: Service, given: Tokens, header: str) -> None:
    headers = [(b"authorization", header.replace("{}", given.admin).encode("latin-1"))]
    assert guarded.client.get("/v1/studies", headers=headers).status_code == 401


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER  {} "])
def test_token_is_taken_however_its_scheme_is_written(guarded: Service, given: Tokens, header: str) -> None:
    answer = guarded.client.get("/v1/studies", headers={"Authorization": header.replace("{}", given.read)})
    assert answer.status_code == 200


def test_token_is_not_taken_from_the_address_or_a_cookie(guarded: Service, given: Tokens) -> None:
    """Addresses end in logs; a cookie holds a login, which ends by itself."""
    assert guarded.client.get(f"/v1/studies?token={given.admin}&access_token={given.admin}").status_code == 401
    assert guarded.client.get("/v1/studies", headers={"Cookie": f"goldenbench={given.admin}"}).status_code == 401


def test_without_required_tokens_anybody_may_do_everything_but_show_a_wrong_one(service: Service) -> None:
    given = every_kind(service.store)
    assert service.client.post("/v1/studies", json=small()).status_code == 201
    for caller in ("wrong", "revoked", "expired"):
        assert service.client.get("/v1/studies", headers=given.headers(caller)).status_code == 401
    assert service.client.post("/v1/studies", json=small(), headers=given.headers("read")).status_code == 403


def test_method_that_is_not_allowed_is_told_all_that_are(guarded: Service, given: Tokens) -> None:
    for path, allowed in (("/v1/studies", "GET, POST"), ("/v1/studies/0123456789ab", "DELETE, GET")):
        answer = guarded.client.put(path, headers=given.headers("admin"))
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
