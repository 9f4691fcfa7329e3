"""Cells that were observed in fewer replicates than others, as a race leaves them; and full tables, as a standard."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies import golden
from studies.compare import compare, regret, score_table
from studies.comparison.candidates import candidates
from studies.comparison.confidence_set import confidence_set, unbeaten
from studies.comparison.cross_fit import cross_fitted_regret
from studies.comparison.planning import fitted_landscape
from studies.comparison.standing import standing
from studies.statistics import paired_moments, student_quantile


def lattice(steps):
    powers = 1.6 ** np.arange(-steps, steps + 1)
    return np.array([(golden.LEARNING_RATE * a, 1 - (1 - golden.MOMENTUM) * b) for a in powers for b in powers])


def ended(shape, **columns):
    """Observed everywhere but in `row_N=M`: row N ended after M replicates."""
    seen = np.ones(shape, dtype=bool)
    for row, last in columns.items():
        seen[int(row.removeprefix("row_")), last:] = False
    return seen


THREE = np.array([(0.01, 0.9), (0.016, 0.9), (0.0256, 0.9)])
# The first two replicates are 0.04 better for every cell. Row 2 is 0.01 behind row 1 in them, and ended there.
COMMON = np.array([0.98, 0.98, 0.94, 0.94, 0.94, 0.94])
EARLY = COMMON + np.array([[0.0] * 6, [0.03, 0.03, 0.0, 0.0, 0.0, 0.0], [0.015, 0.025, 0.0, 0.0, 0.0, 0.0]])
SEEN = ended(EARLY.shape, row_2=2)


def test_means_when_replicates_differ_are_paired_with_the_prescribed_point():
    scores = np.array([COMMON, COMMON + 0.001, COMMON - 0.005])
    place = standing(score_table(scores, THREE, 0, observed=SEEN))
    assert place.means == pytest.approx(COMMON.mean() + np.array([0, 0.001, -0.005]))
    assert place.best == 1
    answer = compare(scores, THREE, 0, margin=0.002, observed=SEEN, references={"ended": 2}, grid=[True] * 3)
    assert answer.references[0].rank == 3  # its raw mean, of the two good replicates, is the highest
    assert answer.references[0].mean == pytest.approx(0.975)
    assert answer.references[0].difference.estimate == pytest.approx(-0.005)
    assert (answer.best.cell, answer.best.rank, answer.prescribed.rank) == (1, 1, 2)


def test_best_when_a_cell_ended_on_lucky_replicates_is_not_that_cell():
    # Row 1 leads by 0.01 on average, row 2 by 0.02 in the replicates it has, in which row 1 was ahead of it.
    table = score_table(EARLY, THREE, 0, observed=SEEN)
    assert list(candidates(table)) == [True, True, False]
    place = standing(table)
    assert place.best == 1
    assert place.means[2] == place.means[1]
    answer = compare(EARLY, THREE, 0, margin=0.002, observed=SEEN)
    assert answer.regret.estimate == pytest.approx(0.01)
    assert answer.regret.estimate == pytest.approx(answer.best.difference.estimate)
    assert answer.prescribed.rank == 3


def test_best_when_a_cell_that_ended_was_ahead_of_those_that_went_on_is_that_cell():
    scores = EARLY.copy()
    scores[2, :2] += 0.02
    table = score_table(scores, THREE, 0, observed=SEEN)
    assert candidates(table).all()
    assert standing(table).best == 2


def test_cross_fitted_when_a_cell_ended_does_not_select_it():
    table = score_table(EARLY, THREE, 0, observed=SEEN)
    without = score_table(EARLY[:2], THREE[:2], 0)
    assert cross_fitted_regret(table) == cross_fitted_regret(without) == pytest.approx(0.01)


def test_cross_fitted_when_cells_have_fewer_replicates_counts_divergence_on_shared_ones():
    scores = np.full((2, 8), 0.5) + np.array([[0.0], [0.4]])
    lost = np.zeros((2, 8), dtype=bool)
    lost[0, 6], lost[1, 0] = True, True  # once each, but where both were observed only the competitor diverged
    scores[lost] = 0.1
    seen = ended((2, 8), row_1=4)
    assert cross_fitted_regret(score_table(scores, THREE[:2], 0, diverged=lost, observed=seen)) == 0
    lost[0, 2], scores[0, 2] = True, 0.1
    assert cross_fitted_regret(score_table(scores, THREE[:2], 0, diverged=lost, observed=seen)) != 0
    lost[0], scores[0] = False, 0.5
    seen[0, 0] = False  # where the competitor diverged, the prescribed point was not observed
    table = score_table(scores, THREE[:2], 0, diverged=lost, observed=seen)
    assert cross_fitted_regret(table) == pytest.approx(0.4)


def test_surface_when_cells_ended_early_is_that_of_the_full_table():
    # Without noise of their own, cells differ from one another by the same in every replicate.
    cells = lattice(2)
    x, y = np.log10(cells[:, 0] / golden.LEARNING_RATE), np.log10((1 - cells[:, 1]) / (1 - golden.MOMENTUM))
    mean = 0.95 - 0.02 * (x - 0.1) ** 2 - 0.03 * (y + 0.1) ** 2
    rng = np.random.default_rng(0)
    scores = mean[:, None] + 0.01 * rng.standard_normal(20) + 1e-7 * rng.standard_normal((25, 20))
    seen = np.ones(scores.shape, dtype=bool)
    seen[mean < np.median(mean), 5:] = False
    full = compare(scores, cells, 12, margin=0.002).surface
    raced = compare(scores, cells, 12, margin=0.002, observed=seen).surface
    assert raced.coefficients == pytest.approx(full.coefficients, abs=1e-5)
    for name in ("log10_learning_rate", "distance_decades"):
        mine, its = getattr(raced, name), getattr(full, name)
        assert (mine.low, mine.estimate, mine.high) == pytest.approx((its.low, its.estimate, its.high), abs=1e-4)
    assert raced.draws == pytest.approx(full.draws, rel=1e-3)


def test_plan_when_noisy_cells_ended_ranks_them_behind_those_that_went_on():
    rng = np.random.default_rng(3)
    scores = 0.9 + 0.001 * rng.standard_normal((30, 40))
    scores[10:] += np.where(np.arange(40) % 2, -0.11, 0.05)  # far ahead in one half, and behind on average
    seen = np.ones(scores.shape, dtype=bool)
    seen[10:, 6:] = False
    landscape = fitted_landscape(score_table(scores, lattice(3)[:30], 0, observed=seen))
    assert landscape.means[:9] == pytest.approx(np.zeros(9), abs=0.001)
    assert landscape.means[9:].max() < -0.005


def test_set_when_every_cell_is_beaten_by_another_has_the_best():
    # Each pair was observed together elsewhere: 1 beats 0, 2 beats 1, 0 beats 2.
    noise = 1e-5 * np.random.default_rng(0).standard_normal((3, 12))
    scores = 0.9 + noise
    seen = np.zeros(scores.shape, dtype=bool)
    for loser, winner, columns in ((0, 1, slice(0, 4)), (1, 2, slice(4, 8)), (2, 0, slice(8, 12))):
        seen[[loser, winner], columns] = True
        scores[winner, columns] += 0.01
    table = score_table(scores, THREE, 0, observed=seen)
    assert not unbeaten(table, 0.95).any()
    place = standing(table)
    assert confidence_set(table, place, 0.95).cells == (place.best,)


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 12), st.integers(1, 16)),
    folds=st.integers(1, 4),
    gaps=st.booleans(),
    deviation=st.sampled_from([0.0, 1e-17, 1e-9, 0.004]),
    factor=st.sampled_from([1e-6, 1.0, 1e6]),
    n_test=st.sampled_from([None, 1000]),
)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_unbeaten_when_screened_is_what_each_pair_says(seed, size, folds, gaps, deviation, factor, n_test):
    rng = np.random.default_rng(seed)
    scores = 0.9 + 0.004 * rng.standard_normal((size[0], 1)) + deviation * rng.standard_normal(size)
    seen = rng.random(size) < 0.8 if gaps else None
    codes, cells = rng.integers(0, folds, size[1]), np.column_stack([np.full(size[0], 0.1), np.zeros(size[0])])
    table = score_table(scores * factor, cells, 0, folds=codes, observed=seen, n_test=n_test)
    expected = np.ones(size[0], dtype=bool)
    for row in range(size[0]):
        values, both = table.differences(row)
        moments = paired_moments(values, both, table.folds)
        spread = moments.standard_error(table.score_floor, table.scale)
        bar = student_quantile(1 - 0.05 / max(size[0] - 1, 1), moments.df) * spread
        expected[row] = not (moments.mean > bar).any()
    assert (unbeaten(table, 0.95) == expected).all()


def test_unbeaten_when_screening_cannot_tell_is_what_the_pair_says():
    # Rows 0 and 1 differ by 1e-10 in every replicate, which the matrix products cannot see beside the common noise.
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.standard_normal((4, 10))
    noise[1] = noise[0] + 1e-10
    noise[2:] -= 0.01
    assert list(unbeaten(score_table(0.9 + noise, lattice(1)[:4], 0), 0.95)[:2]) == [False, True]


def test_words_when_rounds_share_the_error_state_both_levels():
    alone = compare(EARLY, THREE, 0, margin=0.002, observed=SEEN, confidence=0.99)
    shared = compare(EARLY, THREE, 0, margin=0.002, observed=SEEN, confidence=0.99, claimed=0.95)
    assert shared.regret == alone.regret
    assert (shared.confidence, shared.level) == (0.95, 0.99)
    assert (alone.confidence, alone.level) == (0.99, 0.99)
    assert "95 % interval" in shared.sentence
    assert "up to 6 paired replicates" in shared.sentence
    assert "99 % at each round and look" in shared.method
    assert "at each round" not in alone.method
    assert ["has to be shared" in warning.text for warning in shared.warnings if warning.code == "gaps"] == [False]
    assert ["has to be shared" in warning.text for warning in alone.warnings if warning.code == "gaps"] == [True]
    with pytest.raises(ValueError, match=r"claimed must be in \[0.5, confidence\], got 0.995 for a confidence of 0.99"):
        compare(EARLY, THREE, 0, margin=0.002, confidence=0.99, claimed=0.995)


@pytest.mark.parametrize("observed", [None, SEEN])
def test_regret_when_alone_is_that_of_the_whole_comparison(observed):
    options = {"observed": observed, "confidence": 0.9, "references": {"other": 2}, "n_test": 1000}
    position = regret(EARLY, THREE, 0, **options)
    whole = compare(EARLY, THREE, 0, margin=0.002, **options)
    assert (position.regret, position.prescribed, position.best) == (whole.regret, whole.prescribed, whole.best)
    assert position.to_json()["best"] == whole.to_json()["best"]
    with pytest.raises(ValueError, match=r"confidence must be in \[0.5, 1\), got 1"):
        regret(EARLY, THREE, 0, confidence=1)


def test_answer_when_nothing_is_missing_is_the_one_on_record():
    """Numbers of the version before gaps were looked after: a full table must not notice that they are."""
    cells = np.vstack([lattice(1), [(0.01, 0.9)]])
    cell, replicate = np.arange(10)[:, None], np.arange(12)[None, :]
    wave = 0.006 * np.sin(7.3 * cell + 2.9 * replicate) + 0.01 * np.cos(1.7 * replicate)
    scores = np.round(0.95 - 0.001 * (cell - 3) ** 2 / 4 + wave, 3)
    lost = np.zeros(scores.shape, dtype=bool)
    lost[8, [2, 7]] = True
    scores[lost] = 0.1
    options = {"folds": np.arange(12) % 3, "diverged": lost, "references": {"matlab": 9}, "n_test": 1000}
    answer = compare(scores, cells, 4, margin=0.002, n_train=2000, **options)
    found = answer.regret
    record = (0.0007499999999999915, -0.0005833333333333338, 0.0, 0.0058893374158648535)
    assert (found.estimate, found.cross_fitted, found.low, found.high) == pytest.approx(record, abs=1e-14)
    assert answer.confidence_set.cells == (0, 1, 2, 3, 4, 5, 6, 8)
    assert answer.confidence_set.share == pytest.approx(8 / 9)
    assert answer.populations.new_data.high == pytest.approx(0.011945835736899724, abs=1e-14)
    assert (answer.best.cell, answer.best.rank, answer.prescribed.rank) == (2, 1, 3)
    assert answer.best.mean == pytest.approx(0.9509166666666666, abs=1e-14)
    difference = answer.references[0].difference
    record = (-0.011550967145739718, -0.008333333333333312, -0.005115699520926907)
    assert (difference.low, difference.estimate, difference.high) == pytest.approx(record, abs=1e-14)
    record = (0.5874335062534018, 0.5284922169692163, 0.006940362468355895)
    slope = answer.ridge.prescribed.slope.estimate
    assert (answer.ridge.p_value, answer.ridge.joint_p_value, slope) == pytest.approx(record, rel=1e-9)
    surface = answer.surface
    record = (0.9848072069085774, 0.010333881838209968, 0.2763268049771342, 0.06264541785125029)
    span = surface.distance_decades
    assert (surface.r_squared, surface.learning_rate, span.estimate, span.low) == pytest.approx(record, rel=1e-6)
    assert [warning.code for warning in answer.warnings] == ["edge", "resolution", "divergence", "set-too-large"]
