"""The suite specification: one document, one text; what does not fit together is named. And the suites that ship."""

import math
import re
from typing import Any

import jsonschema
import pytest
from suite_data import study, suite

from studies import golden
from studies.catalog import presets, suites
from studies.fields import SpecError
from studies.grid import Cell, cells
from studies.information import energy_at_angle
from studies.suite import SuiteSpec, quick_version


def problems(document: Any) -> dict[str, str]:
    """Field and rule of every problem."""
    with pytest.raises(SpecError) as caught:
        SuiteSpec.from_json(document)
    return {problem.field: problem.rule for problem in caught.value.problems}


# --- one document, one text


def test_canonical_json_comes_back_equal() -> None:
    first = SuiteSpec.from_json(suite())
    assert SuiteSpec.from_json_text(first.canonical()) == first
    assert SuiteSpec.from_json(first.to_json()).canonical() == first.canonical()
    assert first.to_json()["studies"][0]["weight_decay"] == 1e-4
    assert first.rows[0].published is not None
    assert first.rows[1].published is None


def test_schema_accepts_what_is_read_and_refuses_what_is_not() -> None:
    schema = SuiteSpec.json_schema()
    jsonschema.validate(suite(), schema)
    jsonschema.validate(SuiteSpec.from_json(suite()).to_json(), schema)
    for broken in (suite(colour="red"), suite(rows=[]), suite(studies=[{"loss": "sse"}]), suite(confidence=1)):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)
        assert problems(broken)


def test_rows_find_their_cells() -> None:
    spec = SuiteSpec.from_json(suite())
    found = [spec.cell(row) for row in spec.rows]
    assert [(cell.index, cell.momentum) for cell in found] == [(1, 0.0), (0, golden.MOMENTUM), (0, golden.MOMENTUM)]


def test_a_row_finds_a_cell_that_goes_by_several_names() -> None:
    same = {"name": "mine", "learning_rate": golden.LEARNING_RATE, "momentum": golden.MOMENTUM}
    document = suite(studies=[study("squares", references=[same, "no-momentum"]), study("dual")])
    document["rows"][1]["cell"] = "mine"
    spec = SuiteSpec.from_json(document)
    assert spec.cell(spec.rows[1]).index == 0


# --- what does not fit together


@pytest.mark.parametrize(("field", "value"), [("seed", 1), ("dataset", "mnist"), ("folds", 6), ("folds_used", 3)])
def test_studies_that_do_not_share_replicates_are_refused_by_field(field: str, value: object) -> None:
    found = problems(suite(studies=[study("squares"), study("dual", **{field: value})]))
    assert list(found) == [f"studies[1].{field}"]
    assert re.search(rf"must be .* as in studies\[0\], not {value!r}: .*share seeds", found[f"studies[1].{field}"])


@pytest.mark.parametrize("changes", [{"loss": "energy"}, {"runs": 3}, {"epochs": 1}, {"batch_size": 64}])
def test_studies_may_differ_in_anything_else(changes: dict[str, Any]) -> None:
    SuiteSpec.from_json(suite(studies=[study("squares"), study("dual", **changes)]))


def test_a_race_has_no_place_in_a_suite() -> None:
    race = {"racing": True, "runs": 10}
    found = problems(suite(studies=[study("squares"), study("dual", **race)]))
    assert list(found) == ["studies[1].racing"]


def test_problems_of_a_study_are_named_with_its_place() -> None:
    assert list(problems(suite(studies=[study("squares"), study("dual", epochs=0)]))) == ["studies[1].epochs"]


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    document = suite(contrasts=[{"row": "on", "minus": "of"}, {"row": "dual", "minus": "dual"}])
    document["rows"][0]["study"] = "cubes"
    document["rows"][1]["cell"] = "golden"
    found = problems(document)
    assert "must be the name of a study, 'squares', 'dual', not 'cubes'" in found["rows[0].study"]
    assert "must be one of prescribed, no-momentum" in found["rows[1].cell"]
    assert found["contrasts[0].minus"] == "must be the name of a row, not 'of'"
    assert found["contrasts[1].minus"] == "must be another row than 'dual'"


def test_names_are_distinct() -> None:
    document = suite(studies=[study("squares"), study("squares"), study("dual")])
    document["rows"][1]["name"] = "off"
    document["contrasts"] = []
    found = problems(document)
    assert found["studies"] == "must have distinct names, not 'squares' more than once"
    assert found["rows"] == "must have distinct names, not 'off' more than once"


# --- the quick version


