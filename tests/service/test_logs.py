"""What the service logs."""

import ast
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from service_data import Service

import service.dispatch
from service.errors import SetupError
from service.logs import FORMAT, HANDLER, LEVEL, configure_logs
from service.store.engine import Store


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    """Logging as it was, whatever a test does to it."""
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [one for one in root.handlers if one.get_name() == HANDLER]:
        root.removeHandler(handler)


@pytest.mark.parametrize("form", ["console", "json"])
def test_log_of_an_error_shows_its_trace_without_local_variables(
    form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of a database, with its password, is a local variable of many a frame."""

    def fail(secret: str) -> None:
        raise RuntimeError("no connection")

    monkeypatch.setenv(FORMAT, form)
    configure_logs()
    for say in (structlog.get_logger("test").error, logging.getLogger("library").error):
        try:
            fail("correct horse" + " battery staple")
        except RuntimeError as error:
            say("unexpected error", exc_info=error)
    told = capsys.readouterr().err
    assert told.count("RuntimeError: no connection") == 2
    assert "in fail" in told
    assert "horse battery" not in told


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_has_one_object_for_each_line_of_our_own_and_of_libraries(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = logging.getLogger("library.with.a.handler")
    library.addHandler(logging.StreamHandler())
    library.propagate = False
    monkeypatch.setenv(FORMAT, "json")
    monkeypatch.setenv(LEVEL, "info")
    configure_logs()
    structlog.get_logger("test").info("pack accepted", study="s", pack="p", attempt=2, path=Path("x"))
    structlog.get_logger("test").debug("not of interest")
    library.warning("of a %s", "library")
    library.info("not of interest")
    ours, theirs = lines(capsys)
    assert ours | {"timestamp": ""} == {
        "event": "pack accepted",
        "level": "info",
        "timestamp": "",
        "study": "s",
        "pack": "p",
        "attempt": 2,
        "path": "x",
    }
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("of a library", "warning", library.name)


@pytest.mark.parametrize("variable", [LEVEL, FORMAT])
def test_unknown_level_or_format_is_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "loud")
    with pytest.raises(SetupError, match=f"{variable} must be one of .*, not 'loud'"):
        configure_logs()


def test_every_line_about_a_pack_says_which_attempt_of_which_study() -> None:
    """Read from the source: a line that forgets one of them is found whether or not a test comes by."""
    seen = 0
    for file in Path(service.dispatch.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log.") and node.args):
                continue
            given = {keyword.arg or ast.unparse(keyword.value) for keyword in node.keywords}
            about = ast.unparse(node.args[0])
            if not given & {"pack", "attempt", "run.named"} and "pack " not in about:
                continue
            seen += 1
            whole = "run.named" in given or {"study", "pack", "attempt"} <= given
            assert whole or "dispatcher pauses" in about, f"{file.name}:{node.lineno}: {about}"
    assert seen >= 5


def test_requests_are_logged_by_route_without_what_they_bring_along(
    serve: Callable[..., Service],
    sqlite_store: Store,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(FORMAT, "json")
    monkeypatch.setenv(LEVEL, "info")
    configure_logs()
    client = serve(sqlite_store, log_requests=True).client
    headers = {"Authorization": "Bearer gb_not_for_the_log"}
    client.get("/v1/studies/not_for_the_log?cursor=not_for_the_log", headers=headers)
    client.get("/healthz")
    refused, alive = lines(capsys)
    assert (refused["route"], refused["method"], refused["status"]) == ("/v1/studies/{study_id}", "GET", 401)
    assert (alive["route"], alive["status"]) == ("/healthz", 200)
    assert 0 < alive["seconds"] < 5
    assert "not_for_the_log" not in str(refused)


def test_requests_are_not_logged_unless_somebody_wants_it(
    serve: Callable[..., Service],
    sqlite_store: Store,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(LEVEL, "info")
    configure_logs()
    serve(sqlite_store).client.get("/healthz")
    assert capsys.readouterr().err == ""
