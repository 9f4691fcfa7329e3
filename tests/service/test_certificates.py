"""Certificates of a deployment: what is made, who gets in with them, and who is refused."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from distributed import Client, Scheduler
from distributed.comm.core import FatalCommClosedError
from typer.testing import CliRunner

from service import certificates
from service.certificates import CertificateSet, make_certificates, valid_until
from service.cli import machine
from service.cli.main import app
from service.config import Settings
from service.dispatch.cluster import check_scheduler, configure_dask, security_of
from service.errors import SetupError
from service.versions import REFUSED_TOPIC, OtherVersion, answer_with_versions, compare_with, own_versions

HOSTS = ["scheduler.example", "10.0.0.1", "fd00::1"]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[CertificateSet, CertificateSet]:
    """Two sets of different authorities."""
    folder = tmp_path_factory.mktemp("tls")
    return make_certificates(folder / "ours", HOSTS, 30), make_certificates(folder / "theirs", HOSTS, 30)


def settings(made: CertificateSet | None, **more: Any) -> Settings:
    """Settings with the files of a set."""
    files = {} if made is None else {"tls_ca": made.authority, "tls_cert": made.certificate, "tls_key": made.key}
    return Settings(**files, **more)


async def _with_scheduler(made: CertificateSet, use: Any, tells_versions: bool = True) -> Any:
    """What `use` makes of a scheduler with TLS."""
    configure_dask()
    security = security_of(settings(made), "scheduler")
    scheduler = Scheduler(host="127.0.0.1", port=0, security=security, dashboard_address="127.0.0.1:0")
    if tells_versions:
        answer_with_versions(scheduler)
    async with scheduler:
        return await use(scheduler)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a loop of its own."""
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def test_the_files(sets: tuple[CertificateSet, CertificateSet]) -> None:
    made = sets[0]
    modes = {path.name: path.stat().st_mode & 0o777 for path in made.files}
    assert modes == {"key.pem": 0o600, "cert.pem": 0o644, "ca.pem": 0o644}
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == HOSTS
    left = made.valid_until() - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)
    assert made.authority.parent.stat().st_mode & 0o777 == 0o700


