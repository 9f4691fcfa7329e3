"""Settings, from the environment (`GOLDENBENCH_...`) or flags of the command line."""

import ipaddress
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_PORT = 8765


class Settings(BaseSettings):
    """Everything a deployment can choose."""

    model_config = SettingsConfigDict(env_prefix="GOLDENBENCH_", extra="ignore", frozen=True)

    data: Path = Field(Path("var"), description="Data folder: database, prepared data sets, certificates")
    database_url: str = Field("", description="SQLAlchemy address; default: SQLite in the data folder")
    scheduler: str = Field("", description="Address of a Dask scheduler; default: one of its own on 127.0.0.1")
    host: str = Field("127.0.0.1", description="Address to listen on; loopback only, since there are no tokens yet")
    port: int = Field(DEFAULT_PORT, ge=1, le=65_535, description="Port; if it is busy, the next free one")
    pack_seconds: float = Field(20.0, gt=0, le=3_600, description="How long a pack should train")
    tls_ca: Path | None = Field(None, description="Certificate authority of a tls:// scheduler (PEM)")
    tls_cert: Path | None = Field(None, description="Certificate for a tls:// scheduler (PEM)")
    tls_key: Path | None = Field(None, description="Key of that certificate (PEM)")

    @field_validator("data")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("host")
    @classmethod
    def _loopback(cls, value: str) -> str:
        if not is_loopback(value):
            raise ValueError("must be a loopback address: this version has no tokens to keep strangers out")
        return value

    @property
    def store_url(self) -> str:
        """SQLAlchemy address of the store."""
        if not self.database_url:
            return f"sqlite:///{self.data / 'goldenbench.db'}"
        for short in ("postgresql://", "postgres://"):
            if self.database_url.startswith(short):
                return "postgresql+psycopg://" + self.database_url.removeprefix(short)
        return self.database_url


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
