"""The answer in plain words: what was found, how sure it is, and what it does not say."""

from studies.comparison.confidence_set import ConfidenceSet
from studies.comparison.divergence import DivergenceRate
from studies.comparison.interval import Interval, Verdict
from studies.comparison.planning import MIN_REPLICATES, POWER
from studies.comparison.summary import CellSummary
from studies.comparison.table import ScoreTable
from studies.statistics import rounded_text


def sentence(
    verdict: Verdict,
    interval: Interval,
    prescribed: CellSummary,
    table: ScoreTable,
    *,
    margin: float,
    confidence: float,
    needed: int | None,
) -> str:
    """What was found and how sure it is.

    Args:
        verdict: the answer.
        interval: of the regret.
        prescribed: its summary.
        table: the scores.
        margin: in units of the score.
        confidence: of the interval.
        needed: replicates for a definite verdict.

    Returns:
        One or two sentences.
    """
    point = (
        f"the prescribed point (learning rate {rounded_text(prescribed.learning_rate)}, momentum "
        f"{rounded_text(prescribed.momentum)})"
    )
    if table.n_cells == 1:
        return f"Undecided: {point} is the only cell, so there is nothing to compare it with."
    if not table.finished.any():
        return f"Undecided: no training finished, neither of {point} nor of any other cell."
    count = table.n_replicates
    most = "" if table.complete else "up to "
    basis = (
        f"{100 * confidence:.4g} % interval {_interval_text(interval)}, {most}{count} paired "
        f"replicate{'s' * (count != 1)} of {table.n_cells} cells"
    )
    if verdict == "equivalent":
        finishing = ", when it finishes," if prescribed.diverged else ""
        return (
            f"Equivalent: {point}{finishing} is less than {rounded_text(margin)} below the best of the cells "
            f"tried ({basis})."
        )
    if verdict == "inferior":
        return f"Inferior: the best of the cells tried beats {point} by more than {rounded_text(margin)} ({basis})."
    return (
        f"Undecided: the data cannot yet tell whether {point} is within {rounded_text(margin)} of the best "
        f"of the cells tried ({basis}). {_outlook(needed, table)}"
    )


def _interval_text(interval: Interval) -> str:
    high = rounded_text(interval.high) if interval.high < float("inf") else "no upper limit"
    return f"of the shortfall {rounded_text(interval.low)} to {high}"


def _outlook(needed: int | None, table: ScoreTable) -> str:
    if needed is None and table.n_replicates < MIN_REPLICATES:
        return "There are too few replicates to say how many would settle it."
    if needed is None:
        return f"No number of replicates up to ten times the {table.n_replicates} is likely to settle it."
    return (
        f"A study of about {needed} replicates would settle it with probability {100 * POWER:.0f} %, if the "
        "truth is as these data suggest."
    )


def not_said(verdict: Verdict, prescribed: CellSummary, members: ConfidenceSet, table: ScoreTable, beyond: bool) -> str:
    """What the answer does not say.

    Args:
        verdict: the answer.
        prescribed: its summary.
        members: the confidence set of the best.
        table: the scores.
        beyond: whether the optimum may lie outside the grid.

    Returns:
        A few sentences.
    """
    among = "among" if prescribed.cell in members.cells else "not among"
    parts = [
        "It speaks for new seeds on these images and folds, not for other data, networks, schedules or "
        "batch sizes, and for the cells tried, not for settings between or beyond them.",
        f"{len(members.cells)} of {table.n_cells} cells ({100 * members.share:.0f} % of the box) cannot be "
        f"told from the best; the prescribed point is {among} them.",
    ]
    if verdict == "equivalent":
        parts.append("Equivalent means neither that the prescribed point is the best nor that its derivation holds.")
    if beyond:
        parts.append("The optimum may lie outside the grid.")
    parts.append(_divergence_text(prescribed.divergence))
    return " ".join(parts)


def _divergence_text(rate: DivergenceRate) -> str:
    if rate.diverged:
        return (
            f"The prescribed point diverged in {rate.diverged} of {rate.n} trainings (95 % limits "
            f"{rounded_text(rate.low, 2)} to {rounded_text(rate.high, 2)}); each counts with its documented "
            "score."
        )
    return (
        f"The prescribed point never diverged in {rate.n} trainings, which still allows a rate of up to "
        f"{rounded_text(rate.high, 2)} (95 %)."
    )


def method(table: ScoreTable, confidence: float, claimed: float) -> str:
    """How it was computed.

    Args:
        table: the scores.
        confidence: of each limit.
        claimed: what the study promises over all its rounds and looks.

    Returns:
        A paragraph.
    """
    runs = table.n_replicates / table.n_folds
    variance = (
        f"within folds ({table.n_folds} folds, {table.n_replicates - table.n_folds} degrees of freedom)"
        if table.n_folds > 1 and runs >= 2
        else f"pooled over replicates ({table.n_replicates - 1} degrees of freedom)"
    )
    level = f"{100 * confidence:.4g} %"
    if claimed < confidence:
        level += (
            " at each round and look, which keeps the probability of a wrong definite verdict over all of them at "
            f"{100 * (1 - claimed):.4g} % or below"
        )
    gaps = (
        " Cells with fewer replicates are compared on those that both have; for ranks and surface their mean is the "
        "prescribed one plus their paired difference, and none is called the best that is behind a cell with more."
    )
    floor = "" if table.n_test is None else "; standard errors are at least those of rounding to whole images"
    return (
        "Score: higher is better, at the end of training. Cells share folds and seeds, so they are compared "
        "by paired differences. Regret: the largest mean advance of any cell over the prescribed point, 0 "
        "if none is ahead; `estimate` picks the winner and measures it on the same replicates and is biased "
        "upwards; `cross_fitted` picks on one half and measures on the other. Interval: Student t limits, "
        f"the lower one corrected for {table.n_cells - 1} competitors (Bonferroni), the upper one not, "
        f"floored at 0; {level}, variance {variance}{floor}. In the upper limit a "
        "competitor counts with its finished replicates only. Confidence set: cells that no other beats by "
        "a one-sided t test at a/(C - 1); share: area in log learning rate and log(1 - momentum). "
        "Differences of references are reference minus prescribed, each with its own limits."
        + ("" if table.complete else gaps)
    )
