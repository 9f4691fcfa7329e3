"""Folds: groups whole, classes even, nothing random."""

import numpy as np
import pytest
from numpy.typing import NDArray

from studies.datasets.folds import assign_folds


def counts(labels: NDArray[np.int64], folds: NDArray[np.int16]) -> NDArray[np.int64]:
    """Return images per fold and class, [folds, C]."""
    table = np.zeros((folds.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(table, (folds, labels), 1)
    return table


def grouped(seed: int, sizes: tuple[int, ...], per_class: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return labels and groups of 4 classes with groups of one class each."""
    rng = np.random.default_rng(seed)
    group_sizes = rng.choice(sizes, 4 * per_class)
    labels = np.repeat(np.repeat(np.arange(4), per_class), group_sizes)
    return labels, np.repeat(rng.permutation(4 * per_class), group_sizes)


def is_whole(groups: NDArray[np.int64], folds: NDArray[np.int16]) -> bool:
    return all(len(np.unique(folds[groups == group])) == 1 for group in np.unique(groups))


@pytest.mark.parametrize("folds", [2, 3, 7, 10])
@pytest.mark.parametrize("sizes", [(5, 6), (1,), (1, 2, 9)])
def test_groups_stay_whole_and_classes_even(sizes: tuple[int, ...], folds: int) -> None:
    labels, groups = grouped(folds, sizes, per_class=60)
    assigned = assign_folds(labels, groups, folds)
    assert assigned.dtype == np.int16
    assert assigned.shape == labels.shape
    assert is_whole(groups, assigned)
    table = counts(labels, assigned)
    # Groups of 9 cannot be shared out evenly: three of them make 27 where the mean is 24.8.
    allowed = 3 if 9 in sizes else 1
    assert np.ptp(table, axis=0).max() <= allowed
    assert np.ptp(table.sum(axis=1)) <= allowed


def test_ungrouped_images_give_folds_that_differ_by_one_at_most() -> None:
    labels = np.random.default_rng(1).integers(0, 10, 7_003)
    table = counts(labels, assign_folds(labels, np.arange(7_003), 10))
    assert np.ptp(table, axis=0).max() <= 1
    assert np.ptp(table.sum(axis=1)) <= 1


def test_groups_of_several_classes_stay_whole() -> None:
    rng = np.random.default_rng(2)
    labels, groups = rng.integers(0, 5, 2000), rng.integers(0, 100, 2000)
    assigned = assign_folds(labels, groups, 5)
    assert is_whole(groups, assigned)
    assert np.ptp(counts(labels, assigned).sum(axis=1)) < 60


@pytest.mark.parametrize("mixed", [False, True])
def test_folds_do_not_depend_on_global_random_state(mixed: bool) -> None:
    labels, groups = grouped(3, (2, 3), per_class=40)
    groups = groups // 2 if mixed else groups
    first = assign_folds(labels, groups, 5)
    np.random.seed(99)
    np.testing.assert_array_equal(first, assign_folds(labels, groups, 5))


def test_folds_are_not_in_the_order_of_the_images() -> None:
    labels = np.zeros(100, dtype=np.int64)
    labels[50:] = 1
    assigned = assign_folds(labels, np.arange(100), 2)
    runs = (np.diff(assigned) != 0).sum()
    assert runs not in (0, 1, 3, 99)
    assert 30 < runs < 70


def test_too_few_groups_are_refused() -> None:
    labels = np.array([0] * 9 + [1] * 9)
    with pytest.raises(ValueError, match="at least 5 groups for 5 folds, class 1 has 3"):
        assign_folds(labels, np.r_[np.arange(9), np.repeat([10, 11, 12], 3)], 5)
    with pytest.raises(ValueError, match="as many groups and as many images"):
        assign_folds(labels, np.arange(18) % 4, 5)


@pytest.mark.parametrize("folds", [1, 0, -3, 1001, 2.5])
def test_number_of_folds_is_bounded(folds: float) -> None:
    with pytest.raises(ValueError, match=rf"folds must be a whole number in 2..1000, got {folds}"):
        assign_folds(np.array([0, 1]), np.array([0, 1]), folds)  # type: ignore[arg-type]
