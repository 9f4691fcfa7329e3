"""A data set before it is cut into folds."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, slots=True)
class RawDataset:
    """Images with their classes and their groups; the arrays are read-only views.

    Images of one group stem from one source (variants of one drawing, say) and never stand on both sides of a
    split.
    """

    images: NDArray[np.uint8]
    """[N, H, W], grey values 0..255."""
    labels: NDArray[np.int64]
    """[N], classes 0..C-1, each of which occurs."""
    groups: NDArray[np.int32]
    """[N], 0 or more; equal numbers belong together."""

    def __post_init__(self) -> None:
        check_array("images", self.images, np.uint8, 3)
        count = len(self.images)
        check_array("labels", self.labels, np.int64, 1, count)
        check_array("groups", self.groups, np.int32, 1, count)
        if min(self.images.shape) < 1:
            raise ValueError(f"images must be [N, H, W] with every side at least 1, got {self.images.shape}")
        if self.labels.min() < 0:
            raise ValueError(f"labels must be 0 or more, got {self.labels.min()}")
        if self.labels.max() >= count:
            raise ValueError(f"every class must occur, got label {self.labels.max()} among {count} images")
        missing = np.flatnonzero(np.bincount(self.labels) == 0)
        if missing.size:
            raise ValueError(f"every class must occur, got no image of class {missing[0]} of {self.classes}")
        if self.classes < 2:
            raise ValueError(f"there must be at least 2 classes, got {self.classes}")
        if self.groups.min() < 0:
            raise ValueError(f"groups must be 0 or more, got {self.groups.min()}")
        for field in fields(self):
            object.__setattr__(self, field.name, read_only(getattr(self, field.name)))

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return int(self.labels.max()) + 1


def check_array(name: str, array: object, dtype: type[np.generic], ndim: int, length: int | None = None) -> None:
    """Refuse anything but an array of that dtype, number of axes and length of the first axis.

    Args:
        name: what the array is called in the message.
        array: the value to check.
        dtype: the exact dtype, native byte order.
        ndim: number of axes.
        length: length of the first axis; any when None.
    Raises:
        ValueError: the rule and the offending value.
    """
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != ndim:
        got = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"{name} must be {np.dtype(dtype)} with {ndim} axes, got {got}")
    if length is not None and len(array) != length:
        raise ValueError(f"{name} must have one entry per image, got {len(array)} for {length} images")


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view of the array that refuses to be written; the caller's own array stays as it is."""
    view = array.view()
    view.flags.writeable = False
    return view
