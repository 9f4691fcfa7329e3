"""`python -m workers.run`: a whole study on one device, and again after whatever happened to it."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from run_folder import STUDY, TOTAL, Folder, dataset, refused
from worker_data import bits

from studies.grid import cells
from studies.results import TrainingResult
from studies.spec import StudySpec
from studies.training import TrainingConfig
from workers import run
from workers.capacity import Offer
from workers.engine import DoesNotFit
from workers.folder import MANIFEST, REPLICATES, SPEC, read_results
from workers.train import numeric_class_of, train_pack


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def calm() -> list[TrainingResult]:
    """The table of a run that nothing disturbed."""
    return bits(train_pack(list(run.configs(StudySpec.from_json(STUDY))), dataset(), engine="reference"))


def test_a_study_lies_on_disk_when_the_command_ends(folder: Folder, calm: list[TrainingResult]) -> None:
    with folder.start("--pack", "5") as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines() == [f"{n} of {TOTAL} trainings" for n in (5, 10, 15, TOTAL)]
    assert bits(folder.results()) == calm
    spec = StudySpec.from_json(STUDY)
    assert StudySpec.from_json_text((folder.out / SPEC).read_text(encoding="utf-8")) == spec
    manifest = folder.manifest()
    assert manifest["fingerprint"] == spec.fingerprint
    assert manifest["dataset_sha256"] == dataset().sha256
    assert manifest["numeric_class"] == calm[0].numeric_class
    assert manifest["trained"] == TOTAL
    assert manifest["seconds"] > 0
    assert sorted(path.name for path in folder.out.iterdir()) == [MANIFEST, REPLICATES, SPEC]


def test_every_cell_fold_and_run_is_trained_once() -> None:
    spec = StudySpec.from_json(STUDY)
    configs = list(run.configs(spec))
    keys = [config.key for config in configs]
    assert sorted(keys) == sorted((cell.index, fold, r) for cell in cells(spec) for fold in (0, 1) for r in (0, 1))
    shared = [(config.run, config.fold) for config in configs]
    assert shared == sorted(shared)  # members of one (fold, run) stand together


def test_a_run_that_was_killed_goes_on_where_it_stopped(folder: Folder, calm: list[TrainingResult]) -> None:
    folder.write(epochs=6)
    with folder.start("--pack", "1") as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    before = folder.lines.read_text(encoding="utf-8").count("\n")
    assert 3 <= before < TOTAL
    assert folder.manifest()["dataset_sha256"] == dataset().sha256
    assert folder.run() == 0
    spec = StudySpec.from_json(STUDY | {"epochs": 6})
    assert bits(folder.results()) == bits(train_pack(list(run.configs(spec)), dataset(), engine="reference"))
    assert folder.manifest()["trained"] == TOTAL


@pytest.mark.parametrize("torn", [1, 40, 300])
def test_a_torn_last_line_is_trained_again(
    folder: Folder, calm: list[TrainingResult], torn: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder.run() == 0
    content = folder.lines.read_bytes()
    folder.lines.write_bytes(content[:-torn])
    capsys.readouterr()
    assert folder.run() == 0
    assert capsys.readouterr().out.splitlines() == [f"{TOTAL} of {TOTAL} trainings"]
    assert bits(folder.results()) == calm


@pytest.mark.parametrize("tail", [b"\x00\x00\x00", b'{"cell": "\xff', b'{"cell": 0'])
def test_rubbish_behind_the_last_line_is_cut_off(folder: Folder, calm: list[TrainingResult], tail: bytes) -> None:
    assert folder.run() == 0
    content = folder.lines.read_bytes()
    folder.lines.write_bytes(content + tail)
    assert folder.run() == 0
    assert folder.lines.read_bytes() == content


def test_a_finished_study_is_left_as_it_is(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert folder.run() == 0
    before = {path.name: path.read_bytes() for path in folder.out.iterdir()}
    capsys.readouterr()
    folder.write(name="renamed", priority=5)  # the same question
    assert folder.run() == 0
    assert {path.name: path.read_bytes() for path in folder.out.iterdir()} == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": "mnist2"}, "error: dataset: must be one of"),
        ({"runs": 0, "seed": -1}, "runs: must be a whole number"),
        ({"grid": {"momentum": {"factor": 9, "steps": 3}}}, "error: grid.momentum: must stay in [0, 1)"),
        ({"references": ["keras"]}, "error: references[0]: must be one of"),
        ({"folds": 4}, "the study wants rotated-digits in 4 folds, the file has rotated-digits in 3"),
        ({"dataset": "mnist"}, "the study wants mnist in 3 folds, the file has rotated-digits in 3"),
        (
            {"bn_statistics": "moving", "engine": "packed-cpu"},
            "engine: must be auto or reference with bn_statistics moving, not packed-cpu",
        ),
    ],
)
def test_a_study_that_cannot_be_run_is_refused(
    folder: Folder, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str
) -> None:
    folder.write(**changes)
    assert words in refused(folder, capsys)
    assert not folder.out.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "[]", '{"dataset": NaN}', "\ud800".encode("utf-8", "surrogatepass"), b"\xff\xfe"]
)
def test_what_is_no_specification_is_refused(
    folder: Folder, capsys: pytest.CaptureFixture[str], text: str | bytes
) -> None:
    (folder.path / "spec.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(folder, capsys)
    assert not folder.out.exists()


def test_files_that_are_not_there_or_no_data_set_are_refused(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.path / "junk.npz").write_bytes(b"junk")
    assert "is not a prepared data set" in refused(folder, capsys, "--dataset", str(folder.path / "junk.npz"))
    assert "No such file" in refused(folder, capsys, "--dataset", str(folder.path / "none.npz"))
    assert "pack must be at least 1, not 0" in refused(folder, capsys, "--pack", "0")
    (folder.path / "spec.json").unlink()
    assert "No such file" in refused(folder, capsys)


def test_a_missing_gpu_is_said(
    folder: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "default_device", lambda: "cpu")
    assert "torch sees no GPU here" in refused(folder, capsys, "--device", "cuda")


def test_a_batch_larger_than_a_fold_is_refused(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write(batch_size=1000)
    assert "batch_size must be at most the 160 training images of a fold, not 1000" in refused(folder, capsys)
    assert not folder.out.exists()


def test_results_are_written_about_every_minute(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pack by the rule of thumb, the others by what the last one took."""
    asked: list[tuple[float, int]] = []
    packs: list[int] = []
    clock = Clock()

    def members_for(seconds: float, offered: Offer, images: int) -> int:
        asked.append((seconds, images))
        return 4

    def train(pack: list[TrainingConfig], *where: Any, **how: Any) -> list[TrainingResult]:
        packs.append(len(pack))
        clock.now += 40 * len(pack)
        return train_pack(pack, *where, **how)

    monkeypatch.setattr(run, "members_for", members_for)
    monkeypatch.setattr(run, "offer_of", lambda *_: Offer("class", at_once=2, networks=100, rate=1.0))
    monkeypatch.setattr(run, "train_pack", train)
    monkeypatch.setattr(run, "time", clock)
    assert folder.run() == 0
    assert asked == [(15, 2 * 160)]
    assert packs == [4] + [2] * 6


