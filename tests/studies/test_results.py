"""Results, which check themselves at birth."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from studies.results import Curve, Outcome, TrainingResult

FINISHED = TrainingResult(
    cell=3,
    fold=1,
    run=2,
    outcome=Outcome.FINISHED,
    accuracy=0.75,
    brier=0.3,
    loss=1.25,
    train_loss=0.1 + 0.2,
    curve=Curve((0.5, 0.75), (2.0, 1.25), (1.0, 0.1 + 0.2)),
    correct=b"\xff\x00\x80",
    seconds=1.5,
    engine="reference",
    precision="fp32",
    device="cpu",
    numeric_class="reference-1",
)
NOTHING = Curve((None, None), (None, None), (None, None))
DIVERGED = replace(
    FINISHED, outcome=Outcome.DIVERGED, accuracy=0.1, brier=0.9, loss=None, train_loss=None, curve=NOTHING, correct=None
)
FAILED = replace(DIVERGED, outcome=Outcome.FAILED, accuracy=None, brier=None, reason="quarantined")


@pytest.mark.parametrize("result", [FINISHED, DIVERGED, FAILED], ids=lambda result: str(result.outcome))
def test_json_brings_every_bit_back(result: TrainingResult) -> None:
    text = json.dumps(result.to_json(), allow_nan=False)
    again = TrainingResult.from_json(json.loads(text))
    assert again == result
    assert again.outcome is result.outcome
    assert again.key == (3, 1, 2)


def test_json_names_the_outcome_as_the_interface_does() -> None:
    document = FINISHED.to_json()
    assert document["outcome"] == "finished"
    assert document["correct"] == "/wCA"
    assert document["curve"]["accuracy"] == [0.5, 0.75]


@pytest.mark.parametrize(
    ("result", "changes", "words"),
    [
        (FINISHED, {"accuracy": None}, "accuracy of a finished training must not be None"),
        (FINISHED, {"accuracy": 1.5}, "accuracy must be from 0 to 1, not 1.5"),
        (FINISHED, {"accuracy": -0.1}, "accuracy must be from 0 to 1"),
        (FINISHED, {"accuracy": math.nan}, "accuracy must be from 0 to 1, not nan"),
        (FINISHED, {"brier": 2.1}, "brier must be from 0 to 2, not 2.1"),
        (FINISHED, {"brier": math.nan}, "brier must be from 0 to 2, not nan"),
        (FINISHED, {"loss": math.inf}, "loss must be finite or None, not inf"),
        (FINISHED, {"train_loss": math.nan}, "train_loss must be finite or None, not nan"),
        (FINISHED, {"loss": None}, "loss of a finished training must not be None"),
        (FINISHED, {"correct": None}, "if, and only if, it finished"),
        (DIVERGED, {"accuracy": None}, "accuracy of a diverged training must not be None"),
        (DIVERGED, {"loss": 1.0}, "loss of a diverged training must not be 1.0"),
        (DIVERGED, {"train_loss": 1.0}, "train_loss of a diverged training must not be 1.0"),
        (DIVERGED, {"correct": b"\x01"}, "if, and only if, it finished"),
        (FAILED, {"reason": None}, "states its reason"),
        (FAILED, {"reason": ""}, "states its reason"),
        (FAILED, {"accuracy": 0.1}, "accuracy of a failed training must not be 0.1"),
    ],
)
def test_a_result_that_cannot_be_is_refused(result: TrainingResult, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(result, **changes)


def test_a_stored_result_is_checked_when_it_is_read() -> None:
    with pytest.raises(ValueError, match="accuracy must be from 0 to 1"):
        TrainingResult.from_json(FINISHED.to_json() | {"accuracy": 7})
    with pytest.raises(ValueError, match="'lost' is not a valid Outcome"):
        TrainingResult.from_json(FINISHED.to_json() | {"outcome": "lost"})
    with pytest.raises(ValueError, match=r"base64|padding"):
        TrainingResult.from_json(FINISHED.to_json() | {"correct": "?"})


def test_a_curve_has_one_value_per_epoch_in_each_column() -> None:
    with pytest.raises(ValueError, match=r"one value per epoch in each column, not \[1, 2\] values"):
        Curve((0.5, 0.6), (1.0,), (1.0, 1.0))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_curve_holds_no_number_that_json_cannot(bad: float) -> None:
    with pytest.raises(ValueError, match=r"curve.loss must be finite or None"):
        Curve((0.5,), (bad,), (1.0,))
