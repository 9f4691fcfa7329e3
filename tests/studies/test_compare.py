"""Known answers of the comparison, worked by hand."""

import json
import math
import random
import subprocess
import sys
import time

import numpy as np
import pytest

from studies import golden
from studies.compare import compare, score_table
from studies.comparison.areas import cell_areas
from studies.comparison.bimodality import is_bimodal
from studies.comparison.planning import Landscape, fitted_landscape, replicates_needed, verdict_probability
from studies.comparison.quadratic import Box, design, highest
from studies.comparison.random_search import equivalent_draws, expected_best
from studies.statistics import clopper_pearson, paired_moments, student_quantile

# Quantiles of Student's t as printed tables have them.
T_975_3 = 3.182446
T_9875_3 = 4.176535
T_975_2 = 4.302653
T_95_3 = 2.353363

DERIVED = np.array([0.90, 0.92, 0.91, 0.93])
AHEAD = DERIVED + np.array([0.01, 0.03, 0.02, 0.02])  # mean 0.02, squares (1 + 1)e-4, s = 0.00816497, se = 0.00408248
BEHIND = DERIVED - np.array([0.05, 0.06, 0.05, 0.06])
SPREAD = math.sqrt(2e-4 / 3 / 4)
THREE = np.array([(0.01, 0.9), (0.016, 0.9), (0.0256, 0.9)])


def lattice(steps=3, factor=1.6):
    powers = factor ** np.arange(-steps, steps + 1)
    return np.array([(golden.LEARNING_RATE * a, 1 - (1 - golden.MOMENTUM) * b) for a in powers for b in powers])


def three(**options):
    return compare([DERIVED, AHEAD, BEHIND], THREE, 0, **{"margin": 0.001, **options})


def codes(comparison):
    return {warning.code for warning in comparison.warnings}


def test_interval_when_three_cells():
    regret = three().regret
    assert regret.estimate == pytest.approx(0.02)
    assert regret.low == pytest.approx(0.02 - T_9875_3 * SPREAD, rel=1e-5)
    assert regret.high == pytest.approx(0.02 + T_975_3 * SPREAD, rel=1e-5)


def test_lower_limit_when_competitors_are_added_is_corrected_and_upper_is_not():
    two = compare([DERIVED, AHEAD], THREE[:2], 0, margin=0.001).regret
    assert two.low == pytest.approx(0.02 - T_975_3 * SPREAD, rel=1e-5)
    assert two.high == three().regret.high
    assert two.low > three().regret.low


def test_verdict_when_margin_moves_past_the_interval():
    assert three(margin=0.001).verdict == "inferior"
    assert three(margin=0.02).verdict == "undecided"
    assert three(margin=0.04).verdict == "equivalent"


def test_interval_when_derived_is_best_is_zero_below():
    comparison = compare([DERIVED, BEHIND], THREE[:2], 0, margin=0.001)
    assert (comparison.regret.estimate, comparison.regret.low, comparison.regret.high) == (0, 0, 0)
    assert comparison.verdict == "equivalent"
    assert comparison.best.cell == comparison.prescribed.cell == 0


def test_variance_when_folds_have_two_runs_is_within_folds():
    # Within each fold the differences are +-0.01 about the mean: squares 4e-4 over 4 - 2, so se^2 = 2e-4 / 4.
    advance = np.array([0.01, 0.03, 0.05, 0.07])
    comparison = compare([DERIVED, DERIVED + advance], THREE[:2], 0, margin=0.001, folds=[7, 7, 3, 3], n_test=10**6)
    spread = math.sqrt(2e-4 / 4)
    assert comparison.regret.high == pytest.approx(0.04 + T_975_2 * spread, rel=1e-5)
    assert comparison.populations.seeds.df == 2
    assert comparison.populations.seeds.high == comparison.regret.high
    assert comparison.populations.new_data is None


def test_variance_when_folds_have_one_run_is_pooled():
    advance = np.array([0.01, 0.03, 0.02, 0.02])
    pooled = compare([DERIVED, DERIVED + advance], THREE[:2], 0, margin=0.001, folds=[0, 1, 2, 3])
    alone = compare([DERIVED, DERIVED + advance], THREE[:2], 0, margin=0.001)
    assert pooled.regret == alone.regret
    assert pooled.populations.seeds.df == 3


