"""`train_pack`: which engine, which numeric class, and results in order."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from worker_data import CONFIG, bits, toy

from studies.datasets.load import PreparedDataset, from_arrays
from studies.results import Outcome
from studies.spec import StudySpec
from workers import run
from workers.devices import available_threads, device_name
from workers.engine import SILENT
from workers.native import library
from workers.reference import Reference
from workers.train import ENGINES, choose_engine, numeric_class_of, train_pack

MOVING = replace(CONFIG, bn_statistics="moving")
built = pytest.mark.skipif(not library.usable_isas(), reason="the native library was not built")


@built
def test_auto_takes_the_packed_engine_where_it_can() -> None:
    assert choose_engine(CONFIG, "cpu").name == "packed-cpu"
    assert choose_engine(MOVING, "cpu").name == "reference"
    assert choose_engine(CONFIG, "cuda").name == "reference"


def test_a_named_engine_is_taken() -> None:
    assert choose_engine(CONFIG, "cpu", "reference").name == "reference"
    assert choose_engine(MOVING, "cpu", "reference").name == "reference"


@pytest.mark.parametrize(
    ("config", "engine"), [(MOVING, "packed-cpu"), (CONFIG, "quantum"), (replace(CONFIG, precision="fp16"), "auto")]
)
def test_an_engine_that_cannot_is_refused(config: object, engine: str) -> None:
    with pytest.raises(ValueError, match=f"engine {engine} cannot train paper-cnn in fp(32|16) on cpu"):
        choose_engine(config, "cpu", engine)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot train"):
        train_pack([config], toy(), engine=engine)  # type: ignore[list-item]


@built
def test_auto_takes_the_reference_for_more_classes_than_the_packed_engine_has_room_for() -> None:
    for classes, wanted in ((64, "packed-cpu"), (65, "reference")):
        dataset = toy(images=4 * classes, folds=2, side=6, classes=classes)
        (result,) = train_pack([replace(CONFIG, epochs=1)], dataset)
        assert result.engine == wanted
        announced = numeric_class_of("paper-cnn", "auto", "fp32", "population", "cpu", classes)
        assert result.numeric_class == announced


@built
def test_a_study_of_many_classes_is_run_by_the_reference_and_says_so(tmp_path: Path) -> None:
    dataset = toy("digit-folder", images=140, folds=2, side=6, classes=70)
    one = {"learning_rate": {"values": [0.01]}, "momentum": {"values": [0.5]}}
    spec = {"dataset": "digit-folder", "loss": "sse", "folds": 2, "folds_used": 1, "runs": 1, "epochs": 1}
    spec |= {"batch_size": 32, "grid": one, "references": []}
    run.run(StudySpec.from_json(spec), dataset, tmp_path / "auto", "cpu", 4)
    lines = (tmp_path / "auto" / "replicates.jsonl").read_text(encoding="utf-8").splitlines()
    manifest = json.loads((tmp_path / "auto" / "manifest.json").read_text(encoding="utf-8"))
    found = {(result["engine"], result["numeric_class"]) for result in map(json.loads, lines)}
    assert found == {("reference", manifest["numeric_class"])}
    with pytest.raises(ValueError, match="engine packed-cpu trains at most 64 classes, not 70"):
        run.run(StudySpec.from_json(spec | {"engine": "packed-cpu"}), dataset, tmp_path / "named", "cpu", 4)
    assert not (tmp_path / "named").exists()


@pytest.mark.parametrize(("engine", "device"), [("packed-cpu", "cpu"), ("packed-cuda", "cuda")])
def test_a_named_engine_without_room_for_the_classes_is_refused(engine: str, device: str) -> None:
    if not any(known.name == engine and known.supports(CONFIG, device) for known in ENGINES):
        pytest.skip(f"{engine} is not installed")
    with pytest.raises(ValueError, match=f"engine {engine} trains at most 64 classes, not 65"):
        choose_engine(CONFIG, device, engine, 65)
    with pytest.raises(ValueError, match=f"engine {engine} trains at most 64 classes, not 65"):
        train_pack([CONFIG], toy(images=130, folds=2, side=6, classes=65), device, engine=engine)


def test_results_stand_in_the_order_of_the_configurations() -> None:
    configs = [replace(CONFIG, cell=cell, fold=fold, epochs=1) for cell, fold in ((4, 2), (1, 0), (3, 1), (0, 2))]
    found = train_pack(configs, toy(), engine="reference", threads=2)
    assert [result.key for result in found] == [config.key for config in configs]
    assert bits(found) == bits(Reference().train(configs, toy(), "cpu", 1, SILENT))


def test_by_default_every_processor_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        Reference, "train", lambda self, configs, dataset, device, threads, hooks: asked.append(threads)
    )
    train_pack([CONFIG], toy(), engine="reference")
    train_pack([CONFIG], toy(), engine="reference", threads=7)
    assert asked == [available_threads(), 7]


def test_an_empty_pack_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one member"):
        train_pack([], toy())


def noise(width: int) -> PreparedDataset:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 5, width))
    return from_arrays("noise", pixels, np.arange(24) % 2, np.arange(24) // 2 % 3)


@pytest.mark.parametrize("engine", ["auto", "packed-cpu", "packed-cuda", "reference"])
def test_a_batch_without_a_variance_is_refused_whichever_engine_trains(engine: str) -> None:
    one = replace(CONFIG, batch_size=1, epochs=1)
    with pytest.raises(ValueError, match="batch_size must be at least 2 for paper-cnn on images of 5 x 5 pixels"):
        train_pack([replace(one, batch_size=2), one], noise(5), engine=engine)


def test_the_smallest_batches_that_have_a_variance_are_trained() -> None:
    for batch_size, width in ((2, 5), (1, 6)):
        (result,) = train_pack([replace(CONFIG, batch_size=batch_size, epochs=1)], noise(width))
        assert result.outcome is Outcome.FINISHED


@built
def test_a_pack_whose_members_want_different_engines_is_refused() -> None:
    with pytest.raises(ValueError, match="packed-cpu cannot train every member of the pack on cpu"):
        train_pack([CONFIG, MOVING], toy())


@pytest.mark.parametrize("engine", [engine.name for engine in ENGINES])
def test_the_announced_numeric_class_is_that_of_the_results(engine: str) -> None:
    announced = numeric_class_of("paper-cnn", engine, "fp32", "population", "cpu")
    if announced is None:
        pytest.skip(f"{engine} does not train on this processor")
    (result,) = train_pack([replace(CONFIG, epochs=1)], toy(), engine=engine)
    assert result.numeric_class == announced
    assert result.engine == engine


@built
def test_numeric_classes_are_spelled_as_studies_have_stored_them() -> None:
    rest = f" torch-{torch.__version__} fp32 {device_name('cpu')}"
    native = library.variant(library.usable_isas()[0])
    assert {engine.name: engine.numeric_class("fp32", "cpu").removesuffix(rest) for engine in ENGINES} == {
        "packed-cpu": f"packed-cpu-{native.isa}-{native.compiler}-2",
        "reference": "reference-2",
        "packed-cuda": "packed-cuda-3",
    }


def test_moving_statistics_have_the_class_of_the_engine_that_trains_them() -> None:
    (result,) = train_pack([replace(MOVING, epochs=1)], toy())
    assert result.numeric_class == numeric_class_of("paper-cnn", "auto", "fp32", "moving", "cpu")


def test_what_no_engine_trains_has_no_numeric_class() -> None:
    assert numeric_class_of("paper-cnn", "packed-cpu", "fp32", "moving", "cpu") is None
    assert numeric_class_of("paper-cnn", "auto", "fp64", "population", "cpu") is None


def test_training_needs_neither_database_nor_cluster_nor_scikit_learn() -> None:
    code = "import sys, workers.train; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not {"sqlalchemy", "distributed", "dask", "sklearn", "optuna", "fastapi", "service"} & set(loaded)
