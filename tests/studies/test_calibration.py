"""The short calibration: promises are kept, and intervals that do not keep them are seen to fail."""

import numpy as np
import pytest
from scipy import stats

from studies.calibration.__main__ import main
from studies.calibration.close_calls import one_rival, racing_landscapes
from studies.calibration.coverage import MARGIN, is_wrong, measure
from studies.calibration.landscapes import CHANCE, N_TEST, simulated, standard_landscapes
from studies.calibration.looks import measure_looks
from studies.calibration.power import found_alone, found_equivalent, twin_covered
from studies.calibration.races import measure_race
from studies.calibration.report import Plan, page
from studies.comparison.interval import competitor_limits, read_verdict, regret_interval
from studies.comparison.planning import replicates_needed

STUDIES = 300
FALSE_ALARM = 1e-4
"""Chance that a promise which holds exactly is called broken, per rate; a hundred rates make it 1 %."""

LANDSCAPES = {landscape.name: landscape for landscape in standard_landscapes()}
BARRED = [name for name, landscape in LANDSCAPES.items() if landscape.barred]


def fewest(promise, n=STUDIES):
    """Fewest successes that do not contradict a promised rate."""
    return stats.binom.ppf(FALSE_ALARM, n, promise) / n


@pytest.mark.parametrize("name", BARRED)
@pytest.mark.parametrize(("replicates", "n_test"), [(5, None), (5, N_TEST), (10, N_TEST), (30, None)])
def test_coverage_when_simulated_is_as_promised(name, replicates, n_test):
    rng = np.random.default_rng([replicates, len(name)])
    rates = measure(LANDSCAPES[name], replicates, STUDIES, rng, n_test=n_test)
    assert rates.covered >= fewest(0.95)
    assert rates.best_in_set >= fewest(0.95)
    assert 1 - rates.wrong >= fewest(0.95)


def test_controls_when_flat_fail_and_the_interval_does_not():
    rates = measure(LANDSCAPES["flat"], 5, STUDIES, np.random.default_rng(1), n_test=None)
    most = stats.binom.ppf(1 - FALSE_ALARM, STUDIES, 0.9) / STUDIES
    assert stats.binom.cdf(rates.naive * STUDIES, STUDIES, 0.95) < FALSE_ALARM
    assert stats.binom.cdf(rates.max_t * STUDIES, STUDIES, 0.95) < FALSE_ALARM
    assert rates.max_t < most - 0.1
    assert rates.covered >= fewest(0.95)


def test_winners_curse_when_flat_is_in_the_plug_in_only():
    rates = measure(LANDSCAPES["flat"], 10, STUDIES, np.random.default_rng(2), n_test=None)
    assert rates.regret == 0
    assert rates.plug_in > 0.0012
    assert abs(rates.cross_fitted) < 0.0003


@pytest.mark.parametrize("replicates", [5, 10, 30, 100])
def test_twin_when_it_has_its_own_seeds_covers_zero(replicates):
    promise = twin_covered(replicates, 1000, np.random.default_rng(replicates), n_test=None)
    assert promise.rate >= fewest(0.95, 1000)
    assert promise.rate <= 1 - fewest(0.02, 1000)  # a twin with shared seeds would cover always


def test_power_when_derived_is_best_is_as_promised():
    promise = found_equivalent(0.001, STUDIES, np.random.default_rng(3), promised=0.8)
    assert promise.rate >= fewest(0.8)


def test_power_when_one_cell_is_far_ahead_leaves_it_alone():
    promise = found_alone(30, STUDIES, np.random.default_rng(4), promised=0.95)
    assert promise.rate >= fewest(0.95)


def test_replicates_needed_when_simulated_is_right_in_the_median():
    landscape, margin, rng = LANDSCAPES["derived best"], 0.002, np.random.default_rng(5)
    plans = [replicates_needed(landscape.draw(30, rng, n_test=None), margin, 0.95) or 300 for _ in range(60)]
    planned = 5 * round(float(np.median(plans)) / 5)
    intervals = (
        regret_interval(competitor_limits(landscape.draw(planned, rng, n_test=None), 0.95)) for _ in range(STUDIES)
    )
    definite = np.mean([read_verdict(interval, margin) != "undecided" for interval in intervals])
    assert 0.65 <= definite <= 0.92  # planned for 0.8; the median plan is itself uncertain


RACED = {landscape.name: landscape for landscape in racing_landscapes()}


