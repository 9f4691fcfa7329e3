"""What one user may ask of the service, in number, size and time, and what everybody else still gets."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from access_data import every_kind
from service_data import TestClient, small
from starlette.types import Receive, Scope, Send

from service import connections, limits, server
from service.api import body
from service.config import Settings
from service.limits import Crowd, Rate, address_of
from service.store.engine import Store

Serving = Callable[..., tuple[str, int]]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that `limits` sees."""
    made = Clock()
    monkeypatch.setattr(limits, "time", made)
    return made


def test_rate_lets_a_burst_through_and_then_its_rate(clock: Clock) -> None:
    rate = Rate(per_second=2)
    assert [rate.take("a") for _ in range(20)] == [0.0] * 20
    assert rate.take("a") == pytest.approx(0.5)
    assert rate.take("b") == 0.0, "another user"
    clock.now += 0.5
    assert rate.take("a") == 0.0
    assert rate.take("a") == pytest.approx(0.5)
    clock.now += 3600
    assert [rate.take("a") for _ in range(21)] == [0.0] * 20 + [pytest.approx(0.5)]


def test_rate_below_one_in_the_burst_lets_one_through(clock: Clock) -> None:
    rate = Rate(per_second=0.01)
    assert rate.take("a") == 0.0
    assert rate.take("a") == pytest.approx(100)


def test_rate_remembers_a_bounded_number_of_users(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_USERS", 3)
    rate = Rate(per_second=0.1)
    assert [rate.take(user) for user in "abcab"] == [0, 0, 0, 10, 10]
    assert rate.take("d") == 0.0
    assert rate.take("a") == pytest.approx(10), "asked lately, so it is remembered"
    assert rate.take("c") == 0.0, "asked longest ago, so it is forgotten"


@pytest.mark.parametrize(
    ("client", "user"),
    [
        (("192.0.2.7", 50_000), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 50_000), "2001:db8:1:2::/64"),
        (("testclient", 50_000), "testclient"),
        (None, ""),
    ],
)
def test_address_is_the_whole_network_of_an_ipv6_user(client: Any, user: str) -> None:
    assert address_of({"type": "http", "client": client}) == user


def test_user_who_asks_too_often_waits_and_others_do_not(serve: Any, sqlite_store: Store) -> None:
    service = serve(sqlite_store, require_tokens=True, requests_per_second=0.5)
    given, client = every_kind(sqlite_store), service.client

    def statuses(caller: str, times: int) -> list[int]:
        return [client.get("/v1/derived", headers=given.headers(caller)).status_code for _ in range(times)]

    assert statuses("read", 6) == [200] * 5 + [429]
    answer = client.get("/v1/derived", headers=given.headers("read"))
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 2
    assert statuses("submit", 5) == [200] * 5, "a token of its own"
    assert statuses("wrong", 3) + statuses("none", 3) == [401] * 5 + [429], "the address of all without a valid token"
    assert client.get("/login").status_code == 429
    assert [client.get("/healthz").status_code for _ in range(20)] == [200] * 20
    assert statuses("admin", 1) == [200]


def test_rate_is_not_counted_where_no_token_is_required(serve: Any, sqlite_store: Store) -> None:
    service = serve(sqlite_store, requests_per_second=0.1)
    assert [service.client.get("/v1/derived").status_code for _ in range(30)] == [200] * 30


def test_crowd_refuses_requests_beyond_its_limit_and_recovers() -> None:
    going, answers = asyncio.Event(), []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/healthz":
            await going.wait()
        if scope["path"] == "/breaks":
            raise RuntimeError("struck")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    crowd = Crowd(slow, most=2)

    async def ask(path: str) -> None:
        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answers.append((path, message["status"], dict(message["headers"]).get(b"retry-after")))

        with contextlib.suppress(RuntimeError):
            await crowd({"type": "http", "path": path, "headers": []}, None, send)  # type: ignore[arg-type]

    async def run() -> None:
        waiting = [asyncio.create_task(ask(path)) for path in ("/1", "/breaks")]
        await asyncio.sleep(0)
        await ask("/2")
        await ask("/healthz")
        assert answers == [("/2", 503, b"1"), ("/healthz", 200, None)]
        going.set()
        await asyncio.gather(*waiting)
        await ask("/3")

    asyncio.run(run())
    assert answers[2:] == [("/1", 200, None), ("/3", 200, None)]


