"""Presets, as they ship."""

import pytest

from studies.catalog import presets
from studies.grid import cells
from studies.spec import StudySpec


def test_the_presets_that_are_promised_are_there() -> None:
    assert {"demo", "golden-grid", "paper-protocol"} <= set(presets())


@pytest.mark.parametrize("name", presets())
def test_a_preset_has_a_title_and_can_be_run(name: str) -> None:
    preset = presets()[name]
    assert preset.name == name
    assert preset.title.strip() == preset.title != ""
    assert cells(preset.spec)[0].labels == ("golden",)
    assert StudySpec.from_json_text(preset.spec.canonical()) == preset.spec


def test_golden_grid_is_the_designs_example() -> None:
    spec = presets()["golden-grid"].spec
    assert spec == StudySpec.from_json({"dataset": "rotated-digits", "loss": "dual-process", "name": "golden grid"})


def test_the_papers_protocol_is_the_papers() -> None:
    spec = presets()["paper-protocol"].spec
    assert (spec.folds, spec.folds_used, spec.runs, spec.epochs, spec.batch_size) == (10, 10, 10, 30, 128)
    assert (spec.weight_decay, spec.bn_statistics, spec.loss, spec.model) == (
        1e-4,
        "population",
        "dual-process",
        "paper-cnn",
    )
    assert spec.grid.learning_rate == spec.grid.momentum
    assert (spec.grid.learning_rate.count, spec.grid.momentum.count) == (11, 11)
    assert spec.claim.margin == 0.001


def test_the_demo_is_small() -> None:
    spec = presets()["demo"].spec
    assert len(cells(spec)) * spec.replicates_per_cell * spec.epochs <= 1_000
    assert spec.claim.margin == 0.005