def test_quick_version_trains_less_and_says_how_much() -> None:
    full = SuiteSpec.from_json(suite())
    quick = quick_version(full, folds_used=1, runs=1, epochs=2)
    assert [(one.folds_used, one.runs, one.epochs) for one in quick.studies] == [(1, 1, 2)] * 2
    assert quick.name == "small suite, quick"
    assert "1 folds instead of 2, 1 runs per fold instead of 2, 2 epochs as there" in quick.notes[0]
    assert quick.notes[1:] == full.notes
    assert (quick.rows, quick.contrasts) == (full.rows, full.contrasts)


def test_quick_version_obeys_the_rules_of_a_study() -> None:
    with pytest.raises(SpecError, match="folds_used: must be at most folds = 5, not 6"):
        quick_version(SuiteSpec.from_json(suite()), folds_used=6, runs=1, epochs=1)


# --- Table I


def test_suites_and_studies_are_told_apart() -> None:
    assert "table-1" in suites()
    assert not set(suites()) & set(presets())


def test_table_1_has_the_papers_rows_with_its_figures() -> None:
    spec = suites()["table-1"].spec
    eta, alpha = golden.LEARNING_RATE, golden.MOMENTUM
    expected = [("sse", eta, 0.0, 0.774, 0.1), ("sse", eta, alpha, 0.989, 0.01)]
    expected.append(("dual-process", eta, alpha, 0.994, 0.0006))
    for row, (loss, learning_rate, momentum, mean, std) in zip(spec.rows[:3], expected, strict=True):
        cell = spec.cell(row)
        assert (spec.study(row.study).loss, cell.learning_rate, cell.momentum) == (loss, learning_rate, momentum)
        assert row.published is not None
        assert (row.published.mean, row.published.std) == (mean, std)
        assert "Table I" in row.published.source


def test_table_1_has_the_controls_and_no_cell_beyond_the_rows() -> None:
    spec = suites()["table-1"].spec
    eta, effective = golden.LEARNING_RATE, golden.EFFECTIVE_LEARNING_RATE
    controls = {(spec.study(row.study).loss, *_point(spec.cell(row))) for row in spec.rows[3:]}
    assert controls == {
        ("sse", effective, 0.0),
        ("dual-process", effective, 0.0),
        ("dual-process", eta, 0.0),
        ("cross-entropy", eta, golden.MOMENTUM),
        ("cross-entropy", 0.01, 0.9),
    }
    assert all(row.published is None for row in spec.rows[3:])
    assert sum(len(cells(one)) for one in spec.studies) == len(spec.rows)


def test_table_1_is_the_papers_protocol_and_the_quick_version_some_minutes() -> None:
    preset = suites()["table-1"]
    assert {(one.folds, one.folds_used, one.runs, one.epochs) for one in preset.spec.studies} == {(10, 10, 10, 30)}
    assert len({(one.folds_used, one.runs, one.epochs) for one in preset.quick.studies}) == 1
    epochs = sum(len(cells(one)) * one.replicates_per_cell * one.epochs for one in preset.quick.studies)
    assert epochs <= 4_000
    assert all(one.runs > 1 and one.folds_used > 1 for one in preset.quick.studies)


def test_numbers_in_the_words_of_table_1_are_those_of_the_derivation() -> None:
    spec = suites()["table-1"].spec
    words = " ".join([*spec.notes, *(contrast.note or "" for contrast in spec.contrasts)])
    matlab = golden.EFFECTIVE_LEARNING_RATE / golden.effective_learning_rate(0.01, 0.9)
    assert f"{golden.EFFECTIVE_LEARNING_RATE / golden.LEARNING_RATE:.1f} times as large" in words
    assert f"differ by {_decades(matlab):.2f} decades" in words
    scale = _scale_at_the_target()
    assert f"eq. 26 is {scale:.2f} of the squared error" in words
    assert f"{-_decades(scale):.2f} decades shorter" in words
    assert f"binomial standard deviation of {100 * (0.994 * 0.006 / 1_000) ** 0.5:.2f} points at 99.4 %" in words


def _point(cell: Cell) -> tuple[float, float]:
    return cell.learning_rate, cell.momentum


def _decades(ratio: float) -> float:
    return math.log10(ratio)


def _scale_at_the_target() -> float:
    """(L - 1/sqrt 2) / (y - t)^2 of eq. 26 near y = t."""
    distance = 1e-3

    def both(angle: float) -> float:  # eq. 24
        return (energy_at_angle(angle) + energy_at_angle(math.pi / 2 - angle)) / 2

    rise = both((distance + 1) * math.pi / 4) - both(math.pi / 4)
    loss = math.sqrt(2) / (1 + math.exp(-rise / 2))
    return (loss - 1 / math.sqrt(2)) / distance**2
