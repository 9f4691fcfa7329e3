"""The folder of `workers.run`: one run at a time, one study at a time, and damage named by file and line."""

import errno
import fcntl
import json
import math
import signal
from pathlib import Path

import numpy as np
import pytest
from run_folder import TOTAL, Folder, dataset, refused
from worker_data import toy

from workers.folder import MANIFEST, SPEC, read_results, writing


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def finished(folder: Folder, capsys: pytest.CaptureFixture[str]) -> Folder:
    assert folder.run() == 0
    capsys.readouterr()
    return folder


def test_another_studys_folder_is_refused(finished: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    finished.write(epochs=3)
    assert "is another study; use an empty folder" in refused(finished, capsys)


def test_results_without_their_study_are_refused(finished: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    (finished.out / SPEC).unlink()
    assert "results of an unknown study" in refused(finished, capsys)


def test_other_data_of_the_same_name_are_refused(finished: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    other = finished.path / "other.npz"
    np.savez_compressed(other, allow_pickle=False, **toy("rotated-digits", images=252).arrays())
    said = refused(finished, capsys, "--dataset", str(other))
    assert f"has dataset_sha256 {dataset().sha256}, not {toy('rotated-digits', images=252).sha256}" in said


def test_results_of_another_numeric_class_are_refused(finished: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = finished.manifest() | {"numeric_class": "reference-2 torch-1.0 fp32 NVIDIA H200"}
    (finished.out / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    said = refused(finished, capsys)
    assert "has numeric_class reference-2 torch-1.0 fp32 NVIDIA H200, not reference-2 torch-" in said


# --- one run at a time


def test_a_second_run_waits_for_the_first_to_end(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write(epochs=100)
    with folder.start("--pack", "1") as first:
        assert first.stdout is not None
        first.stdout.readline()
        try:
            assert folder.run() == 2
        finally:
            first.send_signal(signal.SIGKILL)
    assert (
        capsys.readouterr().err
        == f"error: another run writes to {folder.out}; wait for its end or use another folder\n"
    )
    with writing(folder.out):  # a killed run holds nothing
        pass


@pytest.mark.parametrize(("code", "status"), [(errno.ENOSYS, 0), (errno.EIO, 2)])
def test_a_file_system_without_locks_is_used_all_the_same(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, code: int, status: int
) -> None:
    def without(*_: object) -> None:
        raise OSError(code, "as told")

    monkeypatch.setattr(fcntl, "flock", without)
    assert folder.run() == status


def test_a_training_that_is_there_twice_is_named(finished: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    lines = finished.lines.read_text(encoding="utf-8").splitlines(keepends=True)
    finished.lines.write_text("".join([*lines, lines[3]]), encoding="utf-8")
    assert f"replicates.jsonl, line {TOTAL + 1} has the training of line 4 again" in refused(finished, capsys)


def test_a_training_of_no_cell_is_named(finished: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    first, *others = finished.lines.read_text(encoding="utf-8").splitlines(keepends=True)
    strange = json.dumps(json.loads(first) | {"cell": 4}) + "\n"
    finished.lines.write_text("".join([*others, strange]), encoding="utf-8")
    assert f"line {TOTAL} is no training of the study: cell, fold, run (4, 0, 0)" in refused(finished, capsys)


def test_reading_leaves_a_line_that_is_being_written(finished: Folder) -> None:
    with finished.lines.open("ab") as lines:
        lines.write(b'{"cell": 0')
    before = finished.lines.read_bytes()
    assert len(list(read_results(finished.out))) == TOTAL
    assert finished.lines.read_bytes() == before


# --- without results


@pytest.mark.parametrize("kept", [{SPEC}, {SPEC, MANIFEST}, {MANIFEST}])
def test_another_study_takes_a_folder_without_results(finished: Folder, kept: set[str]) -> None:
    finished.lines.write_bytes(b"")
    for name in {SPEC, MANIFEST} - kept:
        (finished.out / name).unlink()
    finished.write(epochs=1, batch_size=40)
    assert finished.run() == 0
    assert {len(result.curve.loss) for result in finished.results()} == {1}
    assert json.loads((finished.out / SPEC).read_text(encoding="utf-8"))["batch_size"] == 40
    assert finished.manifest()["trained"] == TOTAL


def test_what_only_the_engine_refuses_leaves_the_folder_to_a_better_study(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write(batch_size=1_000)
    assert folder.run() == 2
    assert "batch_size must be at most the 160 training images of a fold" in capsys.readouterr().err
    folder.write(batch_size=32)
    assert folder.run() == 0


# --- damage


@pytest.mark.parametrize(
    "line",
    ["{}", "[]", "", "7", "{", '{"curve": []}', '{"curve": {}, "correct": 7}', "[" * 100_000, "\udcff"],
    ids=lambda line: line[:20],
)
def test_a_damaged_line_is_named(finished: Folder, capsys: pytest.CaptureFixture[str], line: str) -> None:
    first, _, *others = finished.lines.read_bytes().splitlines(keepends=True)
    damaged = line.encode(errors="surrogateescape") + b"\n"
    finished.lines.write_bytes(b"".join([first, damaged, *others]))
    assert f"error: {finished.lines}, line 2 is no result: " in refused(finished, capsys)


@pytest.mark.parametrize("changed", [{"cell": []}, {"accuracy": "all"}, {"curve": {"loss": [None]}}, {"more": 1}])
def test_a_damaged_field_is_named(
    finished: Folder, capsys: pytest.CaptureFixture[str], changed: dict[str, object]
) -> None:
    first, *others = finished.lines.read_text(encoding="utf-8").splitlines(keepends=True)
    finished.lines.write_text("".join([json.dumps(json.loads(first) | changed) + "\n", *others]), encoding="utf-8")
    assert f"error: {finished.lines}, line 1 is no result: " in refused(finished, capsys)


@pytest.mark.parametrize("seconds", [None, "long", math.nan, -1.0, []])
def test_a_manifest_without_seconds_is_named(
    finished: Folder, capsys: pytest.CaptureFixture[str], seconds: object
) -> None:
    document = finished.manifest() | {"seconds": seconds}
    (finished.out / MANIFEST).write_text(json.dumps(document), encoding="utf-8")
    assert f"error: {finished.out / MANIFEST} must be an object with the seconds so far" in refused(finished, capsys)


@pytest.mark.parametrize("text", ["[]", "{}", "", "null", "[" * 100_000])
def test_a_damaged_manifest_is_named(finished: Folder, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (finished.out / MANIFEST).write_text(text, encoding="utf-8")
    assert f"error: {finished.out / MANIFEST} " in refused(finished, capsys)


def test_a_damaged_specification_of_the_folder_is_named(finished: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    (finished.out / SPEC).write_text("{}", encoding="utf-8")
    assert f"error: {finished.out / SPEC} is no specification: " in refused(finished, capsys)


def test_results_without_their_manifest_are_refused(finished: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    (finished.out / MANIFEST).unlink()
    assert "results of an unknown study, without manifest.json" in refused(finished, capsys)


def test_a_run_that_ended_before_its_note_is_counted(finished: Folder) -> None:
    (finished.out / MANIFEST).write_text(json.dumps(finished.manifest() | {"trained": 5}), encoding="utf-8")
    assert finished.run() == 0
    assert finished.manifest()["trained"] == TOTAL
