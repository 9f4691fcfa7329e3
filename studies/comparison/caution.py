"""Warnings that an answer carries."""

from dataclasses import dataclass

import numpy as np

from studies import golden
from studies.comparison.bimodality import is_bimodal
from studies.comparison.confidence_set import ConfidenceSet
from studies.comparison.divergence import DivergenceRate
from studies.comparison.standing import Standing
from studies.comparison.surface import Surface
from studies.comparison.table import ScoreTable
from studies.statistics import rounded_text

FINEST_STEP_DECADES = float(abs(np.log10(golden.EFFECTIVE_LEARNING_RATE / (0.01 / (1 - 0.9)))))
"""Distance of the derived effective learning rate from MATLAB's default, 0.10 decades: a grid has to resolve
it."""
LARGE_SHARE = 0.4
"""docs/method.md 5: being in a set that covers 40 % of the box is weak evidence."""
CEILING_MEAN = 0.99
"""An accuracy at which differences are a few images: binomial standard error 0.1 points on 10,000."""
FEW_REPLICATES = 5
"""Below this t quantiles exceed 2.7 and normality cannot be judged."""


@dataclass(frozen=True)
class Caution:
    """One warning."""

    code: str
    text: str

    def __post_init__(self) -> None:
        if not (self.code and self.text):
            raise ValueError(f"a warning needs a code and a text, got {self.code!r} and {self.text!r}")


def cautions(
    table: ScoreTable,
    place: Standing,
    members: ConfidenceSet,
    rates: tuple[DivergenceRate, ...],
    surface: Surface | None,
    margin: float,
    *,
    shared: bool,
) -> tuple[Caution, ...]:
    """Every warning that the data call for.

    Args:
        table: the scores.
        place: their means on one footing.
        members: the confidence set of the best.
        rates: divergence of each row.
        surface: the fit, where there is one.
        margin: in units of the score.
        shared: whether the error has been shared among rounds or looks.

    Returns:
        At most one per code. `stand-in` is left to the caller, who knows the data set.
    """
    found = (
        _competitors(table),
        _few_replicates(table),
        _no_spread(table),
        _gaps(table, shared),
        _edge(table, place.best, surface),
        _resolution(table),
        _ceiling(table, float(place.means.max()), margin),
        _bimodal(table, place.best),
        _divergence(table, members, rates),
        _large_set(members),
    )
    return tuple(caution for caution in found if caution)


def _competitors(table: ScoreTable) -> Caution | None:
    if table.n_cells > 1:
        return None
    return Caution("no-competitor", "There is only one cell, so there is nothing to compare it with.")


def _few_replicates(table: ScoreTable) -> Caution | None:
    n = int(table.observed[table.derived].sum())
    if n >= FEW_REPLICATES:
        return None
    return Caution(
        "few-replicates",
        f"Only {n} replicate{'s' * (n != 1)} of the prescribed point: limits are wide and rest on an "
        "assumption of normal differences that so few cannot support.",
    )


def _no_spread(table: ScoreTable) -> Caution | None:
    moments = table.difference_moments(table.derived)
    tested = table.competitors & (moments.df > 0)
    if not tested.any() or moments.variance[tested].max() > (1e-12 * table.scale) ** 2:
        return None
    return Caution(
        "no-spread",
        "Paired differences do not vary at all between replicates: limits rest on the rounding of scores "
        "to whole images, or on nothing where the number of images is not given.",
    )


def _gaps(table: ScoreTable, shared: bool) -> Caution | None:
    short = int((table.observed.sum(axis=1) < table.n_replicates).sum())
    if not short:
        return None
    text = (
        f"{short} of {table.n_cells} cells were not observed in every replicate; two cells are compared on the "
        "replicates that both have."
    )
    if not shared:
        text += " If scores decided which cells were dropped, the confidence has to be shared among the looks."
    return Caution("gaps", text)


def _edge(table: ScoreTable, best: int, surface: Surface | None) -> Caution | None:
    places = table.logarithms
    box = places[table.grid]
    if not len(box):
        return None
    low, high = box.min(axis=0), box.max(axis=0)
    varies = high - low > 1e-9
    at_edge = ((places[best] <= low + 1e-9) | (places[best] >= high - 1e-9)) & varies
    if at_edge.any():
        names = [name for name, yes in zip(("learning rate", "momentum"), at_edge, strict=True) if yes]
        return Caution(
            "edge",
            f"The best cell lies at or beyond the edge of the grid in {' and '.join(names)}: the optimum "
            "may lie outside, and then the regret is larger than stated.",
        )
    if surface is not None and surface.on_edge and surface.shape != "flat":
        return Caution("edge", "The fitted surface is highest on the edge of the grid: the optimum may be outside.")
    return None


def _resolution(table: ScoreTable) -> Caution | None:
    values = np.unique(np.round(table.logarithms[table.grid, 0], 9))
    if len(values) < 2:
        return None
    step = float(np.median(np.diff(values)))
    if step <= FINEST_STEP_DECADES + 1e-9:
        return None
    return Caution(
        "resolution",
        f"The grid steps by {rounded_text(step, 2)} decades of the learning rate; settings closer together, "
        f"such as the golden point and MATLAB's default ({rounded_text(FINEST_STEP_DECADES, 2)} decades of "
        "the effective rate), cannot be told apart by it.",
    )


def _ceiling(table: ScoreTable, best: float, margin: float) -> Caution | None:
    seen = table.scores[table.observed]
    if not len(seen) or seen.min() < 0 or seen.max() > 1 or seen.max() <= 0:
        return None  # not an accuracy
    if best < CEILING_MEAN and 1 - best > 2 * margin:
        return None
    noise = ""
    if table.n_test is not None:
        images = table.n_test * table.n_folds
        error = float(np.sqrt(best * (1 - best) / images))
        noise = f"; its binomial standard error on {images} images is {rounded_text(error, 2)}"
    return Caution(
        "ceiling",
        f"The best mean is {best:.4f}, so at most {rounded_text(1 - best, 2)} is left to gain{noise}: cells "
        "may look equal because the task is too easy to tell them apart.",
    )


def _bimodal(table: ScoreTable, best: int) -> Caution | None:
    rows = dict.fromkeys([table.derived, best, *(row for _, row in table.references)])
    step = 0.0 if table.n_test is None else 1.0 / table.n_test
    found = [row for row in rows if is_bimodal(table.scores[row][table.finished[row]], step)]
    if not found:
        return None
    listed = ", ".join(str(row) for row in found)
    return Caution(
        "bimodal",
        f"The scores of cell{'s' * (len(found) > 1)} {listed} fall into two groups: a mean and its standard "
        "error describe neither.",
    )


def _divergence(table: ScoreTable, members: ConfidenceSet, rates: tuple[DivergenceRate, ...]) -> Caution | None:
    lost = [row for row, rate in enumerate(rates) if rate.diverged]
    if not lost:
        return None
    own = rates[table.derived]
    inside = len(set(lost) & set(members.cells))
    return Caution(
        "divergence",
        f"{len(lost)} of {table.n_cells} cells diverged at least once, {inside} of them in the confidence "
        f"set. The prescribed point diverged in {own.diverged} of {own.n} trainings (95 % limits "
        f"{rounded_text(own.low, 2)} to {rounded_text(own.high, 2)}).",
    )


def _large_set(members: ConfidenceSet) -> Caution | None:
    if members.share < LARGE_SHARE:
        return None
    return Caution(
        "set-too-large",
        f"The confidence set covers {100 * members.share:.0f} % of the box: being in it says little.",
    )
