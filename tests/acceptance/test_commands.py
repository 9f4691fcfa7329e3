"""The commands that talk to a service, and those that need none."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import COMMAND, SLOW, STORM, TINY, Service, environment, goldenbench

ROOT = Path(__file__).parents[2]


def test_submit_waits_and_prints_the_answer(calm: Service, tmp_path: Path) -> None:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(TINY))
    done = goldenbench("submit", str(path), "--wait", "--url", calm.url)
    assert done.returncode == 0, done.stderr
    study = done.stdout.split()[0]
    assert calm.study(study)["status"] == "completed"
    assert "verdict: " in done.stdout

    watched = goldenbench("watch", study, "--url", calm.url)
    assert (watched.returncode, watched.stdout.split()[-1]) == (0, "completed")

    shown = goldenbench("compare", study, "--json", "--url", calm.url)
    assert shown.returncode == 0
    assert json.loads(shown.stdout) == calm.get(f"/v1/studies/{study}/comparison")
    assert "golden" in goldenbench("compare", study, "--url", calm.url).stdout


def test_commands_find_the_service_of_the_data_folder(calm: Service) -> None:
    study = calm.get("/v1/studies")["items"][0]["id"]
    assert goldenbench("compare", study, "--json", GOLDENBENCH_DATA=str(calm.data)).returncode == 0


def test_watch_tells_a_cancelled_study_by_its_exit_code(calm: Service) -> None:
    study = calm.submit(SLOW)
    command = [str(COMMAND), "watch", study, "--url", calm.url]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as watching:
        try:
            calm.post(f"/v1/studies/{study}/cancel")
            printed, _ = watching.communicate(timeout=30)
        finally:
            watching.kill()
    assert watching.returncode == 3
    assert printed.split()[-1] == "cancelled"


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"loss": "dual-process"}, ["dataset"]),
        (TINY | {"dataset": "imagenet", "epochs": 0}, ["dataset", "epochs"]),
        (TINY | {"grid": {"momentum": {"values": [1.0]}}}, ["grid.momentum"]),
        (TINY | {"colour": "red"}, ["colour"]),
    ],
)
def test_refused_specification_names_its_fields(
    calm: Service, tmp_path: Path, spec: dict[str, object], fields: list[str]
) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec))
    refused = goldenbench("submit", str(path), "--url", calm.url)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "Traceback" not in refused.stderr
    for field in fields:
        assert f"  {field}" in refused.stderr


def test_what_is_not_there_is_an_error_of_one_line(calm: Service, tmp_path: Path) -> None:
    for arguments in (
        ["submit", str(tmp_path / "absent.json"), "--url", calm.url],
        ["watch", "nosuchstudy", "--url", calm.url],
        ["compare", "nosuchstudy", "--url", calm.url],
        ["import", str(tmp_path), "--data", str(tmp_path / "data")],
        ["data", "imagenet"],
        ["up", "--data", str(tmp_path), "--host", "0.0.0.0"],
    ):
        failed = goldenbench(*arguments)
        assert failed.returncode == 1, arguments
        assert failed.stderr.startswith("goldenbench: "), failed.stderr
        assert len(failed.stderr.splitlines()) == 1, failed.stderr


def test_data_lists_and_prepares(tmp_path: Path) -> None:
    listed = goldenbench("data")
    assert listed.returncode == 0
    for name in ("rotated-digits", "mnist", "digit-folder"):
        assert name in listed.stdout
    prepared = goldenbench("data", "rotated-digits", "--data", str(tmp_path))
    assert prepared.returncode == 0, prepared.stderr
    assert Path(prepared.stdout.splitlines()[0]).exists()
    refused = goldenbench("data", "digit-folder", "--data", str(tmp_path))
    assert refused.returncode == 1
    assert str(tmp_path) in refused.stderr


@pytest.fixture(scope="module")
def imported(calm: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A service on the port of another, in whose store lies a study that `workers.run` trained; and its id."""
    folder = tmp_path_factory.mktemp("imported")
    (folder / "spec.json").write_text(json.dumps(STORM))
    command = [sys.executable, "-m", "workers.run", str(folder / "spec.json"), str(folder / "out")]
    command += ["--data", str(folder / "data"), "--pack", "3"]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True, capture_output=True, timeout=120)
    taken = goldenbench("import", str(folder / "out"), "--data", str(folder / "data"))
    assert taken.returncode == 0, taken.stderr
    with Service(folder, port=int(calm.url.rpartition(":")[2])) as service:
        service.find_printed_url()
        yield service.ready(), taken.stdout.split()[1].rstrip(":")


def test_imported_study_is_complete_and_equals_a_trained_one(
    imported: tuple[Service, str], calm_table: list[str]
) -> None:
    service, study = imported
    assert service.study(study)["status"] == "completed"
    assert service.table(study) == calm_table
    assert service.get(f"/v1/studies/{study}/comparison")["n"] == 2


def test_busy_port_gives_way_to_the_next_free_one(imported: tuple[Service, str], calm: Service) -> None:
    service, _study = imported
    assert service.url != calm.url
    assert f"{service.url}/docs" in service.printed
    assert service.get("/v1/studies") != calm.get("/v1/studies")


def test_import_refuses_while_a_service_runs(imported: tuple[Service, str]) -> None:
    service, _study = imported
    refused = goldenbench("import", str(service.data.parent / "out"), "--data", str(service.data))
    assert refused.returncode == 1
    assert "stop it first" in refused.stderr
