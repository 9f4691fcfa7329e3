"""The pages in a real browser, wide and narrow."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from running import STORM, Service, eventually

WIDTHS = (1280, 390)
BAD = ("error", "warning")
"""Kinds of console messages that a page should not give."""


@pytest.fixture(scope="module")
def study(calm: Service, calm_table: list[str]) -> str:
    """A completed study whose record in Optuna is complete."""
    found = next(item["id"] for item in calm.get("/v1/studies", limit=200)["items"] if item["name"] == STORM["name"])
    eventually(lambda: calm.study(found)["links"]["dashboard"] != "/dashboard", 15, "it is in the dashboard")
    return str(found)


@pytest.mark.parametrize(
    ("page_name", "expected"),
    [
        ("home", "Does a prescribed learning rate"),
        ("study", "Verdict"),
        ("docs", "/v1/studies/{study_id}/comparison"),
        ("dashboard", "storm ["),
        ("dashboard-study", "Trial 0"),
    ],
)
def test_page_renders_without_an_error(
    calm: Service, study: str, browser: Browser, tmp_path: Path, page_name: str, expected: str
) -> None:
    links = calm.study(study)["links"]
    paths = {"home": "/", "study": links["page"], "docs": "/docs", "dashboard": "/dashboard"}
    path = paths.get(page_name) or links["dashboard"] + "/trials"
    wrong: list[str] = []
    page = browser.new_page(viewport={"width": WIDTHS[0], "height": 900})
    page.on("console", lambda told: wrong.append(f"{told.text} {told.location}") if told.type in BAD else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(f"{request.url} failed: {request.failure}"))
    page.on("response", lambda answer: wrong.append(f"{answer.url} {answer.status}") if answer.status >= 400 else None)
    page.goto(calm.url + path, wait_until="networkidle")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.get_by_text(expected).first.wait_for(timeout=15_000)
        page.screenshot(path=tmp_path / f"{page_name}-{width}.png", full_page=True)
        excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if not page_name.startswith("dashboard"):  # Optuna's dashboard is not made for narrow windows
            assert excess <= 0, f"{path} is {excess} px wider than a window of {width} px"
    page.close()
    assert wrong == []
