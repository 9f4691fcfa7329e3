"""What a prepared data set has to be for the study that wants it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.dispatch.opening import checked_images
from studies.datasets.errors import DatasetError
from studies.datasets.load import from_arrays, load
from studies.datasets.prepared_file import PreparedFile
from studies.spec import StudySpec

SPEC = {"dataset": "digit-folder", "loss": "sse", "folds": 2, "folds_used": 2, "batch_size": 4}


def checked(folder: Path, shape: tuple[int, int, int], classes: int = 2, **changes: Any) -> int:
    """Images [N, H, W] of noise in two folds, put to a study."""
    labels = np.arange(shape[0]) % classes
    pixels = np.random.default_rng(0).integers(0, 256, shape)
    dataset = from_arrays("digit-folder", pixels, labels, np.arange(shape[0]) // classes % 2)
    path = folder / "prepared.npz"
    np.savez_compressed(path, allow_pickle=False, **dataset.arrays())
    spec = StudySpec.from_json(SPEC | changes)
    return checked_images(spec, PreparedFile(path, load(path).sha256))


def test_a_data_set_that_serves_is_counted(tmp_path: Path) -> None:
    assert checked(tmp_path, (24, 5, 5)) == 24


def test_a_batch_larger_than_a_fold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="batch_size must be at most the 12 training images of a fold, not 13"):
        checked(tmp_path, (24, 5, 5), batch_size=13)


def test_a_batch_without_a_variance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 2"):
        checked(tmp_path, (24, 5, 5), batch_size=1)
    assert checked(tmp_path, (24, 5, 6), batch_size=1) == 24


MANY = "engine must be reference for more than 64 classes, not"


@pytest.mark.parametrize("engine", ["auto", "packed-cpu", "packed-cuda"])
def test_more_classes_than_packed_engines_take_are_refused_where_one_would_be_taken(
    tmp_path: Path, engine: str
) -> None:
    with pytest.raises(DatasetError, match=f"{MANY} {engine}"):
        checked(tmp_path, (130, 5, 6), classes=65, engine=engine)
    assert checked(tmp_path, (128, 5, 6), classes=64, engine=engine) == 128


def test_more_classes_are_taken_where_the_reference_trains_anyway(tmp_path: Path) -> None:
    assert checked(tmp_path, (130, 5, 6), classes=65, engine="reference") == 130
    assert checked(tmp_path, (130, 5, 6), classes=65, bn_statistics="moving") == 130
