"""The answer to a pair of studies in plain words: what was found, how sure it is, and what it does not say."""

from collections.abc import Sequence

from studies.pair import PairComparison, PairDifference
from studies.statistics import rounded_text

METHOD = (
    "Score: accuracy after the last epoch; a diverged training has its documented score. Only replicates (fold, run) "
    "in which every cell of both studies has a score count; they share folds, initial weights and data order, so the "
    "studies are compared by paired differences, A minus B. Limits are Student's t, two-sided, with the variance "
    "within folds, pooled over replicates where folds have one run. Best cells: each study's cell with the highest "
    "mean on one half of the replicates; the difference is measured on the other half, both ways, and averaged. Its "
    "standard error is the mean of those of the halves, which allows for any correlation between the two. An extension "
    "of either study after it had results is one more look, paid for with a higher confidence of the limits."
)


def sentence(found: PairComparison) -> str:
    """What was found and how sure it is."""
    parts = [f"At the prescribed points, {_told(found.prescribed, found.confidence)}."]
    if found.best is None:
        parts.append("One replicate cannot both select a best cell and measure it.")
    else:
        parts.append(
            "With each study at the best cell that the other half of the replicates selects, "
            f"{_told(found.best, found.confidence)}."
        )
    return " ".join(parts)


def _told(difference: PairDifference, confidence: float) -> str:
    ahead = rounded_text(abs(difference.estimate))
    if difference.standard_error == float("inf"):
        return f"A minus B is {rounded_text(difference.estimate)} on {_counted(difference.n)}, too few for an interval"
    basis = f"{100 * confidence:.4g} % interval"
    if difference.low > 0:
        limits = f"{rounded_text(difference.low)} to {rounded_text(difference.high)}"
        return f"A is ahead of B by {ahead} ({basis} {limits}, {_counted(difference.n)})"
    if difference.high < 0:
        limits = f"{rounded_text(-difference.high)} to {rounded_text(-difference.low)}"
        return f"B is ahead of A by {ahead} ({basis} {limits}, {_counted(difference.n)})"
    limits = f"{rounded_text(difference.low)} to {rounded_text(difference.high)}"
    return (
        f"A and B cannot be told apart: A minus B is {rounded_text(difference.estimate)} "
        f"({basis} {limits}, {_counted(difference.n)})"
    )


def _counted(n: int) -> str:
    return f"{n} paired replicate{'s' * (n != 1)}"


def not_said(differs: Sequence[str]) -> str:
    """What the answer does not say.

    Args:
        differs: fields in which the specifications differ.
    """
    parts = [
        "It speaks for new seeds on these images and folds, not for other data, networks or schedules.",
        "The best cells are the best of those tried, on these images; the two intervals are not corrected for being "
        "two.",
    ]
    if "loss" in differs:
        parts.append(
            "A factor in front of a loss moves its best learning rate by the same factor, so at the prescribed points "
            "a difference of losses is also one of step lengths."
        )
    cells, training = _split(differs)
    if cells:
        parts.append("The studies tried different cells.")
    if len(training) > 1:
        parts.append(f"The studies differ in {_listed(training)}: a difference cannot be put down to one of these.")
    if not differs:
        parts.append("The specifications do not differ in anything that changes a training.")
    return " ".join(parts)


def _split(differs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Fields that choose the cells, and fields that change how each is trained."""
    cells = [name for name in differs if name in ("prescribed", "grid", "references")]
    return cells, [name for name in differs if name not in cells]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}"
