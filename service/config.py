"""Settings, from the environment (`GOLDENBENCH_...`) or flags of the command line."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEFAULT_PORT = 8765


class Settings(BaseSettings):
    """Everything a deployment can choose."""

    model_config = SettingsConfigDict(env_prefix="GOLDENBENCH_", extra="ignore", frozen=True)

    data: Path = Field(Path("var"), description="Data folder: database, prepared data sets, certificates")
    database_url: str = Field("", description="SQLAlchemy address; default: SQLite in the data folder")
    scheduler: str = Field("", description="Address of a Dask scheduler; default: one of its own on 127.0.0.1")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="What workers train on; auto: the NVIDIA GPUs, or the processor where there are none"
    )
    pack_seconds: float = Field(20.0, gt=0, le=3_600, description="How long a pack should train")
    tls_ca: Path | None = Field(None, description="Certificate authority of a tls:// scheduler (PEM)")
    tls_cert: Path | None = Field(None, description="Certificate for a tls:// scheduler (PEM)")
    tls_key: Path | None = Field(None, description="Key of that certificate (PEM)")

    host: str = Field("127.0.0.1", description="Address to listen on; beyond loopback tokens are required")
    port: int = Field(DEFAULT_PORT, ge=1, le=65_535, description="Port; if it is busy, the next free one")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Names and addresses, separated by commas, under which requests may come besides loopback's"
    )
    require_tokens: bool = Field(False, description="Require tokens on loopback too")
    https_cert: Path | None = Field(None, description="Certificate for HTTPS (PEM, with its chain)")
    https_key: Path | None = Field(None, description="Key of that certificate (PEM)")
    plain_http: bool = Field(False, description="Allow HTTP beyond loopback, say behind a proxy that speaks TLS")
    proxies: str = Field("127.0.0.1", description="Addresses of proxies whose X-Forwarded-For and -Proto are believed")

    max_queued: int = Field(10_000, ge=1, description="Studies that have not ended, of one token or of nobody's")
    requests_per_second: float = Field(100.0, gt=0, description="Of one token or address, where tokens are required")
    max_requests: int = Field(300, ge=1, description="Requests that are answered at the same time")
    log_requests: bool = Field(False, description="Log each request's route, status and seconds at level info")

    @field_validator("*", mode="before")
    @classmethod
    def _strip(cls, value: object) -> object:
        """Secrets of Kubernetes and Docker are often files, and end with a newline."""
        return value.strip() if isinstance(value, str) else value

    @field_validator("data")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(name.strip().lower() for name in value.split(",") if name.strip())

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if (self.https_cert is None) != (self.https_key is None):
            raise ValueError("https_cert and https_key must be given together")
        if not is_loopback(self.host) and self.https_cert is None and not self.plain_http:
            raise ValueError(
                f"host: {self.host} is not a loopback address, and tokens would cross the network in the clear: set "
                "GOLDENBENCH_HTTPS_CERT and GOLDENBENCH_HTTPS_KEY, or GOLDENBENCH_PLAIN_HTTP=1 behind a proxy that "
                "speaks TLS"
            )
        return self

    @property
    def tokens_required(self) -> bool:
        """Whether nobody gets in without one: strangers can reach the service, or are meant to through a proxy."""
        return self.require_tokens or not is_loopback(self.host) or not all(map(is_loopback, self.allowed_hosts))

    @property
    def certificates(self) -> dict[str, Path]:
        """Every certificate that others are shown, by its use."""
        named = {"dask": self.tls_cert, "https": self.https_cert}
        return {use: path for use, path in named.items() if path is not None}

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


def is_wildcard(host: str) -> bool:
    """Whether an address stands for every one of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
