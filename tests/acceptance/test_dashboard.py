"""The Optuna dashboard in a real browser: what it shows of a study beside the trials."""

import pytest
from playwright.sync_api import Browser, Page
from running import STORM, Service, eventually


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    """A page tall enough that the dashboard draws everything."""
    return browser.new_page(viewport={"width": 1280, "height": 3000})


@pytest.fixture(scope="module")
def dashboard(calm: Service, calm_table: list[str]) -> tuple[str, str]:
    """A completed study's id and its place in the dashboard, once its note is there."""
    found = next(item["id"] for item in calm.get("/v1/studies", limit=200)["items"] if item["name"] == STORM["name"])

    def described() -> str | None:
        place = str(calm.study(found)["links"]["dashboard"])
        number = place.rpartition("/")[2]
        if not number.isdecimal():
            return None
        return place if "Verdict" in calm.get(f"/api/studies/{number}")["note"]["body"] else None

    return found, str(eventually(described, 30, "its note is in the dashboard"))


def test_note_shows_the_verdict_and_leads_to_the_page(calm: Service, dashboard: tuple[str, str], page: Page) -> None:
    study, place = dashboard
    comparison = calm.get(f"/v1/studies/{study}/comparison")
    page.goto(f"{calm.url}{place}/note", wait_until="networkidle")
    page.get_by_text(f"Verdict: {comparison['verdict']}").wait_for(timeout=15_000)
    assert comparison["sentence"] in page.inner_text("body")
    assert page.get_by_role("link", name="page", exact=True).get_attribute("href") == f"/studies/{study}"
    svg = page.get_by_role("link", name="landscape (SVG)").get_attribute("href")
    picture = page.request.get(f"{calm.url}{svg}")
    assert (picture.status, picture.headers["content-type"]) == (200, "image/svg+xml")


def test_dashboard_draws_the_landscape_and_the_means_so_far(
    calm: Service, dashboard: tuple[str, str], page: Page
) -> None:
    _study, place = dashboard
    page.goto(f"{calm.url}{place}", wait_until="networkidle")
    page.get_by_text("Accuracy of each cell").wait_for(timeout=15_000)
    page.get_by_text("golden (prescribed)").wait_for(timeout=15_000)
    page.get_by_text("Intermediate values").wait_for(timeout=15_000)
    assert page.get_by_text("mean accuracy").count() >= 1, "the objective has a name"


def test_picture_opens_by_itself_with_its_colours(calm: Service, dashboard: tuple[str, str], page: Page) -> None:
    """Its styles are attributes, which the policy of the pages would forbid."""
    study, _place = dashboard
    wrong: list[str] = []
    page.on("console", lambda told: wrong.append(told.text))
    page.goto(f"{calm.url}/v1/studies/{study}/plots/heatmap.svg")
    assert page.evaluate("document.documentElement.nodeName") == "svg"
    fills = page.evaluate("[...document.querySelectorAll('path')].map(path => getComputedStyle(path).fill)")
    assert len(set(fills)) > 3
    assert wrong == []
