"""What must not change the answer, and what must always hold."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.compare import compare

MARGIN = 0.004
seeds = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(2, 9), st.integers(2, 12))
quiet = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def study(seed, size, *, folds=False, diverging=False):
    rng = np.random.default_rng(seed)
    count, replicates = size
    cells = np.column_stack([10 ** rng.uniform(-3, 0, count), 1 - 10 ** rng.uniform(-2, 0, count)])
    scores = 0.9 + 0.005 * rng.standard_normal((count, 1)) + 0.004 * rng.standard_normal((count, replicates))
    options = {"margin": MARGIN}
    if folds:
        options["folds"] = rng.integers(0, 3, replicates)
    if diverging:
        options["diverged"] = rng.random(scores.shape) < rng.choice([0, 0.3, 1], (count, 1), p=[0.6, 0.3, 0.1])
        scores = np.where(options["diverged"], 0.1, scores)
    return scores, cells, options


def limits(comparison):
    regret = comparison.regret
    return [regret.estimate, regret.low, regret.high]


@quiet
@given(seeds, sizes, st.booleans(), st.booleans())
def test_answer_when_anything_is_ordered_and_finite_in_json(seed, size, folds, diverging):
    scores, cells, options = study(seed, size, folds=folds, diverging=diverging)
    comparison = compare(scores, cells, 0, **options)
    regret, members = comparison.regret, comparison.confidence_set
    assert 0 <= regret.low <= regret.estimate <= regret.high
    assert 0 <= members.share <= 1
    assert int(scores.mean(axis=1).argmax()) in members.cells
    assert (comparison.verdict == "equivalent") == (regret.high < MARGIN)
    assert (comparison.verdict == "inferior") == (regret.low > MARGIN)
    if comparison.verdict == "inferior":
        assert 0 not in members.cells
    new_data = comparison.populations.new_data
    assert new_data is None or 0 <= new_data.low <= new_data.estimate <= new_data.high
    json.dumps(comparison.to_json(), allow_nan=False)


@quiet
@given(seeds, sizes, st.booleans())
def test_answer_when_replicates_are_permuted_is_the_same(seed, size, diverging):
    scores, cells, options = study(seed, size, folds=True, diverging=diverging)
    order = np.random.default_rng(seed + 1).permutation(size[1])
    moved = options | {
        name: options[name][..., order] for name in ("folds", "diverged") if options.get(name) is not None
    }
    first, second = compare(scores, cells, 0, **options), compare(scores[:, order], cells, 0, **moved)
    assert limits(second) == pytest.approx(limits(first), abs=1e-12)
    assert second.verdict == first.verdict
    assert second.confidence_set == first.confidence_set
    assert second.prescribed.rank == first.prescribed.rank
    assert second.divergence == first.divergence


@quiet
@given(seeds, sizes, st.booleans())
def test_answer_when_cells_are_permuted_moves_with_them(seed, size, diverging):
    scores, cells, options = study(seed, size, diverging=diverging)
    order = np.random.default_rng(seed + 1).permutation(size[0])
    moved = options | ({"diverged": options["diverged"][order]} if diverging else {})
    first = compare(scores, cells, 0, **options)
    second = compare(scores[order], cells[order], int(np.flatnonzero(order == 0)[0]), **moved)
    assert limits(second) == pytest.approx(limits(first), abs=1e-15)
    assert second.regret.cross_fitted == pytest.approx(first.regret.cross_fitted, abs=1e-15)
    assert sorted(order[list(second.confidence_set.cells)]) == list(first.confidence_set.cells)
    assert second.confidence_set.share == pytest.approx(first.confidence_set.share)
    assert second.prescribed.percentile == first.prescribed.percentile


@quiet
@given(seeds, sizes, st.floats(-3, 3))
def test_answer_when_a_constant_is_added_is_the_same(seed, size, constant):
    scores, cells, options = study(seed, size)
    first, second = (compare(s, cells, 0, **options) for s in (scores, scores + constant))
    assert limits(second) == pytest.approx(limits(first), abs=1e-12)
    assert second.confidence_set == first.confidence_set
    assert second.verdict == first.verdict
    assert second.replicates_needed == first.replicates_needed


@quiet
@given(seeds, sizes, st.sampled_from([0.25, 2.0, 64.0]))
def test_answer_when_scores_and_margin_are_scaled_scales(seed, size, factor):
    scores, cells, options = study(seed, size, folds=True)
    first = compare(scores, cells, 0, **options)
    second = compare(scores * factor, cells, 0, **(options | {"margin": MARGIN * factor}))
    assert limits(second) == pytest.approx(np.multiply(limits(first), factor))
    assert second.verdict == first.verdict
    assert second.confidence_set == first.confidence_set
    assert second.replicates_needed == first.replicates_needed
    assert second.ridge.p_value == first.ridge.p_value


@quiet
@given(seeds, sizes)
def test_interval_when_confidence_grows_is_wider(seed, size):
    scores, cells, options = study(seed, size)
    narrow = compare(scores, cells, 0, **options, confidence=0.8)
    wide = compare(scores, cells, 0, **options, confidence=0.99)
    assert wide.regret.low <= narrow.regret.low
    assert wide.regret.high >= narrow.regret.high
    assert set(wide.confidence_set.cells) >= set(narrow.confidence_set.cells)


@quiet
@given(seeds, sizes)
def test_interval_when_a_hopeless_cell_joins_keeps_its_upper_limit(seed, size):
    scores, cells, options = study(seed, size)
    joined = compare(np.vstack([scores, scores[:1] - 0.5]), np.vstack([cells, [(1.0, 0.5)]]), 0, **options).regret
    alone = compare(scores, cells, 0, **options).regret
    assert joined.high == pytest.approx(alone.high, abs=1e-15)
    assert joined.estimate == pytest.approx(alone.estimate, abs=1e-15)
    assert joined.low <= alone.low + 1e-15
