"""Races: rounds, levels, and that what a race has dropped stays as it was."""

import math
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies import golden
from studies.calibration.races import observed_part
from studies.compare import compare, score_table
from studies.comparison.confidence_set import confidence_set, unbeaten
from studies.comparison.interval import competitor_limits, regret_interval
from studies.comparison.standing import standing
from studies.racing import MIN_COLUMNS, MOST_LOOKS, decide, look_confidence, round_confidence, rounds

MARGIN = 0.002
POWERS = 1.6 ** np.arange(-1, 2)
CELLS = np.array([(golden.LEARNING_RATE * a, 1 - (1 - golden.MOMENTUM) * b) for a in POWERS for b in POWERS])
quiet = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def noisy(count, replicates, seed, *, deviation=0.002, drop=0.0):
    """Scores `[C, R]` around 0.95 that fall by `drop` from row to row, with noise of their own and a common one."""
    rng = np.random.default_rng(seed)
    fall = drop * np.arange(count)[:, None]
    return 0.95 - fall + deviation * rng.standard_normal((count, replicates)) + 0.004 * rng.standard_normal(replicates)


@given(st.integers(1, 20), st.integers(1, 1000))
@quiet
def test_rounds_when_planned_grow_to_the_last_run_and_begin_large_enough(folds, runs):
    ends = rounds(folds, runs)
    assert ends[-1] == runs
    assert all(a < b for a, b in pairwise(ends))
    assert ends[0] * folds >= MIN_COLUMNS or ends == (runs,)
    assert (ends[0] - 1) * folds < MIN_COLUMNS or ends == (runs,)
    assert len(ends) <= 2 + math.log2(runs)
    assert all(b <= 2.6 * a or b - a == 1 for a, b in pairwise(ends))


def test_rounds_when_known():
    assert rounds(1, 100) == (5, 11, 22, 47, 100)
    assert rounds(10, 10) == (1, 2, 5, 10)
    assert rounds(1, 4) == (4,)
    assert rounds(10, 1) == (1,)


