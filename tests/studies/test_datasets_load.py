"""Prepared data sets: checked at birth, checked when read."""

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studies.datasets.errors import DatasetCorrupt
from studies.datasets.load import MEMBERS, PreparedDataset, content_sha256, from_arrays, load, load_unchanged


@pytest.fixture
def dataset() -> PreparedDataset:
    images = np.arange(12 * 5 * 4, dtype=np.uint8).reshape(12, 5, 4)
    return from_arrays("toy", images, np.arange(12) % 3, np.arange(12) % 4, groups=np.arange(12))


@pytest.fixture
def path(dataset: PreparedDataset, tmp_path: Path) -> Path:
    np.savez_compressed(tmp_path / "toy.npz", allow_pickle=False, **dataset.arrays())
    return tmp_path / "toy.npz"


def test_load_gives_back_what_was_written(dataset: PreparedDataset, path: Path) -> None:
    back = load(path, dataset.sha256)
    assert (back.name, back.sha256, back.classes) == ("toy", dataset.sha256, 3)
    assert (back.image_shape, back.n_folds) == ((5, 4), 4)
    for name, array in dataset.arrays().items():
        np.testing.assert_array_equal(array, back.arrays()[name])


def test_split_partitions_the_images_in_order(dataset: PreparedDataset) -> None:
    for fold in range(4):
        split = dataset.split(fold)
        assert split.test_index.tolist() == [fold, fold + 4, fold + 8]
        assert sorted([*split.train_index, *split.test_index]) == list(range(12))
        assert (np.diff(split.train_index) > 0).all()


@pytest.mark.parametrize("fold", [-1, 4])
def test_split_refuses_a_fold_that_is_not_there(dataset: PreparedDataset, fold: int) -> None:
    with pytest.raises(ValueError, match=rf"fold must be in 0..3, got {fold}"):
        dataset.split(fold)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((12, 5, 4))}, r"images must be uint8 with 3 axes, got float64 \[12, 5, 4\]"),
        ({"images": np.zeros((12, 20), dtype=np.uint8)}, "images must be uint8 with 3 axes"),
        ({"images": np.zeros((12, 0, 4), dtype=np.uint8)}, "every side at least 1"),
        ({"labels": np.arange(11) % 3}, "labels must have one entry per image, got 11 for 12"),
        ({"labels": [0] * 12}, "labels must be int64 with 1 axes, got list"),
        ({"labels": np.arange(12) % 3 - 1}, "labels must be 0 or more, got -1"),
        ({"labels": np.arange(12) % 3 * 2}, "every class must occur, got no image of class 1"),
        ({"labels": np.full(12, 2**40)}, "every class must occur, got label"),
        ({"labels": np.zeros(12, dtype=np.int64), "classes": 1}, "at least 2 classes, got 1"),
        ({"classes": 5}, "labels must be 0..4, each of which occurs, got 0..2"),
        ({"groups": np.arange(12, dtype=np.int32) - 1}, "groups must be 0 or more, got -1"),
        (
            {"groups": np.arange(12, dtype=np.int32) % 11},
            "a group must stand in one fold, group 0 stands in several",
        ),
        ({"folds": np.arange(12, dtype=np.int16) % 4 - 1}, "folds must be 0 or more, got -1"),
        ({"folds": np.arange(12, dtype=np.int16) % 4 * 2}, "folds must be 0..n-1"),
        ({"folds": np.zeros(12, dtype=np.int16)}, "folds must be 0..n-1 with n at least 2"),
        ({"folds": np.arange(12) % 4}, "folds must be int16"),
    ],
)
def test_birth_refuses(dataset: PreparedDataset, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(dataset, **change)


def test_from_arrays_refuses_values_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="images must be whole numbers that fit uint8, got int64"):
        from_arrays("toy", np.full((2, 1, 1), 256), [0, 1], [0, 1])
    with pytest.raises(ValueError, match="images must be whole numbers"):
        from_arrays("toy", np.full((2, 1, 1), 0.5), [0, 1], [0, 1])


def test_arrays_are_read_only_and_the_callers_are_not(dataset: PreparedDataset) -> None:
    mine = np.zeros((2, 1, 1), dtype=np.uint8)
    built = from_arrays("toy", mine, [0, 1], [0, 1])
    with pytest.raises(ValueError, match="read-only"):
        built.images[0] = 1
    mine[0] = 1
    assert pickle.loads(pickle.dumps(dataset)).sha256 == dataset.sha256


def test_hash_sees_name_dtype_shape_and_every_byte_but_not_the_layout() -> None:
    a = np.arange(6, dtype=np.int64).reshape(2, 3)
    known = content_sha256({"a": a})
    changed = a.copy()
    changed[1, 2] += 1
    others: list[dict[str, NDArray[Any]]] = [
        {"b": a},
        {"a": a.astype(np.int32)},
        {"a": a.reshape(3, 2)},
        {"a": changed},
        {"a": a, "b": a},
    ]
    assert len({known, *map(content_sha256, others)}) == 6
    assert content_sha256({"a": np.asfortranarray(a)}) == content_sha256({"a": a.astype(">i8")}) == known


def test_hash_is_the_known_one() -> None:
    arrays = {"x": np.array([1, 2], dtype=np.uint8), "name": np.array("ab")}
    written = b"name <U2 []\na\0\0\0b\0\0\0x |u1 [2]\n\1\2"
    assert content_sha256(arrays) == hashlib.sha256(written).hexdigest()


def test_load_refuses_another_content(dataset: PreparedDataset, path: Path) -> None:
    with pytest.raises(DatasetCorrupt, match=f"holds the content {dataset.sha256}, expected 00ff"):
        load(path, "00ff")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def _text(path: Path) -> None:
    path.write_text("hello")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _single_array(path: Path) -> None:
    with open(path, "wb") as stream:
        np.save(stream, np.arange(3))


def _foreign(path: Path) -> None:
    np.savez(path, x=np.arange(3))


def _pickled(path: Path) -> None:
    np.savez(path, allow_pickle=True, **dict.fromkeys(MEMBERS, np.array([{}], dtype=object)))


def _name_is_a_number(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, allow_pickle=False, **(arrays | {"name": np.array(3)}))


def _torn_group(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, allow_pickle=False, **(arrays | {"groups": np.zeros(12, dtype=np.int32)}))


@pytest.mark.parametrize(
    "damage", [_cut, _flip, _text, _empty, _single_array, _foreign, _pickled, _name_is_a_number, _torn_group]
)
def test_load_refuses_a_damaged_or_foreign_file(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    with pytest.raises(DatasetCorrupt, match=r"toy.npz is not a prepared data set, or damaged: "):
        load(path)


def test_load_says_when_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npz")


def test_a_file_that_has_not_changed_is_read_once_and_one_that_has_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    original = load

    def counted(path: str, *arguments: Any) -> PreparedDataset:
        reads.append(path)
        return original(path, *arguments)

    monkeypatch.setattr("studies.datasets.load.load", counted)
    first = load_unchanged(path)
    assert load_unchanged(path, first.sha256) is first
    assert len(reads) == 1
    with pytest.raises(DatasetCorrupt, match="expected 0000"):
        load_unchanged(path, "0" * 64)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DatasetCorrupt, match="damaged"):
        load_unchanged(path, first.sha256)