def test_strict_checks_pass_with_the_names(sets: tuple[CertificateSet, CertificateSet]) -> None:
    made = sets[0]
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    for context in (server, client):
        context.load_cert_chain(made.certificate, made.key)
        context.load_verify_locations(made.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    speakers = [
        client.wrap_bio(back, there, server_hostname=HOSTS[0]),
        server.wrap_bio(there, back, server_side=True),
    ]
    for speaker in (*speakers, *speakers):
        try:
            speaker.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert all(speaker.getpeercert() for speaker in speakers)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    command = ["certificates", str(tmp_path), "--host", "a.example"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    before = [path.read_bytes() for path in CertificateSet.within(tmp_path).files]
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, SetupError)
    assert "will not overwrite" in str(refused.exception)
    again = CliRunner().invoke(app, [*command, "--if-missing"])
    assert again.exit_code == 0
    assert again.stdout == first.stdout
    assert [path.read_bytes() for path in CertificateSet.within(tmp_path).files] == before
    (tmp_path / "ca.pem").unlink()
    half = CliRunner().invoke(app, [*command, "--if-missing"])
    assert "key.pem" in str(half.exception)


class PowerCut(BaseException):
    """The command ends where it is."""


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_a_set_that_was_not_finished_is_made_again(tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the containers' secrets were being made, which nobody would mend by hand."""
    done = iter(range(steps))

    def until_the_power_fails(step: Callable[..., Any]) -> Callable[..., Any]:
        def take(*given: Any) -> Any:
            if next(done, None) is None:
                raise PowerCut
            return step(*given)

        return take

    command = ["certificates", str(tmp_path), "--if-missing"]
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "_write", until_the_power_fails(certificates._write))
        patch.setattr(Path, "replace", until_the_power_fails(Path.replace))
        with pytest.raises(PowerCut):
            CliRunner().invoke(app, command)
    assert not CertificateSet.within(tmp_path).authority.exists()
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.exception
    security_of(settings(CertificateSet.within(tmp_path)), "worker")
    assert len(list(tmp_path.iterdir())) == 3


def test_the_end_is_read_of_a_chain_too(sets: tuple[CertificateSet, CertificateSet], tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(sets[0].certificate.read_bytes() + sets[0].authority.read_bytes())
    assert valid_until(chain) == sets[0].valid_until()
    chain.write_text("nothing")
    with pytest.raises(SetupError, match=r"chain\.pem cannot be read"):
        valid_until(chain)


@pytest.mark.parametrize(("days", "state", "told"), [(31, "good", "valid until"), (29, "note", "valid until only")])
def test_doctor_says_when_a_certificate_ends(days: int, state: str, told: str, tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "tls", [], days)
    (finding,) = [one for one in machine.certificates(settings(made)) if one.what == "certificate (dask)"]
    assert finding.state == state
    assert told in finding.told
    assert not list(machine.certificates(settings(None)))
    made.certificate.write_text("nothing")
    assert [one.state for one in machine.certificates(settings(made))] == ["bad"]


@pytest.mark.parametrize(("hosts", "days"), [(["a b"], 1), (["-a"], 1), (["a/b"], 1), ([], 0), ([], 4000)])
def test_what_makes_no_certificate(hosts: list[str], days: int, tmp_path: Path) -> None:
    with pytest.raises(SetupError):
        make_certificates(tmp_path / "tls", hosts, days)
    assert not (tmp_path / "tls").exists()


def test_only_the_same_authority_gets_in(sets: tuple[CertificateSet, CertificateSet]) -> None:
    ours, theirs = sets

    async def knock(scheduler: Scheduler) -> None:
        await compare_with(scheduler.address, "ours", security_of(settings(ours), "worker"))
        with pytest.raises(FatalCommClosedError):
            await compare_with(scheduler.address, "theirs", security_of(settings(theirs), "worker"))
        with pytest.raises(OSError, match="before comm was established"):
            await compare_with(scheduler.address.replace("tls", "tcp"), "plain", None)
        with pytest.raises(OSError, match="certificate"):
            await Client(
                scheduler.address, security=security_of(settings(theirs), "client"), asynchronous=True, timeout=5
            )
        assert not scheduler.clients.keys() - {"fire-and-forget"}

    run(_with_scheduler(ours, knock))


def test_a_worker_of_other_versions_is_told_and_reported(
    sets: tuple[CertificateSet, CertificateSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    security = security_of(settings(sets[0]), "worker")

    async def knock(scheduler: Scheduler) -> list[Any]:
        scheduler.handlers["goldenbench_versions"] = lambda: {**own_versions(), "goldenbench": "0.0.1"}
        with pytest.raises(OtherVersion, match=r"goldenbench \S+ here and 0\.0\.1 there"):
            await compare_with(scheduler.address, "stale", security)
        return [message for _, message in scheduler.get_events(REFUSED_TOPIC)]

    (reported,) = run(_with_scheduler(sets[0], knock))
    assert reported["worker"] == "stale"
    assert "0.0.1" in reported["difference"]


def test_a_scheduler_of_somebody_else_is_refused(sets: tuple[CertificateSet, CertificateSet]) -> None:
    security = security_of(settings(sets[0]), "worker")

    async def knock(scheduler: Scheduler) -> None:
        with pytest.raises(OtherVersion, match="tells no versions"):
            await compare_with(scheduler.address, "lost", security)

    run(_with_scheduler(sets[0], knock, tells_versions=False))


@pytest.mark.parametrize(
    ("scheduler", "with_tls", "told"),
    [
        ("tcp://10.0.0.1:8786", False, "not a loopback address"),
        ("tcp://10.0.0.1:8786", True, "go together"),
        ("tcp://127.0.0.1:8786", True, "go together"),
        ("tls://10.0.0.1:8786", False, "go together"),
        ("10.0.0.1:8786", True, "reads tls://"),
        ("tls://10.0.0.1:8786", True, ""),
        ("tcp://127.0.0.1:8786", False, ""),
    ],
)
def test_no_scheduler_is_spoken_to_in_the_clear(
    scheduler: str, with_tls: bool, told: str, sets: tuple[CertificateSet, CertificateSet]
) -> None:
    chosen = settings(sets[0] if with_tls else None, scheduler=scheduler)
    if told:
        with pytest.raises(SetupError, match=told):
            check_scheduler(chosen)
    else:
        check_scheduler(chosen)


def test_half_of_tls_is_refused(sets: tuple[CertificateSet, CertificateSet], tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="GOLDENBENCH_TLS_KEY not set"):
        security_of(Settings(tls_ca=sets[0].authority, tls_cert=sets[0].certificate), "worker")
    with pytest.raises(SetupError, match="cannot use"):
        security_of(settings(CertificateSet.within(tmp_path)), "worker")
