"""The example package, installed as a user would, with a service and workers that have it and some that have not."""

import shutil
from pathlib import Path
from typing import Any

from running import TINY, Part, Service, eventually, free_port, goldenbench

STUDY = TINY | {"name": "perceptron on stripes", "model": "perceptron", "dataset": "stripes", "epochs": 2, "runs": 2}
CODE = "perceptron of goldenbench-example 1.0"


def test_study_of_a_packages_model_and_data_set(example_package: str, tmp_path: Path) -> None:
    with Service(tmp_path, PYTHONPATH=example_package) as service:
        service.ready()
        models = service.get("/v1/models")
        assert {item["name"]: item["package"] for item in models["items"]} == {
            "paper-cnn": None,
            "perceptron": "goldenbench-example 1.0",
        }
        assert models["problems"] == []
        study = service.run(STUDY)
        table = service.table(study)
        assert service.study(study)["numeric_class"].endswith(CODE)
        manifest = service.get(f"/v1/studies/{study}/manifest")
        assert manifest["model"] == {"name": "perceptron", "package": "goldenbench-example 1.0"}
        assert manifest["dataset"]["package"] == "goldenbench-example 1.0"
        comparison = service.get(f"/v1/studies/{study}/comparison")
        assert (comparison["n"], comparison["data_note"]) == (2, "not the paper's data: computed gratings")
        assert comparison["best"]["mean"] > 0.9, "it learns"
        assert service.table(service.run(STUDY | {"name": "again"})) == table
        waiting = service.submit(STUDY | {"name": "waiting", "epochs": 5_000})
    _without_the_package(tmp_path, study, waiting)


def _without_the_package(folder: Path, study: str, waiting: str) -> None:
    """What a service does on the same data folder once the package is gone."""
    with Service(folder, name="without") as service:
        service.ready()
        eventually(lambda: "not installed here" in (service.study(waiting)["reason"] or ""), 30, "it says what lacks")
        service.run(TINY)
        assert len(service.table(study)) == 16, "its trainings are still there"
        refused = service._http.get(f"{service.url}/v1/studies/{study}/comparison")
        assert refused.status_code == 409
        assert "dataset: must be one of rotated-digits" in refused.json()["detail"]
        service.post(f"/v1/studies/{waiting}/cancel")
        service.wait(waiting, "cancelled", 10)


def test_worker_without_the_package_says_so_and_one_with_it_takes_over(example_package: str, tmp_path: Path) -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"

    def worker(name: str, **more: str) -> Part:
        return Part(tmp_path, name, ["worker", "--scheduler", address, "--data", str(tmp_path / name)], **more)

    with (
        Part(tmp_path, "scheduler", ["scheduler", "--port", str(port)]) as scheduler,
        worker("without"),
        Service(tmp_path, "serve", ["--scheduler", address], PYTHONPATH=example_package) as service,
    ):
        service.ready()
        study = service.submit(STUDY)

        def told() -> Any:
            return service.study(study)["reason"]

        reason = str(eventually(told, 60, "it says what it waits for"))
        assert "waits for a worker that can train it" in reason
        assert "model perceptron of goldenbench-example 1.0, where the workers have no such model" in reason
        service.run(TINY)
        with worker("with", PYTHONPATH=example_package):
            service.wait(study)
            assert service.study(study)["reason"] is None
            assert service.study(study)["numeric_class"].endswith(CODE)
            service.stop()
        scheduler.stop()


def test_doctor_names_a_broken_entry_point(example_package: str, tmp_path: Path) -> None:
    broken = shutil.copytree(example_package, tmp_path / "broken")
    (broken / "goldenbench_example" / "registration.py").write_text("import nowhere_to_be_found\n")
    told = goldenbench("doctor", "--data", str(tmp_path / "data"), PYTHONPATH=str(broken))
    assert told.returncode == 1
    assert "entry point perceptron of goldenbench-example 1.0" in told.stdout
    assert "No module named 'nowhere_to_be_found'" in told.stdout
