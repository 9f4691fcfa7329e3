"""What the service logs."""

import pytest
import structlog

from service.cli.nodes import configure_logs


def test_log_of_an_error_shows_its_trace_without_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """The address of a database, with its password, is a local variable of many a frame."""

    def fail(secret: str) -> None:
        raise RuntimeError("no connection")

    configure_logs()
    try:
        fail("correct horse" + " battery staple")
    except RuntimeError as error:
        structlog.get_logger("test").error("unexpected error", exc_info=error)
    finally:
        structlog.reset_defaults()
    told = capsys.readouterr().err
    assert "RuntimeError: no connection" in told
    assert "in fail" in told
    assert "horse battery" not in told