def test_new_data_when_three_folds_has_the_corrected_variance():
    # Fold means 0.01, 0.02, 0.03: s = 0.01; se = s sqrt(1/3 + 500/1000), 2 degrees of freedom.
    advance = np.array([0.005, 0.015, 0.02, 0.02, 0.03, 0.03])
    base = np.tile(DERIVED[:2], 3)
    new_data = compare(
        [base, base + advance],
        THREE[:2],
        0,
        margin=0.001,
        folds=[0, 0, 1, 1, 2, 2],
        n_test=500,
        n_train=1000,
    ).populations.new_data
    assert new_data.heuristic
    assert new_data.df == 2
    assert new_data.estimate == pytest.approx(0.02)
    assert new_data.high == pytest.approx(0.02 + T_975_2 * 0.01 * math.sqrt(1 / 3 + 0.5), rel=1e-5)


def test_new_data_when_ten_folds_is_wider_than_fold_means_by_the_published_factor():
    rng = np.random.default_rng(3)
    scores = 0.9 + 0.01 * rng.standard_normal((2, 10))
    options = {"margin": 0.001, "folds": np.arange(10)}
    comparison = compare(scores + np.array([[0], [0.05]]), THREE[:2], 0, **options)
    seeds, new_data = comparison.populations.seeds, comparison.populations.new_data
    factor = (new_data.high - new_data.estimate) / (seeds.high - seeds.estimate)
    assert factor == pytest.approx(1.4529, abs=1e-4)  # sqrt((1/10 + 1/9) / (1/10)); both have 9 df here


def test_standard_error_when_no_spread_is_that_of_rounding():
    comparison = compare(np.full((2, 4), 0.9), THREE[:2], 0, margin=0.001, n_test=1000)
    assert comparison.regret.high == pytest.approx(T_975_3 * 0.001 / math.sqrt(12 * 4), rel=1e-5)
    assert "no-spread" in codes(comparison)


def test_upper_limit_when_a_competitor_diverges_uses_its_finished_replicates():
    ahead = np.concatenate([AHEAD, [0.1, 0.1]])
    base = np.concatenate([DERIVED, [0.92, 0.92]])
    lost = np.array([[False] * 6, [False] * 4 + [True] * 2])
    comparison = compare([base, ahead], THREE[:2], 0, margin=0.001, diverged=lost)
    assert comparison.regret.high == pytest.approx(0.02 + T_975_3 * SPREAD, rel=1e-5)
    assert comparison.regret.estimate == 0  # all replicates count here: (0.08 - 1.64) / 6 < 0
    assert comparison.divergence[1].diverged == 2
    assert "divergence" in codes(comparison)


def test_upper_limit_when_fewer_than_three_finish_leaves_the_competitor_out():
    scores = np.array([DERIVED, [0.99, 0.97, 0.1, 0.1], BEHIND])
    lost = np.zeros((3, 4), dtype=bool)
    lost[1, 2:] = True
    assert compare(scores, THREE, 0, margin=0.001, diverged=lost).regret.high == 0
    lost[1, 2] = False
    assert compare(scores, THREE, 0, margin=0.001, diverged=lost).regret.high > 0


def test_upper_limit_when_derived_diverges_counts_all_its_replicates():
    base = DERIVED.copy()
    base[3] = 0.1
    lost = np.zeros((2, 4), dtype=bool)
    lost[0, 3] = True
    comparison = compare([base, AHEAD], THREE[:2], 0, margin=0.001, diverged=lost)
    assert comparison.regret.estimate == pytest.approx((0.06 + 0.85) / 4)


def test_sentence_when_equivalent_and_derived_diverged_says_when_it_finishes():
    scores = np.full((2, 20), 0.9) + 1e-5 * np.random.default_rng(0).standard_normal((2, 20))
    lost = np.zeros((2, 20), dtype=bool)
    scores[:, 0], lost[:, 0] = 0.1, True
    comparison = compare(scores, THREE[:2], 0, margin=0.01, diverged=lost)
    assert comparison.verdict == "equivalent"
    assert "when it finishes" in comparison.sentence
    whole = compare(scores[:, 1:], THREE[:2], 0, margin=0.01)
    assert whole.verdict == "equivalent"
    assert "when it finishes" not in whole.sentence
    assert "never diverged in 19 trainings" in whole.not_said


