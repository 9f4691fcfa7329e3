"""Whether the scores of one cell fall into two groups."""

import numpy as np

from studies.statistics import FloatArray

MIN_SCORES = 8
"""Fewer cannot show two groups."""
FEW_SCORES = 15
"""Below this the stricter bar holds."""
BAR, STRICT_BAR = 0.88, 0.95
"""Share of the variance that two groups must explain, from FEW_SCORES scores on and below. Of 20,000
simulated normal samples (4,000 from n = 30 on) at most 0.6 % pass at each of n = 8 to 100."""
LEAST_GROUP = 0.1
"""Share of the scores in the smaller group, which also has at least two: one straggler is an outlier."""


def is_bimodal(scores: FloatArray, step: float) -> bool:
    """Whether the best split into two groups explains nearly all of the variance.

    Args:
        scores: `[n]` of finished replicates.
        step: smallest possible difference of two scores, >= 0; groups closer than two steps are rounding.

    Returns:
        False below MIN_SCORES scores.

    Assumes: one group is roughly normal; 2/pi of a normal variance is explained by its best split.
    """
    n = len(scores)
    if n < MIN_SCORES:
        return False
    ordered = np.sort(scores) - scores.mean()
    total = float((ordered**2).sum())
    smallest = max(2, int(np.ceil(LEAST_GROUP * n)))
    sizes = np.arange(smallest, n - smallest + 1)
    gap = np.abs(np.cumsum(ordered)[sizes - 1]) * n / (sizes * (n - sizes))
    between = gap**2 * sizes * (n - sizes) / n
    best = int(between.argmax())
    rounding = (1e-12 * float(np.abs(scores).max())) ** 2 * n
    bar = STRICT_BAR if n < FEW_SCORES else BAR
    return bool(total > rounding and gap[best] > 2 * step and between[best] > bar * total)
