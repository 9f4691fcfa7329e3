"""Input too small, too flat or too broken for statistics gets a stated answer."""

import json

import numpy as np
import pytest

from studies import golden
from studies.compare import compare

POWERS = 1.6 ** np.arange(-1, 2)
CELLS = np.array([(golden.LEARNING_RATE * a, 1 - (1 - golden.MOMENTUM) * b) for a in POWERS for b in POWERS])


def answer(scores, **options):
    comparison = compare(scores, CELLS[: len(scores)], 0, **{"margin": 0.005, "n_test": 1000, **options})
    json.dumps(comparison.to_json(), allow_nan=False)
    assert comparison.sentence
    assert comparison.confidence_set.cells
    return comparison, {warning.code for warning in comparison.warnings}


@pytest.mark.parametrize("cells", [1, 2, 9])
@pytest.mark.parametrize("replicates", [1, 2, 3, 10])
@pytest.mark.parametrize("kind", ["noise", "constant", "all diverged", "derived diverged", "others diverged"])
@pytest.mark.parametrize("folds", [False, True])
def test_answer_when_degenerate_is_stated(cells, replicates, kind, folds):
    scores = 0.9 + 0.01 * np.random.default_rng(0).standard_normal((cells, replicates))
    lost = np.zeros(scores.shape, dtype=bool)
    if kind == "constant":
        scores[:] = 0.9
    if kind == "all diverged":
        lost[:] = True
    if kind == "derived diverged":
        lost[0] = True
    if kind == "others diverged":
        lost[1:] = True
    scores[lost] = 0.1
    columns = np.arange(replicates) % 3 if folds else None
    comparison, found = answer(scores, diverged=lost, folds=columns)
    if cells == 1 or replicates == 1:
        assert comparison.verdict == "undecided"
        assert comparison.regret.high == np.inf
    if kind == "all diverged":
        assert comparison.verdict == "undecided"
        assert comparison.regret.high == np.inf
    if kind == "derived diverged":
        assert comparison.verdict != "equivalent"
    if replicates < 5:
        assert "few-replicates" in found
    if cells == 1:
        assert "no-competitor" in found


def test_answer_when_all_others_diverged_is_equivalent_only_with_three_replicates():
    scores = np.full((4, 3), 0.1)
    scores[0] = [0.9, 0.91, 0.92]
    lost = scores < 0.5
    assert answer(scores, diverged=lost)[0].verdict == "equivalent"
    assert answer(scores[:, :2], diverged=lost[:, :2])[0].verdict == "undecided"


def test_answer_when_all_diverge_alike_is_not_equivalent():
    scores = np.full((4, 10), 0.1)
    scores[:, 0] = 0.9  # one training of each finished, too few to speak for
    assert answer(scores, diverged=scores < 0.5)[0].verdict == "undecided"


def test_answer_when_one_cell_was_never_observed_keeps_it_in_the_set():
    scores = 0.9 + 0.001 * np.random.default_rng(0).standard_normal((9, 10))
    seen = np.ones(scores.shape, dtype=bool)
    seen[5] = False
    comparison, found = answer(scores, observed=seen)
    assert 5 in comparison.confidence_set.cells
    assert comparison.verdict == "undecided"
    assert comparison.regret.high == np.inf
    assert "gaps" in found


def test_answer_when_the_prescribed_point_was_never_observed_is_undecided():
    scores = 0.9 + 0.001 * np.random.default_rng(0).standard_normal((9, 10))
    seen = np.ones(scores.shape, dtype=bool)
    seen[0] = False
    comparison, _ = answer(scores, observed=seen)
    assert comparison.verdict == "undecided"
    assert comparison.prescribed.mean is None
    assert comparison.regret.cross_fitted is None


def test_answer_when_nothing_was_observed_is_undecided():
    comparison, _ = answer(np.full((9, 4), np.nan), observed=np.zeros((9, 4), dtype=bool))
    assert comparison.verdict == "undecided"
    assert comparison.best.cell == 0


def test_answer_when_no_row_is_grid_has_no_share():
    scores = 0.9 + 0.001 * np.random.default_rng(0).standard_normal((9, 10))
    comparison, _ = answer(scores, grid=np.zeros(9, dtype=bool))
    assert comparison.confidence_set.share == 0
    assert comparison.prescribed.percentile is None
    assert comparison.surface is None


def test_answer_when_cells_coincide_is_stated():
    scores = 0.9 + 0.001 * np.random.default_rng(0).standard_normal((9, 10))
    comparison = compare(scores, np.tile([[0.01, 0.9]], (9, 1)), 0, margin=0.001)
    assert comparison.confidence_set.share == pytest.approx(len(comparison.confidence_set.cells) / 9)
    assert comparison.surface is None
