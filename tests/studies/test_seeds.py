"""Random streams: named by what they are for, and by nothing else."""

import random

import numpy as np
import pytest
import torch

from studies.grid import cells
from studies.seeds import PURPOSES, stream
from studies.spec import StudySpec
from studies.training import training_config
from workers.reference import batch_order


def numbers(seed: int = 0, fold: int = 0, run: int = 0, purpose: str = "weights") -> tuple[int, ...]:
    return tuple(stream(seed, fold, run, purpose).integers(0, 2**63, 4).tolist())


def test_every_seed_fold_run_and_purpose_has_numbers_of_its_own() -> None:
    names = [(s, f, r, p) for s in (0, 1, 2**53 - 1) for f in range(4) for r in range(12) for p in PURPOSES]
    # Among them (1, 11) and (11, 1): a name whose parts run together would confuse them.
    names += [(1, 11, 1, "order"), (11, 1, 1, "order"), (1, 1, 11, "weights"), (111, 1, 1, "weights")]
    assert len({numbers(*name) for name in names}) == len(set(names))


def test_the_same_name_gives_the_same_numbers_again() -> None:
    assert numbers(3, 2, 1, "order") == numbers(3, 2, 1, "order")


def test_the_global_random_state_neither_matters_nor_moves() -> None:
    expected = numbers()
    np.random.seed(5)
    random.seed(5)
    torch.manual_seed(5)
    before = np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state().tolist()  # type: ignore[index,union-attr]
    assert numbers() == expected
    after = np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state().tolist()  # type: ignore[index,union-attr]
    assert before == after


def test_the_first_numbers_do_not_move() -> None:
    # Stored results stand on these.
    assert stream(0, 0, 0, "weights").random(3).tolist() == [
        0.1208217459323816,
        0.08397575863799112,
        0.5687779427657234,
    ]
    assert stream(0, 0, 0, "order").permutation(10).tolist() == [4, 5, 1, 0, 6, 8, 7, 9, 3, 2]
    assert stream(7, 3, 2, "order").permutation(10).tolist() == [9, 0, 2, 7, 1, 6, 5, 4, 8, 3]


def test_cells_of_a_study_share_their_numbers() -> None:
    spec = StudySpec.from_json({"dataset": "rotated-digits", "loss": "sse", "batch_size": 16})
    configs = [training_config(spec, cell, 2, 1) for cell in cells(spec)]
    orders = {batch_order(config, 100).tobytes() for config in configs}
    assert len(orders) == 1
    assert orders != {batch_order(training_config(spec, cells(spec)[0], 2, 0), 100).tobytes()}


@pytest.mark.parametrize("purpose", ["", "weight", "dropout"])
def test_an_unknown_purpose_is_refused(purpose: str) -> None:
    with pytest.raises(ValueError, match="purpose must be one of weights, order"):
        stream(0, 0, 0, purpose)