def test_cross_fitted_when_the_winner_of_one_half_loses_the_other():
    # Even columns: A +0.04, B +0.01. Odd columns: A -0.02, B +0.03.
    # Even selects A, odd measures -0.02; odd selects B, even measures +0.01.
    base = np.full(4, 0.9)
    a = base + np.array([0.04, -0.02, 0.04, -0.02])
    b = base + np.array([0.01, 0.03, 0.01, 0.03])
    regret = compare([base, a, b], THREE, 0, margin=0.001).regret
    assert regret.cross_fitted == pytest.approx((-0.02 + 0.01) / 2)
    assert regret.estimate == pytest.approx(0.02)


def test_cross_fitted_when_columns_are_grouped_by_fold_splits_each_fold():
    base = np.full(4, 0.9)
    a = base + np.array([0.04, 0.04, -0.02, -0.02])
    regret = compare([base, a], THREE[:2], 0, margin=0.001, folds=[0, 1, 0, 1]).regret
    assert regret.cross_fitted == pytest.approx((-0.02 + 0.0) / 2)  # half one selects a, half two the derived point


def test_cross_fitted_when_a_cell_diverged_in_one_half_does_not_select_it():
    base = np.full(4, 0.9)
    lucky = base + np.array([0.05, -0.8, 0.05, -0.8])
    steady = base + 0.01
    lost = np.array([[False] * 4, [False, True, False, True], [False] * 4])
    regret = compare([base, lucky, steady], THREE, 0, margin=0.001, diverged=lost).regret
    assert regret.cross_fitted == pytest.approx(0.01)


def test_confidence_set_when_two_cells_uses_the_one_sided_quantile():
    bar = T_95_3 * SPREAD  # C - 1 = 1: t[1 - 0.05, 3]
    shifted = AHEAD - 0.02
    assert compare([DERIVED, shifted + bar * 0.999], THREE[:2], 0, margin=1).confidence_set.cells == (0, 1)
    assert compare([DERIVED, shifted + bar * 1.001], THREE[:2], 0, margin=1).confidence_set.cells == (1,)


def test_confidence_set_share_when_one_of_a_lattice_is_left():
    rng = np.random.default_rng(5)
    scores = 0.9 + 0.001 * rng.standard_normal((50, 20))
    scores[31] += 0.05
    scores[49] += 0.05  # a reference as good: in the set, not in the share
    cells = np.vstack([lattice(), [(0.01, 0.0)]])
    comparison = compare(scores, cells, 24, margin=0.001, references={"plain": 49})
    assert comparison.confidence_set.cells == (31, 49)
    assert comparison.confidence_set.share == pytest.approx(1 / 49, rel=1e-6)
    assert comparison.references[0].percentile is None
    assert comparison.prescribed.percentile is not None


def test_areas_when_steps_differ_are_rectangles_in_logarithms():
    # Rates in decades -3, -2, 0: borders -3.5, -2.5, -1, 1, so lengths 1, 1.5, 2; both momenta the same.
    cells = np.array([(a, m) for a in (0.001, 0.01, 1.0) for m in (0.0, 0.9)])
    logs = np.column_stack([np.log10(cells[:, 0]), np.log10(1 - cells[:, 1])])
    areas = cell_areas(logs, np.ones(6, dtype=bool))
    assert areas == pytest.approx(np.repeat([1, 1.5, 2], 2) / 9)


def test_areas_when_cells_coincide_or_lie_on_a_line():
    line = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 0.0)])
    assert cell_areas(line, np.ones(3, dtype=bool)) == pytest.approx([0.5, 0.25, 0.25])
    assert cell_areas(line[1:], np.ones(2, dtype=bool)) == pytest.approx([0.5, 0.5])
    assert cell_areas(line, np.zeros(3, dtype=bool)).sum() == 0


def test_rank_and_percentile_when_eight_of_nine_cells_differ():
    scores = 0.9 + np.outer(np.arange(9), np.ones(3)) * 0.01
    comparison = compare(scores, lattice(1), 6, margin=0.001)
    assert comparison.prescribed.rank == 3
    assert comparison.prescribed.percentile == pytest.approx(7 / 9)
    assert comparison.best.rank == 1
    assert comparison.best.percentile == 1


def test_rank_and_percentile_when_references_are_ahead_ignore_them():
    scores = 0.9 + np.outer(np.arange(9), np.ones(3)) * 0.01
    comparison = compare(scores, lattice(1), 6, margin=0.001, references={"a": 8, "b": 0})
    assert comparison.prescribed.rank == 2
    assert comparison.prescribed.percentile == pytest.approx(6 / 7)
    assert comparison.best.cell == 8


