"""A service that requires tokens, in a real browser and beyond loopback: login, door, text that would be script."""

import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Browser, BrowserContext, Page
from running import COMMAND, TINY, Part, Service, environment, eventually, free_port, goldenbench

EVIL = """<script>xss()</script><img src=x onerror=xss()>"'><svg/onload=xss()>[m](javascript:xss()){{7*7}}${7*7}"""
EVIL_SHORT = "<img src=x onerror=xss()>"
"""References have short names."""
HARMLESS = "Failed to load resource: the server responded with a status of 404"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that requires tokens, with one of its own."""
    folder = tmp_path_factory.mktemp("guarded")
    token = token_of(folder / "data", "admin")
    with Service(folder, GOLDENBENCH_REQUIRE_TOKENS="1", GOLDENBENCH_TOKEN=token) as service:
        yield service.ready()


@pytest.fixture(scope="module")
def evil(service: Service) -> tuple[str, str]:
    """Ids of a suite and of its first study, every text of which would be script."""
    reference = {"name": EVIL_SHORT, "learning_rate": 0.01, "momentum": 0.5}
    one = TINY | {"name": EVIL, "references": [reference], "grid": {"learning_rate": {"values": [0.02]}}}
    suite = service.post(
        "/v1/suites",
        {
            "name": EVIL,
            "studies": [one, one | {"name": EVIL + "2", "loss": "sse"}],
            "rows": [
                {"name": EVIL[:78] + "1", "study": EVIL, "cell": EVIL_SHORT, "published": PUBLISHED},
                {"name": EVIL[:78] + "2", "study": EVIL + "2", "cell": "prescribed"},
            ],
            "contrasts": [{"row": EVIL[:78] + "1", "minus": EVIL[:78] + "2", "note": EVIL}],
            "notes": [EVIL],
        },
    )
    study = str(suite["studies"][0]["id"])
    service.wait(study)
    eventually(lambda: service.study(study)["links"]["dashboard"] != "/dashboard", 30, "it is in the dashboard")
    return str(suite["id"]), study


PUBLISHED = {"mean": 0.99, "std": 0.01, "source": EVIL}


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has not been there before."""
    made = browser.new_context(viewport={"width": 1280, "height": 2000})
    yield made
    made.close()


def token_of(data: Path, scope: str) -> str:
    """A new token for a service that may not run yet."""
    done = goldenbench("token", "create", "test", "--scope", scope, "--data", str(data))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def log_in(page: Page, service: Service, token: str) -> None:
    """Type a token into the form, as a person does."""
    page.goto(f"{service.url}/")
    assert page.url.startswith(f"{service.url}/login")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{service.url}/")


def watched(page: Page) -> list[str]:
    """What goes wrong on a page, from now on."""
    wrong: list[str] = []
    page.expose_function("xss", lambda: wrong.append("a foreign script ran"))
    page.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}"))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda told: wrong.append(told.text) if told.type in ("error", "warning") else None)
    return wrong


def test_person_logs_in_sees_everything_and_logs_out(service: Service, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, service, token_of(service.data, "read"))
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    page.goto(f"{service.url}/dashboard")
    page.locator("#dashboard header").first.wait_for(timeout=15_000)
    page.goto(f"{service.url}/")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{service.url}/login")
    assert context.cookies() == []
    page.goto(f"{service.url}/dashboard")
    assert page.url.startswith(f"{service.url}/login?next=")


def test_person_with_a_wrong_token_stays_outside(service: Service, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{service.url}/docs")
    page.get_by_label("Token").fill("gb_00000000_" + "x" * 43)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").wait_for()
    assert context.cookies() == []


def test_login_lets_our_own_pages_change_things(
    service: Service, context: BrowserContext, evil: tuple[str, str]
) -> None:
    """The form of the pages, with the headers that a real browser sends."""
    page = context.new_page()
    log_in(page, service, token_of(service.data, "submit"))
    study = service.submit(TINY | {"epochs": 1000})
    page.goto(f"{service.url}/studies/{study}")
    page.get_by_role("button", name="Cancel").first.click()
    eventually(lambda: service.study(study)["status"] == "cancelled", 15, "the button cancels")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/studies/{study}",
        "/suites/{suite}",
        "/docs",
        "/dashboard",
        "{dashboard}",
        "{dashboard}/analytics",
        "{dashboard}/trials",
        "{dashboard}/trialTable",
        "{dashboard}/note",
        "/v1/studies/{study}",
        "/v1/studies/{study}/plots/heatmap.svg",
        "/v1/studies/{study}/plots/ridge.svg",
        '/nothing/"><img src=x onerror=xss()>',
        '/?cursor="><img src=x onerror=xss()>',
        '/?preset="><img src=x onerror=xss()>',
        '/login?next=/"><img src=x onerror=xss()>',
    ],
)
def test_text_of_users_stays_text(service: Service, context: BrowserContext, evil: tuple[str, str], path: str) -> None:
    page = context.new_page()
    log_in(page, service, token_of(service.data, "read"))
    wrong = watched(page)
    suite, study = evil
    where = path.format(study=study, suite=suite, dashboard=service.study(study)["links"]["dashboard"])
    page.goto(service.url + where, wait_until="networkidle")
    page.wait_for_timeout(1_000)
    assert page.locator("img[src=x], svg[onload], [onerror], a[href^='javascript:']").count() == 0
    seen = page.content()
    if "nothing" not in path and "=" not in path and "docs" not in path and "plots" not in path:
        assert "xss()" in seen, "the text is on the page"
    assert "49$49" not in seen
    assert [told for told in wrong if not told.startswith(HARMLESS)] == []