@pytest.mark.parametrize("name", RACED)
def test_race_when_simulated_keeps_its_promises(name):
    rates = measure_race(RACED[name], 50, 100, np.random.default_rng(len(name)), n_test=N_TEST)
    assert rates.covered >= fewest(0.95, 100)
    assert rates.best_in_set >= fewest(0.95, 100)
    assert 1 - rates.wrong >= fewest(0.95, 100)


def test_race_when_the_plateau_is_small_saves_trainings_and_hardly_any_verdicts():
    for name in ("plateau of 5 cells", "plateau of 7 cells: a ridge", "plateau of 7 cells, 10 folds", "derived best"):
        rates = measure_race(RACED[name], 100, 60, np.random.default_rng(6), n_test=N_TEST)
        assert rates.trainings < 0.25
        assert rates.definite > rates.definite_in_full - 0.3  # dropped cells whose limits are in the way cost 0.6
    assert measure_race(RACED["flat"], 50, 30, np.random.default_rng(7), n_test=N_TEST).trainings > 0.8


def test_race_when_rounds_do_not_share_the_error_is_wrong_too_often():
    rates = measure_race(one_rival("pair", MARGIN, 2), 100, 500, np.random.default_rng(8), n_test=None)
    assert 1 - rates.wrong >= fewest(0.95, 500)
    assert stats.binom.sf(rates.unspent * 500 - 1, 500, 0.05) < FALSE_ALARM


@pytest.mark.parametrize(("regret", "cells"), [(MARGIN + 1e-5, 49), (MARGIN - 1e-5, 2), (MARGIN, 2)])
def test_looks_when_paid_for_are_seldom_wrong_and_unpaid_often(regret, cells):
    rates = measure_looks(one_rival("close", regret, cells), 8, 600, np.random.default_rng(9))
    assert rates.promised == pytest.approx(0.1 if regret == MARGIN else 0.05)
    assert 1 - rates.wrong >= fewest(1 - rates.promised, 600)
    assert stats.binom.sf(rates.unpaid * 600 - 1, 600, rates.promised) < FALSE_ALARM


def test_looks_when_the_answer_advises_their_sizes_grow_within_bounds():
    rates = measure_looks(LANDSCAPES["derived best"], 3, 40, np.random.default_rng(10), advised=True)
    assert rates.promised is None
    assert rates.kept
    assert rates.definite > 0.9
    assert rates.wrong == 0


def test_wrong_when_the_regret_is_the_margin_is_either_definite_verdict():
    verdicts = ("equivalent", "undecided", "inferior")
    assert [is_wrong(verdict, MARGIN) for verdict in verdicts] == [True, False, True]
    assert [is_wrong(verdict, MARGIN + 1e-5) for verdict in verdicts] == [True, False, False]
    assert [is_wrong(verdict, MARGIN - 1e-5) for verdict in verdicts] == [False, False, True]


def test_landscape_when_drawn_often_has_the_stated_truth():
    landscape = LANDSCAPES["cliffs"]
    table = landscape.draw(4000, np.random.default_rng(0), n_test=None)
    assert table.scores.mean(axis=1) == pytest.approx(landscape.expected, abs=0.06)
    assert table.diverged.mean(axis=1) == pytest.approx(landscape.rates, abs=0.05)
    assert (table.scores[table.diverged] == CHANCE).all()
    still = landscape.rates == 0
    assert table.scores[still].mean(axis=1) == pytest.approx(landscape.expected[still], abs=0.0008)


def test_landscape_when_rates_are_impossible_is_refused():
    with pytest.raises(ValueError, match=r"rates must be in \[0, 1\]"):
        simulated("wrong", np.zeros(49), rates=np.full(49, 1.5))


def test_page_when_tiny_states_n_and_command(capsys):
    text, _ = page(Plan(n=4, replicates=(5,), seed=0), "the command")
    assert "n = 4 simulated studies" in text
    assert "`the command`" in text
    assert text.count("| flat |") == 4  # continuous, in steps, raced, extended
    assert text.count("| wrong if unspent |") == text.count("| wrong if unpaid |") == 1
    with pytest.raises(SystemExit):
        main(["--nonsense"])
    assert "nonsense" in capsys.readouterr().err


def test_plan_when_replicates_do_not_fit_the_folds_is_refused():
    with pytest.raises(ValueError, match="multiples of 5"):
        Plan(n=10, replicates=(7,), seed=0)