def test_reference_when_a_row_is_also_a_grid_cell():
    scores = 0.9 + np.outer(np.arange(3), np.ones(3)) * 0.01
    named = compare(scores, THREE, 0, margin=0.001, references={"twin": 2})
    kept = compare(scores, THREE, 0, margin=0.001, references={"twin": 2}, grid=[True, True, True])
    assert named.references[0].percentile is None
    assert kept.references[0].percentile == 1
    assert kept.references[0].label == "twin"
    assert kept.references[0].difference.estimate == pytest.approx(0.02)


def test_divergence_limits_when_two_of_ten_are_the_tabulated_ones():
    low, high = clopper_pearson(np.array([2, 0, 10]), np.array([10, 10, 10]), 0.95)
    assert low == pytest.approx([0.0252107, 0, 0.6915029], abs=1e-6)
    assert high == pytest.approx([0.5560955, 0.3084971, 1], abs=1e-6)


def test_divergence_limits_when_none_seen_follow_the_rule_of_three():
    rate = three().divergence[0]
    assert (rate.rate, rate.low, rate.high) == (0, 0, 0.75)


def test_observed_when_gaps_uses_shared_replicates_only():
    scores = np.array([DERIVED, AHEAD])
    padded = np.column_stack([scores, [0.5, np.nan]])
    seen = np.array([[True] * 5, [True] * 4 + [False]])
    comparison = compare(padded, THREE[:2], 0, margin=0.001, observed=seen)
    assert comparison.regret.high == compare(scores, THREE[:2], 0, margin=0.001).regret.high
    assert (comparison.prescribed.n, comparison.best.n) == (5, 4)
    assert "gaps" in codes(comparison)


def test_paired_moments_when_offset_is_huge_keeps_the_variance():
    values = np.array([[1e6 + 0.001, 1e6 + 0.002, 1e6 + 0.003]])
    moments = paired_moments(values, np.ones((1, 3), dtype=bool), np.zeros(3, dtype=np.int64))
    assert moments.variance[0] == pytest.approx(1e-6, rel=1e-3)


def test_student_quantile_when_no_degrees_of_freedom_is_unbounded():
    assert student_quantile(0.975, np.array([0, 3])) == pytest.approx([np.inf, T_975_3], rel=1e-6)


@pytest.mark.parametrize("replicates", [8, 40])
def test_verdict_probability_when_one_competitor_is_a_normal_tail(replicates):
    from scipy import stats

    landscape = Landscape(np.array([0.0005]), np.array([0.003]), 0.0)
    equivalent, inferior = verdict_probability(landscape, replicates, margin=0.002)
    spread = 0.003 / math.sqrt(replicates)
    quantile = stats.t.ppf(0.975, replicates - 1)
    assert equivalent == pytest.approx(stats.norm.cdf((0.002 - 0.0005) / spread - quantile), abs=1e-3)
    assert inferior == pytest.approx(stats.norm.sf((0.002 - 0.0005) / spread + quantile), abs=1e-3)


def test_verdict_probability_when_many_competitors_agrees_with_simulation():
    from scipy import stats

    rng = np.random.default_rng(2)
    means, own, shared, replicates = -0.0004 * np.arange(12), 0.002, 0.0015, 25
    deviation = math.hypot(own, shared)
    landscape = Landscape(means, np.full(12, deviation), shared)
    equivalent, _ = verdict_probability(landscape, replicates, margin=0.002)
    noise = own * rng.standard_normal((20000, 12)) + shared * rng.standard_normal((20000, 1))
    reach = stats.t.ppf(0.975, replicates - 1) * deviation / math.sqrt(replicates)
    simulated = ((means + noise / math.sqrt(replicates) + reach).max(axis=1) < 0.002).mean()
    assert equivalent == pytest.approx(simulated, abs=4 * math.sqrt(0.25 / 20000) + 0.005)


def test_replicates_needed_when_the_gap_is_clear_or_the_margin_is_the_truth():
    rng = np.random.default_rng(8)
    scores = 0.9 + 0.003 * rng.standard_normal((5, 20))
    clear = score_table(scores + np.array([[0.0], [0.02], [0], [0], [0]]), lattice(1)[:5], 0)
    assert replicates_needed(clear, 0.005, 0.95) <= 10
    assert replicates_needed(clear, 0.0195, 0.95) is None or replicates_needed(clear, 0.0195, 0.95) > 100


