"""Who is let in, and what stands at addresses that are not ours: hosts, origins, unknown paths, the dashboard."""

import asyncio
import threading
from typing import Any

import pytest
from service_data import Service, TestClient, leader, opened, small

from service.record import Record
from service.recorder import Recorder
from service.reports import Reports
from service.store.engine import Store

MISSING = [
    "/nothing",
    "/v1",
    "/v1/nothing",
    "/v1/studies/0123456789ab",
    "/v1/studies/0123456789ab/comparison",
    "/v1/studies/0123456789ab/replicates?format=csv",
    "/v1/studies/0123456789ab/events",
    "/v1/studies/0123456789ab/nothing",
    "/v1/studies/%00",
    "/v1/studies/%F0%9F%99%82",
    "/v1/studies/%2e%2e%2f",
    "/studies/0123456789ab",
    "/assets/nothing.css",
    "/Dashboard",
]


@pytest.mark.parametrize("path", MISSING)
def test_missing_is_a_problem_with_404(still: Service, path: str) -> None:
    answer = still.client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404


@pytest.mark.parametrize("path", ["/v1/studies/%00", "/v1/studies/%00/cells", "/v1/studies?cursor=WzRd"])
def test_odd_address_is_answered_also_on_postgresql(serve: Any, postgresql_store: Store, path: str) -> None:
    assert serve(postgresql_store).client.get(path).status_code in (200, 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/studies", {"GET", "POST"}),
        ("DELETE", "/v1/studies", {"GET", "POST"}),
        ("PATCH", "/v1/studies/0123456789ab", {"GET", "DELETE"}),
        ("GET", "/v1/estimates", {"POST"}),
        ("GET", "/v1/studies/0123456789ab/cancel", {"POST"}),
        ("POST", "/v1/studies/0123456789ab/comparison", {"GET"}),
        ("POST", "/v1/datasets", {"GET"}),
        ("POST", "/", {"GET"}),
    ],
)
def test_wrong_method_is_a_problem_with_405(still: Service, method: str, path: str, allowed: set[str]) -> None:
    answer = still.client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.headers["allow"].replace(" ", "").split(",")) & allowed


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost", "LOCALHOST:80", "127.0.0.2:8765", "[::1]:8765", "[::1]"]
)
def test_request_is_answered_under_a_name_of_this_machine(still: Service, host: str) -> None:
    assert still.client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/v1/studies", "/api/studies", "/dashboard/"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8765", "10.0.0.1", "", "[::1", "testserver"],
)
def test_request_is_refused_under_a_foreign_name(still: Service, path: str, host: str) -> None:
    answer = still.client.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Host" in answer.json()["detail"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "https://localhost"])
def test_change_is_refused_when_a_foreign_page_asks(still: Service, origin: str) -> None:
    """A form of any page may post text/plain to this machine; only `Origin` gives it away."""
    headers = {"Origin": origin, "Content-Type": "text/plain"}
    answer = still.client.post("/v1/studies", json=small(), headers=headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert still.client.get("/v1/studies").json()["items"] == []


def test_change_is_made_when_our_own_page_asks(client: TestClient) -> None:
    answer = client.post("/v1/studies", json=small(), headers={"Origin": "http://127.0.0.1:8765"})
    assert answer.status_code == 201


def test_answers_carry_the_headers_that_keep_a_browser_safe(still: Service) -> None:
    for path in ("/", "/v1/studies", "/nothing", "/assets/style.css"):
        headers = still.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
    refused = still.client.get("/v1/studies", headers={"Host": "evil.example"})
    assert refused.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/dashboard/", "/api/meta", "/api/studies", "/static/bundle.js"])
def test_dashboard_is_served_for_reading(still: Service, path: str) -> None:
    assert still.client.get(path).status_code == 200


def test_dashboards_files_are_served_without_accept_encoding(still: Service) -> None:
    request = still.client.build_request("GET", "/static/bundle.js")
    del request.headers["accept-encoding"]
    answer = still.client.send(request)
    assert answer.status_code == 200
    assert len(answer.content) > 100_000


def test_dashboard_shows_a_recorded_study(service: Service) -> None:
    leadership = leader(service.store)
    study_id = opened(service.store, leadership)
    before = service.client.get(f"/v1/studies/{study_id}").json()
    assert before["links"]["dashboard"] == "/dashboard"
    compare = Reports(service.store).comparison_now
    Recorder(service.store, Record(service.storage), leadership, threading.Event(), compare).catch_up()
    study = service.client.get(f"/v1/studies/{study_id}").json()
    number = study["links"]["dashboard"].removeprefix("/dashboard/studies/")
    listed = service.client.get("/api/studies").json()["study_summaries"]
    assert [(one["study_name"], str(one["study_id"])) for one in listed] == [(study["optuna_study"], number)]
    assert len(service.client.get(f"/api/studies/{number}").json()["trials"]) == 5
    assert service.client.get(study["links"]["dashboard"]).status_code == 200
    leadership.release()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/dashboard", "/dashboard/", "/api/studies", "/api/studies/1", "/static/x", "/csv/1", "/artifacts/1/1"]
)
def test_dashboard_refuses_every_change(still: Service, method: str, path: str) -> None:
    answer = still.client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"] == "GET, HEAD"


def test_request_for_no_path_is_refused_in_order(still: Service) -> None:
    """`OPTIONS *` has a path without a slash."""
    sent: list[dict[str, Any]] = []

    async def call() -> None:
        scope = {"type": "http", "method": "OPTIONS", "path": "*", "raw_path": b"*", "query_string": b""}
        scope |= {"headers": [(b"host", b"127.0.0.1")], "http_version": "1.1", "scheme": "http"}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await still.client.app(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(call())
    assert sent[0]["status"] in (404, 405)
