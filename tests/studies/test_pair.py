"""Two studies side by side: known answers, symmetry, and coverage beside a control that fails."""

import numpy as np
import pytest
from scipy import stats

from studies.calibration.landscapes import simulated, steps_from_middle
from studies.comparison.cross_fit import even_half
from studies.comparison.table import ScoreTable, score_table
from studies.pair import compare_pair
from studies.statistics import paired_moments

STUDIES = 500
FALSE_ALARM = 1e-4
"""Chance that a promise which holds exactly is called broken."""


def table(scores, folds=None, derived=0, n_test=None) -> ScoreTable:
    cells = [(0.01 * (row + 1), 0.9) for row in range(len(scores))]
    return score_table(scores, cells, derived, folds=folds, n_test=n_test)


def drawn(means, spread, common, rng) -> ScoreTable:
    """A study whose replicates share `common` [R] with the other one and have noise of their own."""
    means = np.asarray(means, dtype=float)
    return table(means[:, None] + common + spread * rng.standard_normal((len(means), len(common))))


def fewest(promise, n=STUDIES):
    return stats.binom.ppf(FALSE_ALARM, n, promise) / n


def test_prescribed_points_when_known_give_the_paired_t_interval():
    a, b = np.array([[0.9, 0.8, 0.95, 0.85]]), np.array([[0.7, 0.75, 0.8, 0.6]])
    found = compare_pair(table(a), table(b), 0.95).prescribed
    wanted = stats.ttest_rel(a[0], b[0])
    low, high = wanted.confidence_interval(0.95)
    assert (found.estimate, found.low, found.high) == pytest.approx(((a - b).mean(), low, high))
    assert (found.df, found.n) == (3, 4)


def test_variance_when_folds_have_two_runs_is_that_within_folds():
    folds = np.array([0, 0, 1, 1])
    a, b = np.array([[0.9, 0.91, 0.5, 0.52]]), np.array([[0.1, 0.1, 0.1, 0.1]])
    found = compare_pair(table(a, folds), table(b, folds), 0.95).prescribed
    assert found.df == 2
    assert found.standard_error == pytest.approx(np.sqrt((2 * 0.005**2 + 2 * 0.01**2) / 2 / 4))


def test_best_cells_when_selected_on_one_half_are_measured_on_the_other():
    # Even columns prefer row 0 of A, odd ones row 1; B has one cell.
    a = np.array([[0.9, 0.1, 0.9, 0.2], [0.5, 0.6, 0.5, 0.7]])
    b = np.array([[0.3, 0.3, 0.3, 0.3]])
    found = compare_pair(table(a), table(b), 0.9)
    assert [(one.a, one.b, one.n) for one in found.selections] == [(0, 0, 2), (1, 0, 2)]
    assert [one.estimate for one in found.selections] == pytest.approx([0.15 - 0.3, 0.5 - 0.3])
    assert found.best is not None
    assert found.best.estimate == pytest.approx(0.025)
    # Standard errors 0.05 (of 0.1 and 0.2) and 0: their mean, with 1 + 1 degrees of freedom.
    reach = stats.t.ppf(0.95, 2) * 0.025
    assert (found.best.low, found.best.high) == pytest.approx((0.025 - reach, 0.025 + reach))
    assert (found.best.df, found.best.n) == (2, 4)


def test_exchange_of_the_studies_changes_signs_only():
    rng = np.random.default_rng(3)
    folds = np.repeat(np.arange(5), 4)
    a, b = (table(rng.normal(0.9, 0.01, (rows, 20)), folds, n_test=1000) for rows in (6, 4))
    one, other = compare_pair(a, b, 0.95), compare_pair(b, a, 0.95)
    for here, there in ((one.prescribed, other.prescribed), (one.best, other.best)):
        assert here is not None
        assert there is not None
        assert (here.estimate, here.low, here.high) == pytest.approx((-there.estimate, -there.high, -there.low))
    assert [(s.a, s.b) for s in one.selections] == [(s.b, s.a) for s in other.selections]


def test_one_replicate_has_an_estimate_and_no_limits():
    found = compare_pair(table([[0.9]]), table([[0.8]]), 0.95)
    assert found.prescribed.estimate == pytest.approx(0.1)
    assert (found.prescribed.low, found.prescribed.high, found.prescribed.df) == (-np.inf, np.inf, 0)
    assert (found.best, found.selections) == (None, ())
    two = compare_pair(table([[0.9, 0.8]]), table([[0.8, 0.8]]), 0.95).best
    assert two is not None
    assert (two.low, two.high, two.standard_error) == (-np.inf, np.inf, np.inf)