def test_replicates_needed_when_folds_are_balanced_is_a_multiple_of_them():
    rng = np.random.default_rng(8)
    table = score_table(0.9 + 0.003 * rng.standard_normal((5, 20)), lattice(1)[:5], 0, folds=np.arange(20) % 5)
    needed = replicates_needed(table, 0.004, 0.95)
    assert needed is not None
    assert needed % 5 == 0


def test_fitted_landscape_when_flat_has_less_of_the_winners_curse():
    rng = np.random.default_rng(9)
    table = score_table(0.9 + 0.003 * rng.standard_normal((49, 20)), lattice(), 24)
    landscape = fitted_landscape(table)
    plug_in = (table.means - table.means[24]).max()
    assert (np.diff(landscape.means) <= 0).all()
    assert landscape.means.max() < 0.5 * plug_in
    assert landscape.shared == pytest.approx(0.003, rel=0.5)  # the derived point's own noise


def test_ridge_when_momentum_matters_on_the_derived_diagonal():
    cells = lattice()
    rng = np.random.default_rng(1)
    position = np.log10(1 - cells[:, 1])
    scores = 0.9 + 0.02 * position[:, None] + 0.001 * rng.standard_normal((49, 20))
    ridge = compare(scores, cells, 24, margin=0.001).ridge
    assert ridge.matters
    assert ridge.prescribed.cells == (48, 40, 32, 24, 16, 8, 0)  # the diagonal of an exact 7 x 7 lattice
    assert ridge.prescribed.slope.estimate == pytest.approx(0.02, abs=0.002)
    assert ridge.prescribed.slope.low < 0.02 < ridge.prescribed.slope.high
    assert len(ridge.diagonals) == 11  # 13 diagonals, two of which have one cell


def test_ridge_when_only_the_effective_rate_matters_finds_nothing():
    cells = lattice()
    rng = np.random.default_rng(1)
    rate = np.log10(cells[:, 0] / (1 - cells[:, 1]))
    scores = 0.9 + 0.02 * rate[:, None] + 0.001 * rng.standard_normal((49, 20))
    ridge = compare(scores, cells, 24, margin=0.001).ridge
    assert ridge.matters is False
    assert ridge.prescribed.slope.low < 0 < ridge.prescribed.slope.high


def test_ridge_when_three_cells_multiplies_the_smallest_p_value_by_their_pairs():
    from scipy import stats

    cells = lattice(1)[[0, 4, 8]]
    scores = 0.9 + 0.01 * np.random.default_rng(6).standard_normal((3, 8))
    pairs = [stats.ttest_rel(scores[i], scores[j]).pvalue for i, j in ((0, 1), (0, 2), (1, 2))]
    assert compare(scores, cells, 1, margin=0.001).ridge.p_value == pytest.approx(min(1, 3 * min(pairs)))


def test_ridge_when_cells_diverged_leaves_them_out_and_takes_references_in():
    cells = np.vstack([lattice(), [(golden.EFFECTIVE_LEARNING_RATE, 0.0)]])
    scores = 0.9 + 0.001 * np.random.default_rng(1).standard_normal((50, 10))
    lost = np.zeros(scores.shape, dtype=bool)
    lost[0, 3] = True
    ridge = compare(scores, cells, 24, margin=0.001, diverged=lost, references={"same": 49}).ridge
    assert ridge.prescribed.left_out == (0,)
    assert 49 in ridge.prescribed.cells


def test_surface_when_the_landscape_is_a_quadratic_finds_its_top():
    cells = lattice()
    x, y = np.log10(cells[:, 0] / golden.LEARNING_RATE), np.log10((1 - cells[:, 1]) / (1 - golden.MOMENTUM))
    mean = 0.98 - 0.01 * (x - 0.2) ** 2 - 0.02 * (y + 0.1) ** 2
    noise = 1e-6 * np.random.default_rng(0).standard_normal((49, 10))
    surface = compare(mean[:, None] + noise, cells, 24, margin=0.001).surface
    assert surface.shape == "peak"
    assert not surface.on_edge
    assert surface.r_squared == pytest.approx(1, abs=1e-4)
    assert surface.learning_rate == pytest.approx(golden.LEARNING_RATE * 10**0.2, rel=1e-2)
    assert surface.distance_decades.estimate == pytest.approx(math.hypot(0.2, 0.1), abs=1e-3)
    assert surface.along_effective_rate_decades.estimate == pytest.approx(0.3, abs=1e-3)
    assert surface.distance_decades.low <= surface.distance_decades.estimate <= surface.distance_decades.high


