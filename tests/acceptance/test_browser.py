"""The pages in a real browser: wide and narrow, light and dark, with scripts and without, by pointer and keyboard."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect
from running import SLOW, STORM, STUDY_SECONDS, Service, eventually
from suite_data import suite

WIDTHS = (1280, 390)
BAD = ("error", "warning")
"""Kinds of console messages that a page should not give."""
expect.set_options(timeout=30_000)  # pages answer at once, but the workers train on the same processor
FORM = {
    "name": "from the browser",
    "grid.learning_rate.values": "0.004, 0.02",
    "grid.momentum.values": "0.9",
    "folds_used": "2",
    "runs": "1",
    "epochs": "3",
}
"""What is typed: 2 cells of a grid, the golden point and five references, on 2 folds: 16 trainings."""


@pytest.fixture(scope="module")
def study(calm: Service, calm_table: list[str]) -> str:
    """A completed study whose record in Optuna is complete."""
    found = next(item["id"] for item in calm.get("/v1/studies", limit=200)["items"] if item["name"] == STORM["name"])
    eventually(lambda: calm.study(found)["links"]["dashboard"] != "/dashboard", 15, "it is in the dashboard")
    return str(found)


@contextmanager
def watched(browser: Browser, **options: Any) -> Iterator[Page]:
    """A new page; fails if its console or its requests tell of anything wrong, or if a name runs a script."""
    context = browser.new_context(viewport={"width": WIDTHS[0], "height": 900}, **options)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda told: wrong.append(f"{told.text} {told.location}") if told.type in BAD else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: _left(request) or wrong.append(f"{request.url} failed: {request.failure}"))
    page.on("response", lambda answer: wrong.append(f"{answer.url} {answer.status}") if answer.status >= 400 else None)
    page.on("dialog", lambda dialog: (wrong.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
    yield page
    context.close()
    assert wrong == []


def _left(request: Request) -> bool:
    """Whether a request ended with the page that was left, or became a download; nothing of ours aborts one."""
    return request.failure == "net::ERR_ABORTED"


def excess(page: Page) -> int:
    """How many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def fill(page: Page, values: dict[str, str]) -> None:
    for name, value in values.items():
        page.locator(f'form.study [name="{name}"]').fill(value)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("page_name", "expected"),
    [
        ("home", "Does a prescribed learning rate"),
        ("study", "Verdict:"),
        ("docs", "/v1/studies/{study_id}/comparison"),
        ("dashboard", "storm ["),
        ("dashboard-study", "Trial 0"),
    ],
)
def test_page_renders_without_an_error(
    calm: Service, study: str, browser: Browser, tmp_path: Path, page_name: str, expected: str, scheme: str
) -> None:
    links = calm.study(study)["links"]
    paths = {"home": "/", "study": links["page"], "docs": "/docs", "dashboard": "/dashboard"}
    path = paths.get(page_name) or links["dashboard"] + "/trials"
    with watched(browser, color_scheme=scheme) as page:
        page.goto(calm.url + path)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.get_by_text(expected).first.wait_for(timeout=15_000)
            page.screenshot(path=tmp_path / f"{page_name}-{width}-{scheme}.png", full_page=True)
            if not page_name.startswith("dashboard"):  # Optuna's dashboard is not made for narrow windows
                assert excess(page) <= 0, f"{path} is {excess(page)} px wider than a window of {width} px"


def test_study_from_the_form_to_the_verdict(calm: Service, browser: Browser) -> None:
    with watched(browser) as page:
        page.goto(calm.url + "/")
        expect(page.locator("#cost")).to_contain_text("300")
        fill(page, FORM | {"runs": "none"})
        rule = page.locator("#field-runs .problem")
        expect(rule).to_have_text("must be a whole number, not 'none'")
        expect(page.locator("#runs")).to_have_attribute("aria-invalid", "true")
        fill(page, FORM)
        expect(rule).to_have_count(0)
        expect(page.locator("#cost dd").first).to_have_text("16")
        page.get_by_role("button", name="Submit").click()

        page.wait_for_url("**/studies/*")
        page.evaluate("window.loadedOnce = true")
        expect(page.locator("h1")).to_have_text("from the browser")
        expect(page.locator("#status")).to_have_text("completed", timeout=1_000 * STUDY_SECONDS)
        expect(page.locator("#verdict")).to_contain_text("Verdict:")
        expect(page.locator("#head")).to_contain_text("16 of 16 trainings")
        expect(page.locator("#landscape .tile")).to_have_count(2)
        assert page.evaluate("window.loadedOnce"), "the page has followed the study without loading itself again"
        answer = calm.get(f"/v1/studies/{page.url.rsplit('/', 1)[1]}/comparison")
        expect(page.locator("#verdict .lead")).to_have_text(answer["sentence"])

        with page.expect_download() as download:
            page.get_by_role("link", name="Replicates, CSV").click()
        rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
        assert len(rows) == 16
        eventually(lambda: calm.study(answer["study"])["links"]["dashboard"] != "/dashboard", 15, "it is recorded")
        page.reload()
        page.get_by_role("link", name="The same study in the Optuna dashboard").click()
        page.wait_for_url("**/dashboard/studies/*")
        page.goto(page.url.rstrip("/") + "/trials")
        page.get_by_text("Trial 0").first.wait_for(timeout=15_000)


