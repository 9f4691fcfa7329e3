"""Settings as they come from files and environments."""

from pathlib import Path

import pytest

from service.config import Settings


def test_whitespace_around_a_setting_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets that Kubernetes and Docker read from files keep the newline at the end."""
    for name, value in {
        "DATABASE_URL": "postgresql://me:secret@database/goldenbench\n",
        "SCHEDULER": " tls://scheduler:8786\r\n",
        "TLS_CA": "/secrets/ca.pem\n",
        "PORT": "8000\n",
        "PLAIN_HTTP": "1\n",
        "DEVICE": "cpu\n",
        "ALLOWED_HOSTS": "a.example, b.example\n",
    }.items():
        monkeypatch.setenv(f"GOLDENBENCH_{name}", value)
    settings = Settings()
    assert settings.store_url == "postgresql+psycopg://me:secret@database/goldenbench"
    assert settings.scheduler == "tls://scheduler:8786"
    assert settings.tls_ca == Path("/secrets/ca.pem")
    assert (settings.port, settings.plain_http, settings.device) == (8000, True, "cpu")
    assert settings.allowed_hosts == ("a.example", "b.example")
