"""One training as data."""

import json
from dataclasses import FrozenInstanceError, fields

import pytest

from studies.grid import cells
from studies.spec import StudySpec
from studies.training import TrainingConfig, training_config

SPEC = StudySpec.from_json(
    {
        "dataset": "rotated-digits",
        "loss": "energy",
        "epochs": 7,
        "batch_size": 32,
        "weight_decay": 0.25,
        "bn_statistics": "moving",
        "seed": 11,
    }
)


def test_a_replicates_training_takes_everything_from_its_study_and_cell() -> None:
    cell = cells(SPEC)[5]
    assert training_config(SPEC, cell, 3, 2) == TrainingConfig(
        cell=5,
        fold=3,
        run=2,
        learning_rate=cell.learning_rate,
        momentum=cell.momentum,
        weight_decay=0.25,
        model="paper-cnn",
        loss="energy",
        epochs=7,
        batch_size=32,
        bn_statistics="moving",
        seed=11,
        precision="fp32",
    )


def test_json_brings_every_bit_back() -> None:
    for cell in cells(SPEC):
        config = training_config(SPEC, cell, 0, 1)
        again = TrainingConfig.from_json(json.loads(json.dumps(config.to_json())))
        assert again == config
        assert again.learning_rate.hex() == config.learning_rate.hex()
        assert again.key == (cell.index, 0, 1)


def test_json_lists_every_field() -> None:
    assert set(training_config(SPEC, cells(SPEC)[0], 0, 0).to_json()) == {
        field.name for field in fields(TrainingConfig)
    }


def test_a_document_with_another_field_is_refused() -> None:
    document = training_config(SPEC, cells(SPEC)[0], 0, 0).to_json()
    with pytest.raises(TypeError, match="nesterov"):
        TrainingConfig.from_json(document | {"nesterov": True})


def test_a_training_is_frozen() -> None:
    config = training_config(SPEC, cells(SPEC)[0], 0, 0)
    with pytest.raises(FrozenInstanceError):
        config.epochs = 1  # type: ignore[misc]
