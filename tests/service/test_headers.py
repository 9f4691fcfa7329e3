"""Headers that keep a browser safe, on every answer there is."""

from typing import Any

import pytest
from fastapi import FastAPI
from service_data import Service
from test_access import address

from service import headers
from service.access.scopes import routes

DASHBOARD = [
    "/dashboard",
    "/dashboard/",
    "/api/meta",
    "/api/studies/999",
    "/static/bundle.js",
    "/csv/1",
    "/artifacts/1/1",
]
PAGE = {"Accept": "text/html"}


def assert_safe(answer: Any, policy: bytes = headers.CONTENT_POLICY) -> None:
    """The headers are there, once each."""
    found = answer.headers
    assert found.get_list("x-content-type-options") == ["nosniff"]
    assert found.get_list("referrer-policy") == ["same-origin"]
    assert found.get_list("cross-origin-resource-policy") == ["same-origin"]
    assert found.get_list("content-security-policy") == [policy.decode()]


@pytest.mark.parametrize("accept", [{}, PAGE], ids=["program", "browser"])
def test_every_route_answers_with_safe_headers(still: Service, accept: dict[str, str]) -> None:
    app = still.client.app
    assert isinstance(app, FastAPI)
    for route in routes(app):
        answer = still.client.request(route.method, address(route), headers=accept, follow_redirects=False)
        assert_safe(answer)


@pytest.mark.parametrize("accept", [{}, PAGE], ids=["program", "browser"])
def test_unexpected_error_is_answered_with_safe_headers_and_without_its_text(
    service: Service, monkeypatch: pytest.MonkeyPatch, accept: dict[str, str]
) -> None:
    app = service.client.app
    assert isinstance(app, FastAPI)
    monkeypatch.setattr(app.state, "context", "a secret")
    for path in ("/v1/studies", "/"):
        answer = service.client.get(path, headers=accept)
        assert answer.status_code == 500
        assert_safe(answer)
        assert "AttributeError" not in answer.text
        assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/nothing", "/v1/studies/%00", "/assets/nothing"])
def test_refusals_come_with_safe_headers(still: Service, path: str) -> None:
    assert_safe(still.client.get(path))
    assert_safe(still.client.get(path, headers={"Host": "evil.example"}))
    assert_safe(still.client.post(path, headers={"Origin": "http://evil.example"}))
    assert_safe(still.client.put(path))


@pytest.mark.parametrize("path", DASHBOARD)
def test_dashboard_has_a_policy_of_ours_instead_of_its_own(still: Service, path: str) -> None:
    for accept in ({}, PAGE):
        assert_safe(still.client.get(path, headers=accept), headers.DASHBOARD_POLICY)
    assert_safe(still.client.post(path), headers.DASHBOARD_POLICY)


def test_policies_forbid_foreign_scripts_frames_and_forms() -> None:
    for policy in (headers.CONTENT_POLICY, headers.DASHBOARD_POLICY):
        rules = dict(part.strip().split(" ", 1) for part in policy.decode().split(";"))
        assert rules["default-src"] == "'self'"
        assert (rules["frame-ancestors"], rules["base-uri"], rules["object-src"]) == ("'none'",) * 3
        assert rules["form-action"] == "'self'"
        assert "unsafe-inline" not in rules.get("script-src", "")
        assert not any(scheme in policy for scheme in (b"http:", b"https:", b"*"))
    assert b"unsafe" not in headers.CONTENT_POLICY
