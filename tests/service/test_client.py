"""The client against a server that drops connections, and against a real app's pages."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from service.client import Client, RequestFailed, Unreachable

Answer = tuple[int, dict[str, Any]]


class Server:
    """Answers by a function of how many requests came before; None drops the connection."""

    def __init__(self, answer: Callable[[int], Answer | None]) -> None:
        self.seen: list[tuple[str, str, str | None]] = []
        """Method, path and key of every request, also of those whose answer was lost."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append((self.command, self.path, self.headers["Idempotency-Key"]))
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                found = answer(len(outer.seen) - 1)
                if found is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                content = json.dumps(found[1]).encode()
                self.send_response(found[0])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *_arguments: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.client.time.sleep", lambda seconds: None)


@contextmanager
def served(answer: Callable[[int], Answer | None]) -> Iterator[tuple[Server, Client]]:
    server = Server(answer)
    try:
        with Client(server.url) as client:
            yield server, client
    finally:
        server.close()


def test_submission_whose_answer_was_lost_is_repeated_with_its_key() -> None:
    with served(lambda n: None if n < 2 else (201, {"id": "a"})) as (server, client):
        assert client.submit({}) == {"id": "a"}
    keys = {key for _, _, key in server.seen}
    assert len(server.seen) == 3
    assert len(keys) == 1
    assert None not in keys


def test_two_submissions_have_two_keys() -> None:
    with served(lambda n: (201, {})) as (server, client):
        client.submit({})
        client.submit({})
        client.submit({}, key="mine")
    keys = [key for _, _, key in server.seen]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_request_is_repeated_while_the_database_is_away() -> None:
    with served(lambda n: (503, {"detail": "away"}) if n < 3 else (200, {"id": "a"})) as (server, client):
        assert client.study("a") == {"id": "a"}
        assert len(server.seen) == 4


@pytest.mark.parametrize("lost", [None, (503, {"detail": "away"})])
def test_extension_is_never_repeated(lost: Answer | None) -> None:
    with served(lambda n: lost) as (server, client):
        with pytest.raises((Unreachable, RequestFailed)):
            client.extend("a", 2)
        assert [(method, path) for method, path, _ in server.seen] == [("POST", "/v1/studies/a/extend")]


def test_refusal_is_not_repeated_and_names_the_fields() -> None:
    body = {"detail": "dataset: is required", "errors": [{"field": "dataset", "rule": "is required"}]}
    with served(lambda n: (422, body)) as (server, client):
        with pytest.raises(RequestFailed, match="dataset: is required") as refused:
            client.submit({})
        assert (refused.value.http_status, refused.value.errors) == (422, body["errors"])
        assert len(server.seen) == 1


def test_service_that_is_not_there_is_told_with_its_address() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with Client(url) as client, pytest.raises(Unreachable, match=f"{url} .*is `goldenbench up` running"):
        client.study("a")


def test_pages_are_put_together() -> None:
    pages = [{"items": [1, 2], "next": "x"}, {"items": [3], "next": None}]
    with served(lambda n: (200, pages[n])) as (server, client):
        assert client.replicates("a") == [1, 2, 3]
        assert server.seen[1][1].endswith("cursor=x")


def test_frame_has_a_row_for_each_training() -> None:
    rows = [{"cell": 0, "accuracy": 0.5, "curve": {"accuracy": [0.5]}}, {"cell": 1, "accuracy": None, "curve": {}}]
    with served(lambda n: (200, {"items": rows, "next": None})) as (_, client):
        frame = client.replicates_frame("a")
    assert list(frame["cell"]) == [0, 1]
    assert frame["accuracy"].isna().tolist() == [False, True]
    assert frame["curve"][0] == {"accuracy": [0.5]}


def test_waiting_tells_each_document_and_ends_with_the_last() -> None:
    states = ["queued", "running", "running", "cancelled"]
    seen: list[str] = []
    with served(lambda n: (200, {"status": states[n]})) as (_, client):
        assert client.wait("a", lambda study: seen.append(study["status"]))["status"] == "cancelled"
    assert seen == states