def test_dashboard_works_under_its_policy(service: Service, context: BrowserContext, evil: tuple[str, str]) -> None:
    """Its plots too, one of which compiles functions from text."""
    page = context.new_page()
    log_in(page, service, token_of(service.data, "read"))
    wrong = watched(page)
    dashboard = service.study(evil[1])["links"]["dashboard"]
    answer = page.goto(f"{service.url}{dashboard}/analytics", wait_until="networkidle")
    assert answer is not None
    assert "unsafe-inline" not in answer.headers["content-security-policy"].split("script-src")[1].split(";")[0]
    page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=20_000)
    page.wait_for_timeout(2_000)
    assert page.locator(".js-plotly-plot").count() >= 3
    assert wrong == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for bench.example and 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench.example")])
    names = x509.SubjectAlternativeName([x509.DNSName("bench.example"), x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return files


def refused(*arguments: str, **more: str) -> str:
    """What a service says that does not start."""
    program = [str(COMMAND), "up", "--port", str(free_port()), *arguments]
    done = subprocess.run(program, env=environment(**more), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done.stderr


def test_service_does_not_start_where_strangers_could_come_in(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    where = ("--data", str(tmp_path / "data"))
    https = {"GOLDENBENCH_HTTPS_CERT": str(certificate[0]), "GOLDENBENCH_HTTPS_KEY": str(certificate[1])}
    assert "in the clear" in refused(*where, "--host", "0.0.0.0")
    assert "nobody could get in" in refused(*where, "--host", "0.0.0.0", **https)
    assert "nobody could get in" in refused(*where, "--host", "0.0.0.0", GOLDENBENCH_PLAIN_HTTP="1")
    assert "nobody could get in" in refused(*where, GOLDENBENCH_ALLOWED_HOSTS="bench.example")
    assert "nobody could get in" in refused(*where, GOLDENBENCH_REQUIRE_TOKENS="1")
    assert "together" in refused(*where, GOLDENBENCH_HTTPS_CERT=https["GOLDENBENCH_HTTPS_CERT"])
    token_of(tmp_path / "data", "admin")
    https["GOLDENBENCH_HTTPS_KEY"] = https["GOLDENBENCH_HTTPS_CERT"]
    assert "cannot be used" in refused(*where, "--host", "0.0.0.0", **https)


def test_service_beyond_loopback_speaks_https_and_asks_for_a_token(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    data, port = tmp_path / "data", free_port()
    token = token_of(data, "submit")
    more: dict[str, str] = {
        "GOLDENBENCH_HTTPS_CERT": str(certificate[0]),
        "GOLDENBENCH_HTTPS_KEY": str(certificate[1]),
        "GOLDENBENCH_ALLOWED_HOSTS": "bench.example",
    }
    arguments = ["up", "--host", "0.0.0.0", "--port", str(port), "--data", str(data)]
    with Part(tmp_path, "open", arguments, **more) as part:
        trusted = ssl.create_default_context(cafile=str(certificate[0]))
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trusted, trust_env=False) as client:
            eventually(lambda: answers(client), 90, "it answers")
            assert f"https://bench.example:{port}/" in part.printed
            assert client.get("/v1/studies").status_code == 401
            bearer = {"Authorization": f"Bearer {token}"}
            assert client.get("/v1/studies", headers=bearer).status_code == 200
            for host, status in (("bench.example", 200), (f"bench.example:{port}", 200), ("evil.example", 400)):
                assert client.get("/v1/studies", headers=bearer | {"Host": host}).status_code == status
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
        command = {"GOLDENBENCH_URL": f"https://127.0.0.1:{port}", "SSL_CERT_FILE": str(certificate[0])}
        assert "needs a valid token" in goldenbench("submit", "demo", **command).stderr
        done = goldenbench("submit", "demo", GOLDENBENCH_TOKEN=token, **command)
        assert done.returncode == 0, done.stderr


def answers(client: httpx.Client) -> Any:
    """Whether the service is there."""
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False
