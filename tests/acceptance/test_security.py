"""A service that requires tokens, in a real browser: login, what a login may do, and text that would be script."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from running import Service, eventually, goldenbench

from service.access import tokens
from service.access.scopes import Scope
from service.store.engine import Store

EVIL = """<script>xss()</script><img src=x onerror=xss()>"'><svg/onload=xss()>[m](javascript:xss()){{7*7}}${7*7}"""
EVIL_SHORT = "<img src=x onerror=xss()>"
"""References have short names."""
DONE = {"javascript": "a[href^='javascript:']", "elements": "img[src=x], svg[onload], [onerror]"}
"""What the page would hold if such text had become part of it."""
MISSING = "Failed to load resource: the server responded with a status of 4"
"""A browser's own remark about a page that answers 404 or 422."""
ONE = {
    "name": EVIL,
    "dataset": "rotated-digits",
    "loss": "dual-process",
    "grid": {"learning_rate": {"values": [0.02]}, "momentum": {"values": [0.5]}},
    "references": [{"name": EVIL_SHORT, "learning_rate": 0.01, "momentum": 0.5}],
    "folds_used": 2,
    "runs": 1,
    "epochs": 1,
}
"""3 cells, 6 trainings."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that requires tokens, asked with one of its own."""
    folder = tmp_path_factory.mktemp("guarded")
    made = goldenbench("token", "create", "first", "--scope", "admin", "--data", str(folder / "data"))
    assert made.returncode == 0, made.stderr
    with Service(folder, GOLDENBENCH_REQUIRE_TOKENS="1", GOLDENBENCH_TOKEN=made.stdout.strip()) as service:
        yield service.ready()


@pytest.fixture(scope="module")
def evil(service: Service) -> list[str]:
    """Where the texts of a suite and its studies are shown, every one of which would be script."""
    document = {
        "name": EVIL,
        "studies": [ONE, ONE | {"name": EVIL + "2", "loss": "sse"}],
        "rows": [
            {
                "name": EVIL[:78] + "1",
                "study": EVIL,
                "cell": EVIL_SHORT,
                "published": {"mean": 0.99, "std": 0.01, "source": EVIL},
            },
            {"name": EVIL[:78] + "2", "study": EVIL + "2", "cell": "prescribed"},
        ],
        "contrasts": [{"row": EVIL[:78] + "1", "minus": EVIL[:78] + "2", "note": EVIL}],
        "notes": [EVIL],
    }
    made = service.post("/v1/suites", document)
    first, second = (str(study["id"]) for study in made["studies"])
    for study in (first, second):
        service.wait(study)
    eventually(lambda: service.study(first)["links"]["dashboard"] != "/dashboard", 30, "it is in the dashboard")
    dashboard = service.study(first)["links"]["dashboard"]
    return [
        "/",
        f"/studies/{first}",
        f"/studies/{first}/comparison/{second}",
        f"/suites/{made['id']}",
        "/dashboard",
        *(f"{dashboard}{page}" for page in ("", "/analytics", "/trials", "/trialTable", "/note")),
        f"/v1/studies/{first}",
        f"/v1/studies/{first}/plots/heatmap.svg",
    ]


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has not been there before."""
    made = browser.new_context(viewport={"width": 1280, "height": 2000})
    yield made
    made.close()


def token_of(service: Service, scope: Scope) -> str:
    """A new token, as `goldenbench token create` makes one."""
    store = Store(service.storage_url)
    with store.write() as session:
        token = tokens.create(session, "test", scope)[1]
    store.close()
    return token


def log_in(page: Page, service: Service, scope: Scope) -> None:
    """Type a token into the form, as a person does."""
    page.goto(f"{service.url}/")
    assert page.url.startswith(f"{service.url}/login")
    page.get_by_label("Token").fill(token_of(service, scope))
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{service.url}/")


def watched(page: Page) -> list[str]:
    """What goes wrong on a page, from now on: above all, a script of somebody's that runs."""
    wrong: list[str] = []
    page.expose_function("xss", lambda: wrong.append("a foreign script ran"))
    page.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}"))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda told: wrong.append(told.text) if told.type in ("error", "warning") else None)
    return wrong


def assert_inert(page: Page, where: str) -> None:
    """No text of a user's has become part of the page."""
    for kind, selector in DONE.items():
        assert page.locator(selector).count() == 0, f"{kind} at {where}"
    assert "49$49" not in page.content(), f"a template computed at {where}"


def test_person_logs_in_changes_something_and_logs_out(service: Service, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, service, Scope.SUBMIT)
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    study = service.submit(ONE | {"name": "to be ended", "epochs": 1_000})
    page.goto(f"{service.url}/studies/{study}")
    page.get_by_text("cancel", exact=True).click()
    page.get_by_role("button", name="end it for good").click()
    expect(page.locator("#status")).to_have_text("cancelled", timeout=15_000)
    expect(page.get_by_text("delete", exact=True)).to_have_count(0)
    page.get_by_role("button", name="log out").click()
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


def test_text_of_users_stays_text(service: Service, context: BrowserContext, evil: list[str]) -> None:
    """Everywhere; and the dashboard's plots, one of which compiles functions from text, are drawn under our policy."""
    page = context.new_page()
    log_in(page, service, Scope.READ)
    wrong = watched(page)
    for where in evil:
        answer = page.goto(service.url + where, wait_until="networkidle" if "dashboard" in where else "load")
        if "/plots/" not in where:
            expect(page.get_by_text("xss()").first).to_be_attached(timeout=10_000)
        assert_inert(page, where)
        if where.endswith("/analytics"):
            page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=20_000)
            assert answer is not None
            scripts = answer.headers["content-security-policy"].split("script-src")[1].split(";")[0]
            assert "unsafe-inline" not in scripts
    payload = '"><img src=x onerror=xss()>'
    for where in (f"/nothing/{payload}", f"/?cursor={payload}", f"/?preset={payload}", f"/login?next=/{payload}"):
        page.goto(service.url + where)
        assert_inert(page, where)
    assert [told for told in wrong if not told.startswith(MISSING)] == []


def test_text_in_every_field_of_the_form_stays_text(service: Service, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, service, Scope.SUBMIT)
    wrong = watched(page)
    page.locator("details.fold summary").click()
    fields = page.locator("form.study input:not([type]), form.study textarea")
    for index in range(fields.count()):
        fields.nth(index).fill(EVIL)
    expect(page.locator("#cost .problem").first).to_be_visible(timeout=10_000)
    assert_inert(page, "the estimate")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("h1")).to_have_text("New study", timeout=10_000)
    assert fields.nth(0).input_value() == EVIL
    assert_inert(page, "the refused form")
    assert [told for told in wrong if not told.startswith(MISSING)] == []