class Clock:
    """A time that the test moves."""

    def __init__(self) -> None:
        self.now = 1e9

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("error", "told"), [(MemoryError(), "MemoryError"), (DoesNotFit("CUDA out of memory"), "CUDA out of memory")]
)
def test_a_pack_that_does_not_fit_is_said(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, told: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(run, "train_pack", full)
    assert folder.run() == 2
    assert capsys.readouterr().err == f"error: out of memory, and a smaller --pack needs less: {told}\n"


def test_the_engine_of_the_study_is_used(folder: Folder) -> None:
    folder.write(engine="auto", runs=1, folds_used=1)
    assert folder.run() == 0
    wanted = numeric_class_of("paper-cnn", "auto", "fp32", "population", "cpu")
    assert {result.numeric_class for result in folder.results()} == {wanted}
    assert folder.manifest()["numeric_class"] == wanted


REFUSED = ("sklearn", "scipy", "yaml", "pydantic", "distributed", "dask", "sqlalchemy", "optuna", "fastapi", "httpx")
BARE = f"""
import runpy, sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        # As if it were not installed: torch asks for some of these without importing them.
        return None if name.partition(".")[0] in {REFUSED!r} else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
for name in {REFUSED!r}:
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    sys.exit("the test is blind")
runpy.run_module("workers.run", run_name="__main__", alter_sys=True)
"""


def test_numpy_and_torch_are_enough(folder: Folder, calm: list[TrainingResult]) -> None:
    folder.write(engine="auto")
    command = [sys.executable, "-W", "error", "-c", BARE, *folder.arguments()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert [result.key for result in folder.results()] == [result.key for result in calm]


def test_preparing_data_without_its_libraries_says_what_to_do(folder: Folder) -> None:
    command = [sys.executable, "-c", BARE, str(folder.path / "spec.json"), str(folder.out), "--data", str(folder.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("error: No module named 'sklearn")
    assert "pass --dataset FILE" in done.stderr


def test_reading_results_is_lazy_about_a_folder_without_any(tmp_path: Path) -> None:
    assert list(read_results(tmp_path)) == []


def test_results_on_disk_keep_every_bit(folder: Folder, calm: list[TrainingResult]) -> None:
    assert folder.run() == 0
    again = list(read_results(folder.out))
    assert [replace(result, seconds=0.0) for result in again] == calm
    assert time.time() > folder.manifest()["started"] > 1.7e9
