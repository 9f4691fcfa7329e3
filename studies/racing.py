"""Racing: cells that are out of the confidence set get no more replicates, and a definite verdict ends the study.

A race looks at its data at the end of each of m rounds, which are fixed beforehand and hold whole runs over all folds.
Every limit of every round is computed at error a/m. A dropped cell's paired data change no more, so its limits in the
final table are those of its last round: `studies.compare.compare` at `round_confidence`, with the gaps in `observed`,
gives the largest of frozen and live limits. A frozen limit can narrow no more, so a cell is dropped only once its own
cannot stand in the way of `equivalent`; for the same reason a race cannot be extended. See docs/method.md 6.
"""

import math
from dataclasses import dataclass

from studies.comparison.confidence_set import unbeaten
from studies.comparison.interval import Verdict, competitor_limits, read_verdict, regret_interval
from studies.comparison.standing import standing
from studies.comparison.table import ScoreTable

MIN_COLUMNS = 5
"""Paired replicates below which no cell is dropped: t quantiles for many cells are then far too wide to drop any."""
GROWTH = 2.0
"""Replicates grow about so much from round to round: m is then a logarithm, and little error is spent on each."""
MOST_LOOKS = 20
"""A later look would be left less than a millionth of the error, and quantiles so far out are no evidence."""


@dataclass(frozen=True)
class Decision:
    """What the end of a round decides."""

    dropped: tuple[int, ...]
    """rows that get no more replicates, ascending; those of earlier rounds among them, the prescribed row never"""
    verdict: Verdict
    """from the interval at the round's level; a definite one ends the study"""


def rounds(folds_used: int, runs: int) -> tuple[int, ...]:
    """Cumulative runs at the end of each round, fixed before the first training.

    The first round is the shortest with MIN_COLUMNS replicates; the others grow by about GROWTH.

    Args:
        folds_used: K >= 1; a run is one training of each cell on each of them.
        runs: of the whole study, >= 1.

    Returns:
        Strictly increasing, the last being `runs`; a single round where the study is shorter than two.

    Raises:
        ValueError: a count is below 1.
    """

    _check_counts(folds_used=folds_used, runs=runs)
    first = min(runs, -(-MIN_COLUMNS // folds_used))
    steps = round(math.log(runs / first, GROWTH))
    ends = {round(first * (runs / first) ** (step / steps)) for step in range(steps)} if steps else set()
    return tuple(sorted(ends | {runs}))


def round_confidence(confidence: float, n_rounds: int) -> float:
    """Level of every limit in a race of m rounds, 1 - (1 - confidence)/m (Bonferroni).

    Args:
        confidence: of the race as a whole, in [0.5, 1).
        n_rounds: m >= 1, all that were planned, reached or not.

    Returns:
        In [confidence, 1).

    Raises:
        ValueError: an argument is out of its range.
    """
    _check_confidence(confidence)
    _check_counts(n_rounds=n_rounds)
    return 1.0 - (1.0 - confidence) / n_rounds


def look_confidence(confidence: float, looks: int) -> float:
    """Level of the interval at the k-th look at a study that was extended, 1 - (1 - confidence)/2^(k - 1).

    Args:
        confidence: that was claimed, in [0.5, 1).
        looks: k, 1 for a study that was never extended, at most MOST_LOOKS.

    Returns:
        In [confidence, 1).

    Raises:
        ValueError: an argument is out of its range.

    Speaks for: wrong definite verdicts over all looks, at most 1 - confidence (docs/method.md 6).
    """
    _check_confidence(confidence)
    if not 1 <= looks <= MOST_LOOKS:
        raise ValueError(f"looks must be from 1 to {MOST_LOOKS}, got {looks}")
    return 1.0 - math.ldexp(1.0 - confidence, 1 - looks)


def decide(table: ScoreTable, margin: float, confidence: float, n_rounds: int) -> Decision:
    """Which cells leave the race at the end of a round, and whether it is over.

    A cell leaves that another beats (`unbeaten`) and whose upper limit is below the margin. The prescribed cell and the
    best stay. Which cells leave decides what the race costs, not what its interval promises. Without the second
    condition a limit frozen above the margin would rule out `equivalent` for good.

    Args:
        table: scores so far; rows dropped earlier are not observed from then on.
        margin: in units of the score, >= 0.
        confidence: of the race as a whole, in [0.5, 1).
        n_rounds: m, as for `round_confidence`.

    Returns:
        The decision.

    Raises:
        ValueError: the confidence or the number of rounds is out of its range.

    Assumes: as the interval; columns came in the order of the rounds.
    """
    level = round_confidence(confidence, n_rounds)
    limits = competitor_limits(table, level)
    out = ~unbeaten(table, level) & (limits.high < margin)
    out[[table.derived, standing(table).best]] = False
    out |= table.observed.sum(axis=1) < table.observed[table.derived].sum()
    verdict = read_verdict(regret_interval(limits), margin)
    return Decision(tuple(int(row) for row in out.nonzero()[0]), verdict)


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")


def _check_confidence(confidence: float) -> None:
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence must be in [0.5, 1), got {confidence}")
