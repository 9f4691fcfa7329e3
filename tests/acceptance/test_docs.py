"""Every command in the documents, run in their order against a real service."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import ENDED, TINY, Service, environment

ROOT = Path(__file__).parents[2]
SHELLS = ("sh", "bash", "console")
NOT_RUN = {
    "make demo": "installs everything; its last step is run by test_the_demo.py",
    "make test": "would run this very test",
    "make security": "make check runs it",
    "make audit": "asks a service on the internet",
    "make fuzz": "takes most of an hour; test_fuzz.py runs it short",
    "python -m tests.fuzz": "as make fuzz",
    "goldenbench up": "does not end; the service that these commands talk to was started with it",
    "docker compose": "needs a container engine; tests/cluster runs what the containers run",
    "python -m pip install ./examples/": "would change this environment; installed into a folder of its own instead",
}
"""Commands by their beginning, with the reason why they are not run."""
OTHERS = {
    "docs/rest.md": "each example is run by test_rest_reference.py on a study in a state in which it can succeed",
    "docs/benchmarks.md": "each command measures for minutes on an idle machine; its parts are tested one by one",
    "docs/calibration.md": "the long calibration takes minutes on an idle core; test_calibration.py runs a short one",
    "docs/deployment.md": "needs several machines; tests/cluster reads its commands and runs goldenbench's on hosts",
    "docs/findings.md": "the studies behind it take hours; test_findings.py runs them small",
}
"""Documents that are not run at all, with the reason."""
INSTEAD = {
    "goldenbench submit demo": "goldenbench submit tiny.json",
    '"folds_used": 4,': '"folds_used": 2,',
}
"""What is run in place of what trains for long; test_the_demo.py runs the demo."""
ADDRESS = "localhost:8765"
"""Where a service is in the documents."""
SECONDS = 600


def documents() -> list[str]:
    """The documents that hold commands."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [str(path.relative_to(ROOT)) for path in found if list(blocks(path))]


def blocks(path: Path) -> Iterator[str]:
    """The fenced blocks of commands, without prompts."""
    for language, text in re.findall(
        r"^```(\w+)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        if language in SHELLS:
            yield re.sub(r"^\$ ", "", text, flags=re.MULTILINE)


def reason(line: str) -> str | None:
    """Why a line is not run; None if it is."""
    return next((why for start, why in NOT_RUN.items() if line.startswith(start)), None)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, example_package: str) -> Iterator[Service]:
    """A service that has the example package."""
    with Service(tmp_path_factory.mktemp("docs"), PYTHONPATH=example_package) as service:
        yield service.ready()


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("document", documents())
def test_commands_of_the_document_work(service: Service, example_package: str, tmp_path: Path, document: str) -> None:
    if document in OTHERS:
        pytest.skip(OTHERS[document])
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    lines = [line for block in blocks(ROOT / document) for line in block.splitlines() if reason(line) is None]
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    script = "\n".join(lines).replace(ADDRESS, service.url.removeprefix("http://"))
    for slow, quick in INSTEAD.items():
        script = script.replace(slow, quick)
    # An HTTP error ends the script as it would end nobody's shell: here each command has to work.
    prelude = 'set -euo pipefail\ncurl() { command curl --fail-with-body "$@"; }\n'
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = environment(GOLDENBENCH_DATA=str(service.data), PYTHONPATH=example_package, PATH=path)
    command = ["bash", "-x", "-c", prelude + script]
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=SECONDS, check=False)
    for study in service.get("/v1/studies", limit=200)["items"]:
        if study["status"] not in ENDED:  # the next document shall not wait for it
            service.post(f"/v1/studies/{study['id']}/cancel")
    assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-3000:]}"


def test_every_exception_is_needed() -> None:
    lines = [line for document in documents() for block in blocks(ROOT / document) for line in block.splitlines()]
    for command in (*NOT_RUN, *INSTEAD):
        assert any(command in line for line in lines), f"no document has {command!r} any more"


def test_every_link_between_documents_leads_somewhere() -> None:
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (path.parent / target).exists(), f"{path.relative_to(ROOT)} links to {target}"
