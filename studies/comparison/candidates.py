"""Which cells can be called the best where some were observed in fewer replicates than others."""

import numpy as np

from studies.comparison.table import ScoreTable
from studies.statistics import ROUNDING_FLOOR, BoolArray


def candidates(table: ScoreTable) -> BoolArray:
    """Rows that are not behind any row that was observed in more replicates, on the replicates both have.

    A row whose replicates ended early may owe its mean to them: its lead over the prescribed point would stand while
    those of the others settle. So it can be called the best only if it is also ahead of those that went on. In a race
    no dropped row is a candidate: among those that went on was one with a higher mean at the time.

    Args:
        table: the scores.

    Returns:
        `[C]`; all rows where all were observed everywhere, and always those observed most often.
    """
    result = np.ones(table.n_cells, dtype=bool)
    if table.complete:
        return result
    seen = table.observed.astype(np.float64)
    # Without the replicates' means, which all rows share, the sums are short and exact enough.
    level = (table.scores * seen).sum(axis=0) / np.maximum(seen.sum(axis=0), 1.0)
    scores = (table.scores - level) * seen
    often = table.observed.sum(axis=1)
    slack = ROUNDING_FLOOR * table.n_replicates**2 * table.scale
    for count in np.unique(often[often < often.max()]):
        rows, others = often == count, often > count
        advance = seen[rows] @ scores[others].T - scores[rows] @ seen[others].T
        result[rows] = ~(advance > slack).any(axis=1)
    return result
