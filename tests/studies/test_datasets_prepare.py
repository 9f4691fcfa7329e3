"""Preparing: once, whole, checked, and by several processes at once."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studies.datasets import prepare as preparing
from studies.datasets import prepared_file, registry
from studies.datasets.errors import DatasetInvalid, UnknownDataset
from studies.datasets.load import from_arrays, load
from studies.datasets.prepare import check_available, prepare
from studies.datasets.prepared_file import PreparedFile
from studies.datasets.raw import RawDataset
from studies.datasets.registry import DatasetInfo

TEN_FOLDS = "2c0ba25be2d4444a522a82aff5c8e1486af037ddc7087ed7501ee9e476e3e6fc"

calls = 0


def make_toy(info: DatasetInfo, data_dir: Path) -> RawDataset:
    """Make 12 images of 3 classes."""
    global calls
    calls += 1
    images = np.arange(12 * 4, dtype=np.uint8).reshape(12, 2, 2)
    return RawDataset(images, np.arange(12) % 3, np.arange(12, dtype=np.int32))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> DatasetInfo:
    """Register a small data set for one test."""
    monkeypatch.setattr(sys.modules[__name__], "calls", 0)
    info = DatasetInfo(
        name="toy",
        title="Toy",
        source="here",
        licence="MIT",
        image_shape=(2, 2),
        classes=3,
        images=12,
        is_paper_data=False,
        note="not the paper's data: toy",
        grouped=False,
        maker=f"{__name__}:make_toy",
    )
    monkeypatch.setitem(registry.DATASETS._infos, "toy", info)
    return info


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def rotated(data_dir: Path) -> PreparedFile:
    return prepare("rotated-digits", 10, data_dir)


def test_rotated_digits_has_known_content_and_name(rotated: PreparedFile, data_dir: Path) -> None:
    assert rotated.sha256 == TEN_FOLDS
    assert rotated.path == data_dir / "datasets" / f"rotated-digits-10-{TEN_FOLDS[:16]}.npz"


def test_rotated_digits_has_folds_of_a_thousand_with_whole_groups(rotated: PreparedFile) -> None:
    dataset = load(rotated.path, rotated.sha256)
    for fold in range(10):
        split = dataset.split(fold)
        assert (len(split.train_index), len(split.test_index)) == (9000, 1000)
        assert np.bincount(dataset.labels[split.test_index]).tolist() == [100] * 10
        assert not set(dataset.groups[split.train_index]) & set(dataset.groups[split.test_index])


def test_second_call_makes_nothing(toy: DatasetInfo, tmp_path: Path) -> None:
    first = prepare("toy", 2, tmp_path)
    written = first.path.stat().st_mtime_ns
    assert prepare("toy", 2, str(tmp_path)) == first
    assert first.path.stat().st_mtime_ns == written
    assert calls == 1
    assert prepare("toy", 4, tmp_path).sha256 != first.sha256


@pytest.mark.parametrize("what", ["file", "index", "index type", "no file"])
def test_damage_is_repaired(toy: DatasetInfo, tmp_path: Path, what: str) -> None:
    first = prepare("toy", 2, tmp_path)
    index = first.path.with_name("toy-2.json")
    match what:
        case "file":
            first.path.write_bytes(first.path.read_bytes()[:-100])
        case "index":
            index.write_text(index.read_text()[:-5])
        case "index type":
            index.write_text("[]")
        case "no file":
            first.path.unlink()
    assert prepare("toy", 2, tmp_path) == first
    assert calls == 2
    load(first.path, first.sha256)


def test_another_content_under_the_expected_name_is_not_believed(toy: DatasetInfo, tmp_path: Path) -> None:
    first = prepare("toy", 2, tmp_path)
    other = from_arrays("toy", np.zeros((4, 2, 2), dtype=np.uint8), [0, 1, 0, 1], [0, 0, 1, 1])
    np.savez_compressed(first.path, allow_pickle=False, **other.arrays())
    assert prepare("toy", 2, tmp_path) == first
    load(first.path, first.sha256)


def test_new_recipe_makes_the_file_again(toy: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare("toy", 2, tmp_path)
    monkeypatch.setattr(preparing, "FOLD_SEED", "another")
    prepare("toy", 2, tmp_path)
    assert calls == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 13}, "images should be 13, got 12"),
        ({"classes": 10}, "classes should be 10, got 3"),
        ({"image_shape": (28, 28)}, r"image shape should be \(28, 28\), got \(2, 2\)"),
        ({"content_sha256": "0" * 64}, "content should be 0000"),
    ],
)
def test_broken_promise_is_refused(
    toy: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, int], message: str
) -> None:
    monkeypatch.setitem(registry.DATASETS._infos, "toy", replace(toy, **change))  # type: ignore[arg-type]
    with pytest.raises(DatasetInvalid, match=f"toy is not what is registered: {message}"):
        prepare("toy", 2, tmp_path)


def test_too_many_folds_are_refused(toy: DatasetInfo, tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="toy cannot be cut into 5 folds: each class needs at least 5 groups"):
        prepare("toy", 5, tmp_path)
    with pytest.raises(ValueError, match=r"folds must be a whole number in 2..1000, got 1"):
        prepare("toy", 1, tmp_path)


def test_unknown_name_is_refused(tmp_path: Path) -> None:
    for call in (lambda: prepare("../toy", 2, tmp_path), lambda: check_available("nope", tmp_path)):
        with pytest.raises(UnknownDataset, match="no data set is named"):
            call()


def test_what_can_be_made_or_downloaded_is_available(tmp_path: Path) -> None:
    for name in ("rotated-digits", "mnist", "usps"):
        check_available(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_nothing(toy: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        prepare("toy", 2, tmp_path)
    assert list((tmp_path / "datasets").iterdir()) == []
    assert prepared_file.find(tmp_path / "datasets", "toy-2", "any") is None


def test_two_processes_at_once_give_one_whole_file(tmp_path: Path) -> None:
    code = (
        "import sys, json; from studies.datasets.prepare import prepare\n"
        "sys.stdin.readline()\n"
        "file = prepare('rotated-digits', 10, sys.argv[1])\n"
        "print(json.dumps([str(file.path), file.sha256]))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    path = tmp_path / "datasets" / f"rotated-digits-10-{TEN_FOLDS[:16]}.npz"
    assert answers == [[str(path), TEN_FOLDS]] * 2
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, "rotated-digits-10.json"]
    assert load(path, TEN_FOLDS).sha256 == TEN_FOLDS