def test_surface_when_cells_diverged_leaves_them_out_of_the_fit():
    scores = 0.9 + 0.001 * np.random.default_rng(1).standard_normal((49, 10))
    lost = np.zeros(scores.shape, dtype=bool)
    lost[:5, 0] = True
    assert compare(scores, lattice(), 24, margin=0.001, diverged=lost).surface.cells == 44


def test_highest_when_the_surface_is_a_saddle_agrees_with_a_fine_grid():
    rng = np.random.default_rng(4)
    box = Box((-1.0, -0.5), (0.7, 0.9))
    coefficients = rng.standard_normal((50, 6))
    x, y = np.meshgrid(np.linspace(-1, 0.7, 201), np.linspace(-0.5, 0.9, 201))
    brute = (design(np.column_stack([x.ravel(), y.ravel()])) @ coefficients.T).max(axis=0)
    points, heights = highest(coefficients, box)
    assert (heights >= brute - 1e-12).all()
    assert heights == pytest.approx(brute, abs=1e-3)
    assert ((points >= box.low) & (points <= box.high)).all()


def test_expected_best_when_two_draws_of_a_die():
    assert expected_best(np.arange(1.0, 7.0), 2) == pytest.approx(161 / 36)
    assert expected_best(np.arange(1.0, 7.0), 1) == pytest.approx(3.5)


def test_equivalent_draws_when_the_derived_point_moves_from_the_top():
    box = Box((-0.6, -0.6), (0.6, 0.6))
    bowl = np.array([0.98, 0, 0, -0.01, 0, -0.01])
    centre = np.array([-2.0, -1.0])
    draws = [equivalent_draws(bowl, centre, box, np.array([away, 0.0]), floor=0.1) for away in (0.0, 0.2, 0.5, 3)]
    assert draws[0] is None  # the very top is never reached in expectation
    assert draws[1] > draws[2] > 1
    assert draws[3] == 1


def test_bimodal_when_two_groups_or_one():
    rng = np.random.default_rng(0)
    one = 0.98 + 0.003 * rng.standard_normal(40)
    two = np.where(np.arange(40) < 15, 0.9, 0.0) + one
    assert is_bimodal(two, 0.001)
    assert not is_bimodal(one, 0.001)
    assert not is_bimodal(np.repeat([0.999, 1.0], 20), 0.001)  # one image apart is rounding
    straggler = one.copy()
    straggler[0] = 0.1
    assert not is_bimodal(straggler, 0.001)


def test_warnings_when_flat_and_at_the_ceiling():
    rng = np.random.default_rng(0)
    scores = np.minimum(1, 0.995 + 0.001 * rng.standard_normal((49, 6)))
    found = codes(compare(scores, lattice(), 24, margin=0.001, n_test=1000))
    assert {"ceiling", "resolution", "set-too-large"} <= found
    assert "ceiling" not in codes(compare(scores - 1, lattice(), 24, margin=0.001))  # not an accuracy