def test_equal_scores_are_not_known_better_than_to_whole_images():
    scores = np.full((2, 10), 0.9)
    found = compare_pair(table(scores, n_test=1000), table(scores, n_test=1000), 0.95)
    assert found.prescribed.estimate == 0
    assert found.prescribed.standard_error == pytest.approx(1 / 1000 / np.sqrt(12 * 10))


def test_tables_that_do_not_belong_together_are_refused():
    good = table(np.full((2, 4), 0.9), n_test=1000)
    with pytest.raises(ValueError, match="same replicates"):
        compare_pair(good, table(np.full((2, 5), 0.9), n_test=1000), 0.95)
    with pytest.raises(ValueError, match="same replicates"):
        compare_pair(good, table(np.full((2, 4), 0.9), folds=[0, 0, 1, 1], n_test=1000), 0.95)
    with pytest.raises(ValueError, match="same test images"):
        compare_pair(good, table(np.full((2, 4), 0.9)), 0.95)
    seen = np.ones((2, 4), dtype=bool)
    seen[1, 2] = False
    gap = score_table(np.full((2, 4), 0.9), [(0.1, 0.9), (0.2, 0.9)], 0, observed=seen, n_test=1000)
    with pytest.raises(ValueError, match="every cell of both"):
        compare_pair(good, gap, 0.95)
    with pytest.raises(ValueError, match=r"confidence must be in \[0.5, 1\)"):
        compare_pair(good, good, 1.0)


FLAT, PEAK = np.zeros(49), -0.001 * np.hypot(*(steps_from_middle() - [2, -1]).T) ** 2
CASES = {
    "twins, flat": (FLAT, FLAT),
    "twins, one peak": (PEAK, PEAK),
    "known difference of one peak": (PEAK, PEAK + 0.004),
    "five cells against one": (np.zeros(5), np.zeros(1)),
    "five cells against five": (np.zeros(5), np.zeros(5)),
    "peak against flat": (PEAK, FLAT + 0.002),
}


@pytest.mark.parametrize("replicates", [10, 30])
@pytest.mark.parametrize("name", CASES)
def test_intervals_when_simulated_cover_the_known_difference(name, replicates):
    rng = np.random.default_rng([replicates, len(name)])
    first, second = CASES[name]
    at_best = at_prescribed = 0
    for _ in range(STUDIES):
        common = 0.004 * rng.standard_normal(replicates)
        a, b = drawn(first, 0.003, common, rng), drawn(second, 0.002, common, rng)
        found = compare_pair(a, b, 0.95)
        assert found.best is not None
        truth = np.mean([first[one.a] - second[one.b] for one in found.selections])
        at_best += found.best.low <= truth <= found.best.high
        at_prescribed += found.prescribed.low <= first[0] - second[0] <= found.prescribed.high
    assert at_best / STUDIES >= fewest(0.95)
    assert at_prescribed / STUDIES >= fewest(0.95)
    assert at_prescribed / STUDIES <= 1 - fewest(0.02)  # a paired t interval is neither too short nor too long


@pytest.mark.parametrize("replicates", [10, 30])
def test_controls_when_simulated_fail(replicates):
    """Best against best on the same replicates, and halves taken for independent: both cover too seldom."""
    rng = np.random.default_rng(replicates)
    naive = independent = 0
    for _ in range(STUDIES):
        common = 0.004 * rng.standard_normal(replicates)
        a, b = drawn(FLAT, 0.003, common, rng), drawn(np.zeros(1), 0.002, common, rng)
        difference = a.scores[a.scores.mean(axis=1).argmax()] - b.scores[0]
        low, high = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
        naive += low <= 0 <= high
        independent += _covered_if_halves_were_independent(rng, replicates)
    assert stats.binom.cdf(naive, STUDIES, 0.95) < FALSE_ALARM
    assert independent / STUDIES < 0.95


def _covered_if_halves_were_independent(rng, replicates) -> bool:
    a = drawn(np.zeros(5), 0.003, np.zeros(replicates), rng)
    b = drawn(np.zeros(5), 0.003, np.zeros(replicates), rng)
    found = compare_pair(a, b, 0.95)
    assert found.best is not None
    even = even_half(a.folds)
    values = np.stack([a.scores[one.a] - b.scores[one.b] for one in found.selections])
    moments = paired_moments(values, np.stack([~even, even]), a.folds)
    error = np.sqrt((moments.standard_error() ** 2).sum()) / 2
    return abs(found.best.estimate) <= stats.t.ppf(0.975, found.best.df) * error


def test_landscape_of_the_calibration_is_read_as_any_other():
    landscape = simulated("flat", np.zeros(49))
    a, b = (landscape.draw(30, np.random.default_rng(seed), n_test=1000) for seed in (1, 2))
    found = compare_pair(a, b, 0.95)
    assert found.n == 30
    assert found.folds == 1
    assert found.best is not None
    assert found.best.low < 0 < found.best.high
