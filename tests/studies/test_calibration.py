"""The short calibration: promises are kept, and intervals that do not keep them are seen to fail."""

import numpy as np
import pytest
from scipy import stats

from studies.calibration.__main__ import main
from studies.calibration.coverage import measure
from studies.calibration.landscapes import CHANCE, N_TEST, simulated, standard_landscapes
from studies.calibration.power import found_alone, found_equivalent, twin_covered
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
    assert text.count("| flat |") == 2
    with pytest.raises(SystemExit):
        main(["--nonsense"])
    assert "nonsense" in capsys.readouterr().err


def test_plan_when_replicates_do_not_fit_the_folds_is_refused():
    with pytest.raises(ValueError, match="multiples of 5"):
        Plan(n=10, replicates=(7,), seed=0)