def test_warnings_when_the_best_is_on_the_edge_or_in_the_middle():
    rng = np.random.default_rng(0)
    x = np.log10(lattice()[:, 0] / golden.LEARNING_RATE)
    noise = 1e-4 * rng.standard_normal((49, 6))
    climbing = 0.9 + 0.1 * x[:, None] + noise
    y = np.log10((1 - lattice()[:, 1]) / (1 - golden.MOMENTUM))
    peak = 0.9 - 0.1 * (x**2 + y**2)[:, None] + noise
    assert "edge" in codes(compare(climbing, lattice(), 24, margin=0.001))
    assert "edge" not in codes(compare(peak, lattice(), 24, margin=0.001))
    fine = lattice(factor=1.2)
    assert "resolution" not in codes(compare(peak, fine, 24, margin=0.001))
    assert "bimodal" not in codes(compare(peak, lattice(), 24, margin=0.001))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"scores": [[0.9, np.nan], [0.9, 0.9]]}, "scores must be finite.*cell 0, replicate 1"),
        ({"scores": [[0.9, 0.9], [0.9, np.inf]]}, "scores must be finite.*cell 1, replicate 1"),
        ({"scores": np.empty((2, 0))}, "at least one of each"),
        ({"scores": [0.9, 0.9]}, "scores must have 2 axes"),
        ({"cells": [(0.1, 0.9)]}, "cells must be"),
        ({"cells": [(0.1, 0.9), (0.0, 0.9)]}, "learning rate must be finite and > 0: cell 1 has 0.0"),
        ({"cells": [(0.1, 1.0), (0.1, 0.9)]}, r"momentum must be in \[0, 1\): cell 0 has 1.0"),
        ({"derived": 2}, r"derived must be a row in 0..1, got 2"),
        ({"derived": -1}, r"derived must be a row in 0..1, got -1"),
        ({"margin": math.nan}, "margin must be finite"),
        ({"margin": -0.1}, "margin must be finite and at least 0"),
        ({"confidence": 1.0}, r"confidence must be in \[0.5, 1\), got 1.0"),
        ({"folds": [0]}, "folds must be"),
        ({"diverged": [[True, False]]}, "diverged must be"),
        ({"observed": [True, False]}, "observed must be"),
        ({"grid": [True]}, "grid must be"),
        ({"references": {"x": 5}}, "reference 'x' must be a row"),
        ({"n_test": 0}, "n_test must be at least 1 image, got 0"),
    ],
)
def test_compare_when_a_rule_is_broken_names_it(change, rule):
    arguments = {
        "scores": [[0.9, 0.8], [0.9, 0.9]],
        "cells": [(0.1, 0.9), (0.2, 0.9)],
        "derived": 0,
        "margin": 0.001,
        **change,
    }
    positional = [arguments.pop(name) for name in ("scores", "cells", "derived")]
    with pytest.raises(ValueError, match=rule):
        compare(*positional, **arguments)


def test_json_when_anything_is_infinite_has_null_and_the_documented_shape():
    plain = compare([[0.9], [0.91]], THREE[:2], 0, margin=0.001, references={"twin": 1}).to_json()
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text) == plain
    assert plain["regret"]["high"] is None
    assert {
        "verdict", "sentence", "margin", "confidence", "n", "regret", "replicates_needed", "prescribed",
        "best", "references", "confidence_set", "ridge", "populations", "warnings", "method",
    } <= set(plain)  # fmt: skip
    assert {"cell", "learning_rate", "momentum", "mean", "std", "n", "diverged", "rank", "percentile"} <= set(
        plain["prescribed"]
    )
    assert set(plain["references"][0]["difference"]) == {"estimate", "low", "high"}
    assert plain["references"][0]["label"] == "twin"


def test_compare_when_global_random_state_is_disturbed_is_the_same():
    scores = 0.9 + 0.001 * np.random.default_rng(1).standard_normal((49, 10))
    first = compare(scores, lattice(), 24, margin=0.001)
    np.random.seed(123)
    random.seed(123)
    before = np.random.get_state()[1].copy()
    assert compare(scores, lattice(), 24, margin=0.001) == first
    assert (np.random.get_state()[1] == before).all()
    assert compare(scores, lattice(), 24, margin=0.001, seed=1).surface != first.surface


def test_compare_when_called_leaves_its_arguments_alone():
    scores, cells = np.array([DERIVED, AHEAD, BEHIND]), THREE.copy()
    kept = scores.copy()
    compare(scores, cells, 0, margin=0.001)
    scores[0, 0] = 0.5
    assert (scores[1:] == kept[1:]).all()


def test_import_when_fresh_needs_neither_torch_nor_scipy():
    code = "import sys, studies.compare; sys.exit(any(m in sys.modules for m in ('torch', 'scipy', 'sklearn')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_compare_when_131_cells_by_100_replicates_takes_seconds_at_most():
    rng = np.random.default_rng(0)
    cells = np.column_stack([10 ** rng.uniform(-3, 0, 131), 1 - 10 ** rng.uniform(-2, 0, 131)])
    scores = 0.9 + 0.003 * rng.standard_normal((131, 100))
    start = time.perf_counter()
    compare(scores, cells, 60, margin=0.001, folds=np.arange(100) % 10, n_test=1000, n_train=9000)
    assert time.perf_counter() - start < 5
