"""Services that the acceptance tests share; every process a test starts ends with it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from running import STORM, FirstDemo, Part, Service

CHROMIUM = Path("/usr/bin/chromium")
EXAMPLE = Path(__file__).parents[2] / "examples" / "goldenbench-example"


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that nothing happens to."""
    with Service(tmp_path_factory.mktemp("calm")) as service:
        yield service.ready()


@pytest.fixture(scope="session")
def calm_table(calm: Service) -> list[str]:
    """The replicates of STORM after a calm run."""
    return calm.table(calm.run(STORM))


@pytest.fixture(scope="session")
def example_package(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder that holds the example package as pip installs it, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("example")
    source = shutil.copytree(EXAMPLE, folder / "source")  # building writes into it
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(folder / "site"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return str(folder / "site")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium without a window."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session", autouse=True)
def first_demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstDemo | None]:
    """A demo that takes what processor time the other tests leave, since their faults are mostly waited out."""
    if not any("first_demo" in getattr(item, "originalname", "") for item in request.session.items):
        yield None
        return
    folder = tmp_path_factory.mktemp("demo")
    with Part(folder, "demo", ["demo", "--data", str(folder / "data")], ["nice", "-n", "5"]) as part:
        yield FirstDemo(part, folder / "data")
