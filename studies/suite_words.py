"""The table of a suite in plain words."""

from studies.documents.comparison import IntervalDocument
from studies.suite import Contrast, SuiteSpec

MINUS = "−"


def sentence(
    contrast: Contrast, difference: IntervalDocument, n: int, confidence: float, *, complete: bool, same_data: bool
) -> str:
    """What a contrast found and how sure that is.

    Args:
        contrast: which rows.
        difference: `estimate`, `low` and `high` as fractions, null where they cannot be had.
        n: paired replicates.
        confidence: of the interval.
        complete: whether both rows have every replicate that is wanted.
        same_data: whether both rows were trained on the same images.
    """
    what = f"{contrast.row} minus {contrast.minus}"
    if not same_data:
        return f"{what}: not to be had, since the two studies were trained on different versions of the data set."
    estimate, low, high = difference["estimate"], difference["low"], difference["high"]
    if estimate is None:
        return f"{what}: nothing can be said before both have a replicate (fold, run) in common."
    told = f"{'' if complete else 'So far, '}{what}: {_points(estimate)} points of accuracy"
    basis = f"{n} paired replicate{'s' * (n != 1)}"
    if low is None or high is None:
        return f"{told} ({basis}, too few for an interval)."
    interval = f"{100 * confidence:.4g} % interval {_points(low)} to {_points(high)}"
    if low <= 0 <= high:
        return f"{told} ({interval}, {basis}); the interval includes 0."
    return f"{told} ({interval}, {basis})."


def _points(share: float) -> str:
    return f"{100 * share:+.2f}".replace("-", MINUS)


def method(suite: SuiteSpec) -> str:
    """How it was computed."""
    others = ""
    if len(suite.contrasts) > 1:
        others = f"; each stands by itself, none is corrected for there being {len(suite.contrasts)}"
    return (
        "Mean: test accuracy after the last epoch over all stored trainings of the row, diverged ones with 1/classes. "
        "Spread over folds: standard deviation (n - 1) of the means of the folds, each over all its runs. Spread over "
        "runs: that of the means of whole cross-validation runs, each over all folds used. The first holds what makes "
        "one fold's images harder than another's, the second new seeds only. A fold or run that lacks a training does "
        "not count. Divergence: rate with 95 % limits. Contrasts: paired differences over the replicates (fold, run) "
        "that both rows have, which share images and seeds, with Student t limits at "
        f"{100 * suite.confidence:.4g} %, variance within folds where there are two runs per fold{others}. They speak "
        "for new seeds on these images and folds."
    )
