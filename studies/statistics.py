"""Moments, quantiles and limits of paired replicates: the arithmetic under every comparison."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

ROUNDING_FLOOR = 4 * float(np.finfo(np.float64).eps)
"""Standard errors below this multiple of the largest score are rounding, not evidence."""


@dataclass(frozen=True)
class Moments:
    """Moments of M rows of replicates; the arrays are `[M]`."""

    n: IntArray
    """replicates that entered"""
    mean: FloatArray
    """mean over them, 0 where there are none"""
    variance: FloatArray
    """variance of one replicate, inf where `df` is 0"""
    df: IntArray
    """degrees of freedom of the variance, 0 or more"""

    def __post_init__(self) -> None:
        shapes = {self.n.shape, self.mean.shape, self.variance.shape, self.df.shape}
        if len(shapes) != 1:
            raise ValueError(f"moments must share one shape, got {sorted(shapes)}")

    def standard_error(self, floor_per_replicate: float = 0.0, scale: float = 0.0) -> FloatArray:
        """Standard errors of the means, floored.

        Args:
            floor_per_replicate: least standard deviation of one replicate, in units of the score; >= 0.
            scale: largest absolute score; guards against reading rounding as evidence; >= 0.

        Returns:
            `[M]`; inf where no variance can be had.
        """
        n = np.maximum(self.n, 1)
        error = np.sqrt(np.maximum(self.variance, floor_per_replicate**2) / n)
        return np.asarray(np.maximum(error, ROUNDING_FLOOR * scale))


def paired_moments(values: FloatArray, mask: BoolArray, folds: IntArray) -> Moments:
    """Mean and seed variance of each row of paired differences.

    The variance is taken within folds (sum_k sum_{r in k} (d_r - mean_k)^2 / (n - K)) where a row has at
    least twice as many replicates as folds, and pooled (/ (n - 1)) where it has fewer: one run per fold
    leaves nothing within folds, and pooling then only adds the spread between folds. The choice looks at the
    design, never at the scores.

    Args:
        values: `[M, R]` differences, any finite number where `mask` is false.
        mask: `[M, R]` which replicates count.
        folds: `[R]` fold codes 0..K-1.

    Returns:
        Moments with arrays `[M]`.

    Assumes: replicates of one fold are independent draws of one distribution; folds are fixed.
    Speaks for: new seeds on the same images and folds.
    """
    indicator = (folds[:, None] == np.arange(int(folds.max(initial=0)) + 1)[None, :]).astype(np.float64)
    n = mask.sum(axis=1).astype(np.int64)
    mean = np.where(mask, values, 0.0).sum(axis=1) / np.maximum(n, 1)
    # Centring first keeps the squares free of cancellation.
    centred = np.where(mask, values - mean[:, None], 0.0)
    counts = mask.astype(np.float64) @ indicator
    fold_means = (centred @ indicator) / np.maximum(counts, 1.0)
    within = np.where(mask, centred - fold_means[:, folds], 0.0)
    folds_used = (counts > 0).sum(axis=1)
    use_within = (n >= 2 * folds_used) & (folds_used > 0)
    df = np.maximum(np.where(use_within, n - folds_used, n - 1), 0).astype(np.int64)
    squares = np.where(use_within, (within**2).sum(axis=1), (centred**2).sum(axis=1))
    variance = np.where(df > 0, squares / np.maximum(df, 1), np.inf)
    return Moments(n, mean, variance, df)


@lru_cache(maxsize=4096)
def _student_quantile(probability: float, df: int) -> float:
    from scipy import stats

    return float(stats.t.ppf(probability, df)) if df > 0 else np.inf


def student_quantile(probability: float, df: IntArray) -> FloatArray:
    """Quantiles of Student's t for a probability above one half.

    Args:
        probability: in (0.5, 1).
        df: any shape, degrees of freedom >= 0.

    Returns:
        The shape of `df`; inf where `df` is 0: no variance, no limit.
    """
    distinct, inverse = np.unique(df, return_inverse=True)
    quantiles = np.array([_student_quantile(probability, int(d)) for d in distinct], dtype=np.float64)
    return np.asarray(quantiles[inverse].reshape(df.shape))


def clopper_pearson(events: IntArray, n: IntArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Exact two-sided limits of a rate.

    Args:
        events: any shape, 0..n.
        n: the same shape, trials >= 0.
        confidence: in (0, 1).

    Returns:
        (low, high) of that shape, in [0, 1]; (0, 1) where nothing was tried.

    Source: Clopper and Pearson (1934), Biometrika 26, 404.
    Assumes: independent trials of one rate.
    """
    from scipy import stats

    tail = (1.0 - confidence) / 2.0
    some, all_ = events > 0, events >= n
    low = np.where(some, stats.beta.ppf(tail, np.maximum(events, 1), n - events + 1), 0.0)
    high = np.where(all_, 1.0, stats.beta.ppf(1.0 - tail, events + 1, np.maximum(n - events, 1)))
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


def rounded_text(value: float, digits: int = 3) -> str:
    """A number for a sentence: `digits` significant digits, no exponent for everyday sizes."""
    return f"{float(value):.{digits}g}"


def as_float_array(name: str, value: Any, ndim: int) -> FloatArray:
    """A read-only float64 copy with the stated number of axes.

    Raises:
        ValueError: wrong number of axes.
    """
    array = np.array(value, dtype=np.float64)
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got shape {array.shape}")
    array.setflags(write=False)
    return array
