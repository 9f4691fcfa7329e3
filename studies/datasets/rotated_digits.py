"""The embedded data set: 10,000 rotated digits of 28 x 28, made from the 1,797 that ship with scikit-learn.

It stands in for MATLAB's DigitDataset (10,000 rotated digits of 28 x 28, 1,000 per class), which nobody may
pass on. Every step after the sine is integer arithmetic, so the bits do not depend on the machine or on
numpy's version.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from studies.datasets.raw import RawDataset
from studies.datasets.registry import DatasetInfo

ANGLE_SEED = "goldenbench rotated-digits 1"
"""Names the angles, and which sources give one variant more; hashed."""
PER_CLASS = 1000
"""Images of each class."""
SIDE = 28
"""Height and width, in pixels."""
BOX = 24
"""Pixels that the 8 source pixels fill; what a rotation cuts off are empty corners."""
MAX_MILLIDEGREES = 45_000
"""The largest rotation, either way, in steps of 0.001 degree."""
TILT_POWER = 5
"""A rotation is 45 degrees times the fifth power of a uniform number in -1..1: most digits stand nearly upright, as
people write them, and one in eight is turned by more than 22.5 degrees. Uniform rotations of so few source digits
would leave the paper's network at 95 % after five epochs, far from the 99 % that the paper reports for its data."""
INK_FULL = 16
"""Source grey that becomes 255."""
SOURCE_SIDE = 8
MARGIN = 8
"""Empty source pixels around a digit, so that every pixel of the result finds its 4 x 4 neighbours."""
CHUNK = 500
"""Images made at once; bounds the memory to some tens of megabytes."""


def make(info: DatasetInfo, data_dir: object = None) -> RawDataset:
    """Make the 10,000 images; nothing is read but scikit-learn's digits.

    A group is one source image. Writers are not known; a writer's digits may stand on both sides of a split.

    Args:
        info, data_dir: not used; every maker takes them.
    Returns:
        images [10000, 28, 28], 1,000 per class, variants of one source side by side.
    Source:
        E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = digits.images.astype(np.int64)
    labels = digits.target.astype(np.int64)
    counts = variant_counts(labels)
    groups = np.repeat(np.arange(len(labels), dtype=np.int32), counts)
    variants = np.concatenate([np.arange(count) for count in counts])
    angles = np.array([millidegrees(int(g), int(v)) for g, v in zip(groups, variants, strict=True)])
    images = np.concatenate(
        [render(pixels[groups[i : i + CHUNK]], angles[i : i + CHUNK]) for i in range(0, len(groups), CHUNK)]
    )
    return RawDataset(images=images, labels=labels[groups], groups=groups)


def variant_counts(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each source is used, [sources]: within a class by one more or less, 1,000 in all."""
    counts = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        each, more = divmod(PER_CLASS, len(members))
        counts[members] = each
        counts[sorted(members, key=lambda source: _hash(f"more {source}"))[:more]] += 1
    return counts


def millidegrees(source: int, variant: int) -> int:
    """Return the rotation of one variant in thousandths of a degree, in -45,000..45,000, mostly near 0."""
    uniform = _hash(f"angle {source} {variant}") % (2 * MAX_MILLIDEGREES + 1) - MAX_MILLIDEGREES
    size: int = abs(uniform) ** TILT_POWER // MAX_MILLIDEGREES ** (TILT_POWER - 1)
    return size if uniform > 0 else -size


def fixed_point(angle: int) -> tuple[int, int]:
    """Return cosine and sine, as source pixels per half pixel of the result, in 2^-16.

    Args:
        angle: in thousandths of a degree.
    """
    radians = math.radians(angle / 1000)
    return round(math.cos(radians) * _STEP), round(math.sin(radians) * _STEP)


def render(sources: NDArray[np.int64], angles: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Enlarge and rotate at once, by cubic convolution (Catmull-Rom).

    Args:
        sources: [n, 8, 8], ink 0..16.
        angles: [n], in thousandths of a degree, counter-clockwise.
    Returns:
        [n, 28, 28], 0 is paper and 255 is ink.
    Source:
        R. G. Keys, Cubic convolution interpolation, IEEE Trans. ASSP 29 (1981), with a = -1/2.
    """
    padded = np.pad(sources, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))
    turns = np.array([fixed_point(int(angle)) for angle in angles], dtype=np.int64)
    cos, sin = turns[:, 0, None, None], turns[:, 1, None, None]
    half_pixels = 2 * np.arange(SIDE, dtype=np.int64) - (SIDE - 1)
    right, down = half_pixels[None, None, :], half_pixels[None, :, None]
    # Centre of the source, in 2^-16 of its pixels, and the margin.
    centre = ((SOURCE_SIDE - 1) << 15) + (MARGIN << 16)
    x = cos * right - sin * down + centre
    y = sin * right + cos * down + centre
    weights = _catmull_rom()
    x_weights, y_weights = weights[(x >> 8) & 255], weights[(y >> 8) & 255]
    image = np.arange(len(sources))[:, None, None]
    ink = np.zeros(x.shape, dtype=np.int64)
    for i in range(4):
        for j in range(4):
            tap = padded[image, (y >> 16) + (i - 1), (x >> 16) + (j - 1)]
            ink += y_weights[..., i] * x_weights[..., j] * tap
    return _grey(ink >> (2 * _WEIGHT_BITS - 8))


def _catmull_rom() -> NDArray[np.int64]:
    """Return the four weights for 256 positions between two pixels, [256, 4], exact in 2^-25."""
    t = np.arange(256, dtype=np.int64)
    one, t2, t3 = 1 << 24, t * t << 8, t * t * t
    t1 = t << 16
    return np.stack(
        [-t3 + 2 * t2 - t1, 3 * t3 - 5 * t2 + 2 * one, -3 * t3 + 4 * t2 + t1, t3 - t2],
        axis=1,
    )


def _grey(ink: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Map ink from 0..INK_FULL (in 2^-8) to 0..255, clipped (cubic convolution overshoots) and rounded."""
    width = INK_FULL << 8
    return ((np.clip(ink, 0, width) * 255 + width // 2) // width).astype(np.uint8)


def _hash(text: str) -> int:
    """Return 64 bits that only the seed and the text decide."""
    return int.from_bytes(hashlib.sha256(f"{ANGLE_SEED} {text}".encode()).digest()[:8], "big")


_STEP = SOURCE_SIDE / BOX / 2 * (1 << 16)
_WEIGHT_BITS = 25