def test_form_and_answer_work_without_scripts(calm: Service, browser: Browser) -> None:
    with watched(browser, java_script_enabled=False) as page:
        page.goto(calm.url + "/?preset=golden-grid")
        assert page.locator("#runs").input_value() == "10"
        fill(page, FORM | {"name": "without scripts", "runs": "2"})
        page.get_by_role("button", name="What would it cost?").click()
        expect(page.locator("#cost dd").first).to_have_text("32")
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url("**/studies/*")
        study = page.url.rsplit("/", 1)[1]
        page.get_by_role("button", name="pause").click()
        expect(page.locator("#status")).to_have_text("paused")
        page.get_by_text("cancel", exact=True).click()
        page.get_by_role("button", name="end it for good").click()
        expect(page.locator("#status")).to_have_text("cancelled")
        assert calm.study(study)["status"] == "cancelled"
        page.get_by_text("delete", exact=True).click()
        page.get_by_role("button", name="nothing brings them back").click()
        page.wait_for_url(f"{calm.url}/")
        assert study not in [item["id"] for item in calm.get("/v1/studies", limit=200)["items"]]


def test_running_study_is_followed_and_ended(calm: Service, browser: Browser) -> None:
    study = calm.submit(SLOW | {"name": "followed"})
    with watched(browser) as page:
        page.goto(f"{calm.url}/studies/{study}")
        expect(page.locator("#status")).to_have_text("running", timeout=60_000)
        expect(page.locator("#landscape .tile")).to_have_count(2, timeout=60_000)
        before = float(page.locator("#head progress").get_attribute("value") or 0)
        eventually(
            lambda: float(page.locator("#head progress").evaluate("bar => bar.value")) > before, 60, "it goes on"
        )
        page.get_by_text("cancel", exact=True).click()
        page.wait_for_timeout(3_000)
        expect(page.get_by_role("button", name="end it for good")).to_be_visible()
        page.get_by_role("button", name="end it for good").click()
        expect(page.locator("#status")).to_have_text("cancelled", timeout=15_000)


def test_figures_answer_pointer_and_keyboard(calm: Service, study: str, browser: Browser) -> None:
    with watched(browser) as page:
        page.goto(f"{calm.url}/studies/{study}")
        tip = page.locator("#tip")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the content")
        first = page.locator(".heatmap .tile").first
        first.hover()
        expect(tip).to_contain_text("of 2 trainings")
        first.focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator(":focus")).to_have_attribute("data-column", "1")
        expect(tip).to_have_text(page.locator(":focus").get_attribute("aria-label") or "nothing")
        page.keyboard.press("Escape")
        expect(tip).to_be_hidden()
        stops = page.evaluate("document.querySelectorAll('.heatmap [tabindex=\"0\"]').length")
        assert stops == 1, "the tabulator key reaches one thing in a figure"
        band = page.locator(".band.series0")
        expect(band).to_be_visible()
        page.locator("#series0").uncheck()
        expect(band).to_be_hidden()
        page.locator("#verdict .fact").first.focus()
        expect(tip).to_contain_text("fixed before the run")


def test_suite_is_followed_to_its_table_beside_the_paper(calm: Service, browser: Browser) -> None:
    made = calm.post("/v1/suites", suite(name="two losses"))
    with watched(browser) as page:
        page.goto(f"{calm.url}/suites/{made['id']}")
        page.evaluate("window.loadedOnce = true")
        expect(page.locator("#status")).to_have_text("completed", timeout=1_000 * STUDY_SECONDS)
        expect(page.locator("#table tbody tr").first).to_contain_text("77.4 ± 10")
        expect(page.locator("#contrasts dt")).to_have_count(2)
        assert page.evaluate("window.loadedOnce")
        page.set_viewport_size({"width": WIDTHS[1], "height": 900})
        assert excess(page) <= 0
        page.get_by_role("link", name="off", exact=True).click()
        expect(page.locator("h1")).to_have_text("squares")


def test_hostile_names_do_nothing(calm: Service, browser: Browser) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    mine = {"name": "<svg onload=alert(3)>", "learning_rate": 0.02, "momentum": 0.5}
    study = calm.run(STORM | {"name": hostile, "references": [mine], "epochs": 1})
    with watched(browser) as page:
        for path in ("/", f"/studies/{study}"):
            page.goto(calm.url + path)
            expect(page.get_by_text(hostile).first).to_be_visible()
        expect(page.locator("#table")).to_contain_text(mine["name"])
        page.locator("#dots .dot").last.hover()
        expect(page.locator("#tip")).to_contain_text(mine["name"])


def test_error_is_a_page(calm: Service, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{calm.url}/studies/0123456789ab")
    expect(page.locator("h1")).to_have_text("Not found")
    page.get_by_role("link", name="All studies").click()
    expect(page.locator("h1")).to_contain_text("Does a prescribed")
    page.close()