def test_oversize_body_is_refused_without_being_read(client: TestClient) -> None:
    for path in ("/v1/studies", "/v1/estimates", "/v1/suites", "/v1/studies/0123456789ab/extend", "/login"):
        assert client.post(path, content=b"x" * (body.MAX_BODY_BYTES + 1)).status_code == 413
        assert client.post(path, content=b" " * body.MAX_BODY_BYTES).status_code in (400, 401)


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """Serves an app with uvicorn as the service does, with short time limits; its address."""
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(connections, "READING_SECONDS", 1.0)
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any, **settings: Any) -> tuple[str, int]:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        one = uvicorn.Server(server._config(Settings(**settings), app))
        thread = threading.Thread(target=one.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((one, thread))
        address: tuple[str, int] = listener.getsockname()
        return address

    yield start
    for one, thread in running:
        one.should_exit = True
        thread.join(20)


def ended_after(connection: socket.socket, within: float) -> float:
    """Seconds until the other side has ended a connection."""
    began = time.monotonic()
    connection.settimeout(within)
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while connection.recv(65_536):
            pass
    return time.monotonic() - began


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers at once, without looking at the body; /slow after two seconds; /endless for ten."""
    if scope["type"] != "http":
        return
    await asyncio.sleep(2 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    end = time.monotonic() + (10 if scope["path"] == "/endless" else 0)
    while time.monotonic() < end:
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        await asyncio.sleep(0)  # to a client that has gone, uvicorn sends nothing without giving way
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.parametrize(
    "drip",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT"],
    ids=["nothing", "head", "second-head"],
)
def test_connection_ends_when_a_request_does_not_come_to_its_end(serving: Serving, drip: bytes) -> None:
    """A byte now and then keeps nothing open."""
    with socket.create_connection(serving(hello)) as connection:
        connection.sendall(drip)
        stop = threading.Event()

        def dripping() -> None:
            while not stop.wait(0.1):
                with contextlib.suppress(OSError):
                    connection.sendall(b"y")

        thread = threading.Thread(target=dripping)
        if drip:
            thread.start()
        try:
            assert 0.5 < ended_after(connection, 10) < 4
        finally:
            stop.set()
            if drip:
                thread.join()


def test_connection_ends_when_a_body_drips_that_nobody_reads(serving: Serving) -> None:
    with socket.create_connection(serving(hello)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx")
        assert 0.5 < ended_after(connection, 10) < 4


def test_connection_ends_when_an_answer_is_not_read(serving: Serving) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(serving(hello))
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(3)
        assert ended_after(connection, 10) < 5


def test_connection_lives_while_its_client_keeps_pace(serving: Serving) -> None:
    """An answer that takes longer than a request may, several requests on one connection, a download."""
    host, port = serving(hello)
    with httpx.Client(base_url=f"http://{host}:{port}", trust_env=False) as client:
        assert client.get("/slow").text == "hello"
        for _ in range(4):
            time.sleep(0.6)
            assert client.get("/").text == "hello"
        with client.stream("GET", "/endless") as answer:
            began = time.monotonic()
            for _chunk in answer.iter_raw():
                if time.monotonic() - began > 2.5:
                    break
            else:
                pytest.fail("the download was cut")


def test_connections_beyond_the_limit_are_closed_and_others_live(serving: Serving) -> None:
    address = serving(hello, max_requests=2)
    kept = [socket.create_connection(address) for _ in range(4)]
    time.sleep(0.2)
    with socket.create_connection(address) as excess:
        assert ended_after(excess, 5) < 0.9
    kept[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"200 OK" in kept[0].recv(100)
    for connection in kept:
        connection.close()


def test_slow_body_is_answered_408(
    serving: Serving, serve: Any, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 0.5)
    with socket.create_connection(serving(serve(sqlite_store).client.app)) as connection:
        connection.sendall(b"POST /v1/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
        connection.settimeout(10)
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer


def test_body_that_breaks_off_is_no_error_of_the_service(
    serving: Serving, serve: Any, sqlite_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    address = serving(serve(sqlite_store).client.app)
    with socket.create_connection(address) as connection:
        connection.sendall(b"POST /v1/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
        time.sleep(0.3)
    time.sleep(0.5)
    assert httpx.post(f"http://127.0.0.1:{address[1]}/v1/studies", json=small(), trust_env=False).status_code == 201
    told = capsys.readouterr()
    assert "Traceback" not in told.err + told.out
