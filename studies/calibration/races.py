"""How a race ends on a landscape whose best cell is known."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from studies.calibration.coverage import CONFIDENCE, MARGIN, at_least, is_wrong
from studies.calibration.landscapes import SimulatedLandscape
from studies.comparison.confidence_set import unbeaten
from studies.comparison.cross_fit import cross_fitted_regret
from studies.comparison.interval import Verdict, competitor_limits, read_verdict, regret_interval
from studies.comparison.table import ScoreTable
from studies.racing import decide, round_confidence, rounds
from studies.statistics import BoolArray


@dataclass(frozen=True)
class Race:
    """A race that is over."""

    table: ScoreTable
    """of the replicates that were trained"""
    verdict: Verdict
    rounds: int
    """that were run"""

    @property
    def trainings(self) -> int:
        """Number of replicates, over all cells."""
        return int(self.table.observed.sum())


@dataclass(frozen=True)
class RaceRates:
    """Rates over `n` simulated races."""

    landscape: str
    folds: int
    ends: tuple[int, ...]
    """cumulative runs at the end of each round"""
    n: int
    regret: float
    """true"""
    covered: float
    """rate at which low <= true regret <= high, the interval being that of the last round run"""
    best_in_set: float
    """rate at which one fixed, truly best cell is in the set"""
    wrong: float
    """rate of definite verdicts that are wrong"""
    definite: float
    definite_in_full: float
    """rate of definite verdicts of the same studies without racing, all replicates trained"""
    trainings: float
    """mean share of the full study's trainings"""
    rounds: float
    """mean number of rounds run"""
    cross_fitted: float
    """mean cross-fitted estimate"""
    unspent: float
    """rate of wrong definite verdicts if every round takes the whole error: the negative control"""

    @property
    def kept(self) -> bool:
        """Whether every promise is kept up to the error of the simulation."""
        least = at_least(CONFIDENCE, self.n)
        return self.covered >= least and self.best_in_set >= least and 1 - self.wrong >= least


def run_race(full: ScoreTable, ends: tuple[int, ...], margin: float, confidence: float, *, n_rounds: int) -> Race:
    """Race through the replicates of a study as far as its decisions ask for them.

    Args:
        full: every replicate; column r is run r // K.
        ends: cumulative runs at the end of each round.
        margin: in units of the score.
        confidence: of the race as a whole.
        n_rounds: among which the error is shared: the number of `ends`, or 1 for a race that does not pay.

    Returns:
        The race, ended by a definite verdict or by its last round.
    """
    seen: BoolArray = np.zeros(full.scores.shape, dtype=bool)
    live = np.ones(full.n_cells, dtype=bool)
    begin = 0
    for end in ends:
        columns = end * full.n_folds
        seen[live, begin:columns] = True
        begin = columns
        table = observed_part(full, seen, columns)
        decision = decide(table, margin, confidence, n_rounds)
        if decision.verdict != "undecided" or end == ends[-1]:
            break
        live[list(decision.dropped)] = False
    return Race(table, decision.verdict, ends.index(end) + 1)


def observed_part(full: ScoreTable, seen: BoolArray, columns: int) -> ScoreTable:
    """The first columns of a table, with gaps where `seen`, `[C, R]`, is false."""
    part = seen[:, :columns].copy()
    return dataclasses.replace(
        full,
        scores=np.where(part, full.scores[:, :columns], 0.0),
        diverged=full.diverged[:, :columns] & part,
        observed=part,
        folds=full.folds[:columns],
    )


def measure_race(
    landscape: SimulatedLandscape, replicates: int, n: int, rng: np.random.Generator, *, n_test: int | None
) -> RaceRates:
    """Simulate n races and count.

    Args:
        landscape: where the truth is known; K folds.
        replicates: R of the full study, a multiple of K.
        n: races.
        rng: of the noise.
        n_test: images per fold; None: continuous scores.

    Returns:
        The rates, with verdicts for MARGIN.
    """
    folds = landscape.fold_effects.shape[1]
    ends = rounds(folds, replicates // folds)
    level = round_confidence(CONFIDENCE, len(ends))
    truth = landscape.regret
    rows = []
    for _ in range(n):
        full = landscape.draw(replicates, rng, n_test=n_test)
        race = run_race(full, ends, MARGIN, CONFIDENCE, n_rounds=len(ends))
        interval = regret_interval(competitor_limits(race.table, level))
        in_full = read_verdict(regret_interval(competitor_limits(full, CONFIDENCE)), MARGIN)
        rows.append(
            (
                interval.low <= truth + 1e-12 and interval.high >= truth - 1e-12,
                unbeaten(race.table, level)[landscape.best],
                is_wrong(race.verdict, truth),
                race.verdict != "undecided",
                in_full != "undecided",
                race.trainings / full.scores.size,
                race.rounds,
                cross_fitted_regret(race.table) or 0.0,
                is_wrong(run_race(full, ends, MARGIN, CONFIDENCE, n_rounds=1).verdict, truth),
            )
        )
    rates = (float(column.mean()) for column in np.array(rows, dtype=np.float64).T)
    return RaceRates(landscape.name, folds, ends, n, truth, *rates)