def test_levels_when_known():
    assert round_confidence(0.95, 1) == look_confidence(0.95, 1) == 0.95
    assert round_confidence(0.95, 4) == pytest.approx(0.9875)
    assert look_confidence(0.95, 3) == pytest.approx(0.9875)
    errors = [1 - look_confidence(0.95, look) for look in range(1, MOST_LOOKS + 1)]
    assert sum(errors) / 2 < 0.05  # each one-sided limit misses with half of its error
    assert look_confidence(0.95, MOST_LOOKS) < 1


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: rounds(0, 5), "folds_used must be at least 1, got 0"),
        (lambda: rounds(5, 0), "runs must be at least 1, got 0"),
        (lambda: round_confidence(0.95, 0), "n_rounds must be at least 1, got 0"),
        (lambda: round_confidence(1.0, 2), r"confidence must be in \[0.5, 1\), got 1.0"),
        (lambda: look_confidence(0.4, 2), r"confidence must be in \[0.5, 1\), got 0.4"),
        (lambda: look_confidence(0.95, 0), "looks must be from 1 to 20, got 0"),
        (lambda: look_confidence(0.95, 21), "looks must be from 1 to 20, got 21"),
    ],
)
def test_plan_when_a_rule_is_broken_names_it(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()


@given(
    seed=st.integers(0, 2**32 - 1),
    folds=st.sampled_from([1, 2, 5, 10]),
    n_test=st.sampled_from([None, 200, 1000]),
    spread=st.sampled_from([0.0, 0.002, 0.01]),
    diverging=st.booleans(),
)
@quiet
def test_limits_when_a_cell_is_dropped_stay_as_they_were(seed, folds, n_test, spread, diverging):
    rng = np.random.default_rng(seed)
    ends = rounds(folds, 40 // folds)
    columns = ends[-1] * folds
    scores = noisy(9, columns, seed, deviation=0.003) - spread * rng.exponential(1, (9, 1))
    if n_test:
        scores = np.round(scores * n_test) / n_test
    lost = rng.random(scores.shape) < rng.choice([0, 0.2, 1], (9, 1), p=[0.6, 0.2, 0.2]) * diverging
    lost[4] = False
    scores[lost] = 0.1
    full = score_table(scores, CELLS, 4, folds=np.arange(columns) % folds, diverged=lost, n_test=n_test)
    level = round_confidence(0.95, len(ends))
    seen, live, frozen = np.zeros(scores.shape, dtype=bool), np.ones(9, dtype=bool), {}
    begin = 0
    for end in ends:
        seen[live, begin : end * folds] = True
        begin = end * folds
        table = observed_part(full, seen, begin)
        limits = competitor_limits(table, level)
        decision = decide(table, MARGIN, 0.95, len(ends))
        assert 4 not in decision.dropped
        assert set(frozen) <= set(decision.dropped)
        for row in set(decision.dropped) - set(frozen):
            frozen[row] = limits.low[row], limits.high[row], limits.difference[row]
            live[row] = False
    for row, was in frozen.items():
        assert (limits.low[row], limits.high[row], limits.difference[row]) == pytest.approx(was, abs=1e-12)
        if seen[row].sum() < columns:
            assert not unbeaten(table, level)[row]
            assert standing(table).best != row
    lows = [frozen[row][0] if row in frozen else limits.low[row] for row in range(9)]
    highs = [frozen[row][1] if row in frozen else limits.high[row] for row in range(9)]
    interval = regret_interval(limits)
    assert interval.low == pytest.approx(max(0, *lows), abs=1e-12)
    assert interval.high == pytest.approx(max(interval.estimate, *highs), abs=1e-12)
    assert confidence_set(table, standing(table), level).cells


def test_decision_when_compared_is_that_of_the_comparison_at_the_rounds_level():
    for seed, drop in [(0, 0.0), (1, 0.002), (2, 0.01)]:
        scores = noisy(9, 30, seed, drop=drop)
        for derived in (0, 4):
            decision = decide(score_table(scores, CELLS, derived, n_test=1000), MARGIN, 0.95, 4)
            whole = compare(scores, CELLS, derived, margin=MARGIN, n_test=1000, confidence=round_confidence(0.95, 4))
            assert decision.verdict == whole.verdict
            assert not set(decision.dropped) & set(whole.confidence_set.cells)
            assert derived not in decision.dropped
    assert decision.dropped == (5, 6, 7, 8)  # the prescribed row 4 is 0.04 behind, but these can hide nothing
    assert decision.verdict == "inferior"


def test_decision_when_rounds_share_the_error_needs_more_evidence():
    table = score_table(noisy(9, 8, 3, drop=0.0008), CELLS, 0)
    assert set(decide(table, MARGIN, 0.95, 8).dropped) < set(decide(table, MARGIN, 0.95, 1).dropped)


def test_decision_when_a_limit_would_stand_in_the_way_keeps_the_cell():
    # Row 2 is beaten by row 1 for certain. Against the noisy prescribed row its upper limit is above a small margin and
    # below a large one: dropped, it would hold the interval above the small margin for ever.
    rng = np.random.default_rng(1)
    noise = 0.0005 * rng.standard_normal((3, 10))
    noise[0] = 0.01 * rng.standard_normal(10)
    table = score_table(0.95 + np.array([[0.0], [0.0], [-0.003]]) + noise, CELLS[:3], 0)
    high = competitor_limits(table, round_confidence(0.95, 3)).high[2]
    assert not unbeaten(table, round_confidence(0.95, 3))[2]
    assert decide(table, high * 0.99, 0.95, 3).dropped == ()
    assert decide(table, high * 1.01, 0.95, 3).dropped == (2,)


def test_decision_when_a_cell_was_dropped_before_never_takes_it_back():
    # Rows 1 and 2 are alike, but row 2 ended after the first five replicates.
    scores = noisy(3, 20, 4, deviation=0.001)
    seen = np.ones(scores.shape, dtype=bool)
    seen[2, 5:] = False
    table = score_table(scores, CELLS[:3], 0, observed=seen)
    assert unbeaten(table, 0.99)[2]
    assert 2 in decide(table, 0.0001, 0.95, 4).dropped


def test_import_when_fresh_needs_neither_torch_nor_scipy():
    code = "import sys, studies.racing; sys.exit(any(m in sys.modules for m in ('torch', 'scipy', 'sklearn')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
