"""Cutting a data set into folds: no group on both sides of a split, classes spread evenly."""

import hashlib
import heapq

import numpy as np
from numpy.typing import NDArray

FOLD_SEED = "goldenbench folds 1"
"""Orders groups of equal size; hashed, because numpy's Generator may change between versions."""
STRATIFIED_GROUP_SEED = 2021
"""random_state of scikit-learn's StratifiedGroupKFold, for groups that hold several classes."""
MAX_FOLDS = 1000
"""More folds than this is taken for a mistake."""

Ints = NDArray[np.integer]


def assign_folds(labels: Ints, groups: Ints, folds: int) -> NDArray[np.int16]:
    """Give each image the fold in which it is a test image.

    Where each group holds one class, each class is spread over the folds about as evenly as the sizes of its
    groups allow. scikit-learn's StratifiedGroupKFold is less even there (96 to 104 images of a class of 1,000
    in 10 folds, against 100), so it serves only groups that hold several classes.

    Args:
        labels: [N], classes 0..C-1.
        groups: [N], equal numbers belong together.
        folds: number of folds, 2..1000.
    Returns:
        [N], 0..folds-1; each of which occurs.
    Raises:
        ValueError: a class has too few groups for so many folds.
    """
    check_folds(folds)
    _, first, member_of, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    group_labels = labels[first]
    if not np.array_equal(group_labels[member_of], labels):
        return _stratified_group_k_fold(labels, groups, folds)
    group_folds = np.full(len(first), -1, dtype=np.int16)
    totals = np.zeros(folds, dtype=np.int64)
    ranks = np.array([_rank(int(group)) for group in groups[first]], dtype=np.uint64)
    for label in np.unique(group_labels):
        members = np.flatnonzero(group_labels == label)
        if len(members) < folds:
            raise ValueError(
                f"each class needs at least {folds} groups for {folds} folds, class {label} has {len(members)}"
            )
        ordered = members[np.lexsort((ranks[members], -sizes[members]))]
        group_folds[ordered] = _spread(sizes[ordered], totals)
    return group_folds[member_of]


def check_folds(folds: int) -> None:
    """Refuse a number of folds outside 2..1000 with a ValueError."""
    if not isinstance(folds, int) or not 2 <= folds <= MAX_FOLDS:
        raise ValueError(f"folds must be a whole number in 2..{MAX_FOLDS}, got {folds}")


def _rank(group: int) -> int:
    """Return 64 bits that nothing but seed and group decide; they order groups of equal size."""
    return int.from_bytes(hashlib.sha256(f"{FOLD_SEED} {group}".encode()).digest()[:8], "big")


def _spread(sizes: Ints, totals: NDArray[np.int64]) -> NDArray[np.int16]:
    """Spread the groups of one class over the folds; its largest bin goes to the smallest fold so far.

    Args:
        sizes: [G], images per group, falling.
        totals: [folds], images per fold over the classes before; updated in place.
    Returns:
        [G], the fold of each group.
    """
    bins = _deal(sizes, len(totals))
    _level(bins, sizes, len(totals))
    loads = np.bincount(bins, weights=sizes, minlength=len(totals)).astype(np.int64)
    fold_of_bin = np.empty(len(totals), dtype=np.int16)
    fold_of_bin[np.argsort(-loads, kind="stable")] = np.argsort(totals, kind="stable")
    totals[fold_of_bin] += loads
    return fold_of_bin[bins]


def _deal(sizes: Ints, folds: int) -> NDArray[np.int64]:
    """Deal groups, largest first, each to the bin with the fewest images; returns their bins, [G]."""
    heap = [(0, bin_) for bin_ in range(folds)]
    bins = np.empty(len(sizes), dtype=np.int64)
    for place, size in enumerate(sizes):
        load, bin_ = heap[0]
        bins[place] = bin_
        heapq.heapreplace(heap, (load + int(size), bin_))
    return bins


def _level(bins: NDArray[np.int64], sizes: Ints, folds: int) -> None:
    """Swap groups between the fullest and the emptiest bin, in place, until no swap brings the two nearer."""
    loads = np.bincount(bins, weights=sizes, minlength=folds).astype(np.int64)
    while True:
        full, empty = int(loads.argmax()), int(loads.argmin())
        gap = int(loads[full] - loads[empty])
        if gap <= 1:
            return
        gives, takes = np.flatnonzero(bins == full), np.flatnonzero(bins == empty)
        moved = sizes[gives][:, None].astype(np.int64) - sizes[takes][None, :]
        # What is left of the gap after a swap; a swap that leaves as much as there was would go on for ever.
        left = np.abs(gap - 2 * moved)
        give, take = np.unravel_index(left.argmin(), left.shape)
        if left[give, take] >= gap:
            return
        bins[gives[give]], bins[takes[take]] = empty, full
        loads[full] -= moved[give, take]
        loads[empty] += moved[give, take]


def _stratified_group_k_fold(labels: Ints, groups: Ints, folds: int) -> NDArray[np.int16]:
    """Assign folds to groups that hold several classes; returns [N]."""
    from sklearn.model_selection import StratifiedGroupKFold

    count = len(np.unique(groups))
    if count < folds or np.bincount(labels).min() < folds:
        raise ValueError(
            f"{folds} folds need as many groups and as many images of each class, "
            f"got {count} groups and {np.bincount(labels).min()} images of the rarest class"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=STRATIFIED_GROUP_SEED)
    assigned = np.full(len(labels), -1, dtype=np.int16)
    for fold, (_, test) in enumerate(splitter.split(labels, labels, groups)):
        assigned[test] = fold
    empty = np.setdiff1d(np.arange(folds), assigned)
    if empty.size:
        raise ValueError(f"these groups cannot fill {folds} folds: fold {empty[0]} stayed empty")
    return assigned
