"""The form for a new study: between its fields and a specification, and problems at their fields."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from service.errors import Invalid
from service.pages.form import Field, Form, filled, form, specification
from service.pages.questions import QUESTIONS
from service.submission import check
from studies.catalog import presets
from studies.fields import Problem
from studies.spec import StudySpec

OWN = {
    "dataset": "rotated-digits",
    "loss": "sse",
    "prescribed": {"learning_rate": 0.03, "momentum": 0.9},
    "grid": {"learning_rate": {"values": [0.01, 1e-5, 0.3]}, "momentum": {"factor": 1.25, "steps": 2}},
    "references": ["plain", {"name": "mine & <yours>", "learning_rate": 0.2, "momentum": 0.5}, "matlab"],
    "racing": True,
    "runs": 4,
    "claim": {"margin": 0.002, "confidence": 0.9},
}


def fields(shown: Form) -> dict[str, Field]:
    return {field.name: field for section in shown.sections for field in section.fields}


@pytest.mark.parametrize("document", [preset.spec.to_json() for preset in presets().values()] + [OWN])
def test_filled_form_makes_the_specification_it_was_filled_with(document: dict[str, Any]) -> None:
    spec = StudySpec.from_json(document)
    sent = parse_qs(urlencode(filled(spec.to_json()), doseq=True), keep_blank_values=True)
    found = StudySpec.from_json(specification(sent))
    assert {*map(str, found.references)} == {*map(str, spec.references)}  # named ones come last
    assert found.to_json() | {"references": []} == spec.to_json() | {"references": []}


def test_empty_fields_leave_defaults() -> None:
    values = {"dataset": ["rotated-digits"], "loss": ["sse"], "runs": [" "], "prescribed.learning_rate": [""]}
    document = specification(values | {"references": ["matlab"]})
    assert document == {
        "dataset": "rotated-digits",
        "loss": "sse",
        "prescribed": "golden",
        "references": ["matlab"],
        "grid": {"learning_rate": {}, "momentum": {}},
    }


@pytest.mark.parametrize(
    ("name", "text", "field", "rule"),
    [
        ("runs", "many", "runs", "must be a whole number"),
        ("runs", "0", "runs", "from 1 to 10,000"),
        ("claim.margin", "-1", "claim.margin", "> 0 and < 1"),
        ("claim.margin", "nan", "claim.margin", "must be a finite number"),
        ("epochs", "1e999", "epochs", "must be a whole number"),
        ("name", "x" * 201, "name", "1 to 200 characters"),
        ("dataset", "nothing", "dataset", "must be one of"),
        ("racing", "perhaps", "racing", "must be true or false"),
        ("prescribed.momentum", "0.5", "prescribed.learning_rate", "is required"),
        ("prescribed.learning_rate", "-3", "prescribed.learning_rate", "> 0"),
        ("grid.learning_rate.factor", "0.5", "grid.learning_rate.factor", "> 1"),
        ("grid.momentum.values", "0.5, one", "grid.momentum.values", "must be a number"),
        ("grid.momentum.values", "0.5, 0.5", "grid.momentum.values", "distinct"),
        ("grid.momentum.factor", "900", "grid.momentum.factor", "must stay in"),
        ("references.own", "mine, 0.1", "references.own", "is required"),
        ("references.own", "mine, 0.1, 0.5, 7", "references.own", "must be a number"),
        ("folds_used", "11", "folds_used", "at most folds"),
    ],
)
def test_broken_rule_stands_at_its_field(tmp_path: Path, name: str, text: str, field: str, rule: str) -> None:
    values = filled(presets()["demo"].spec.to_json()) | {name: [text]}
    with pytest.raises(Invalid) as caught:
        check(specification(values), tmp_path)
    shown = form(values, caught.value.problems)
    assert any(rule in told for told in fields(shown)[field].problems), fields(shown)[field].problems
    assert fields(shown)[name].value == text.strip()
    assert shown.general == ()
    assert shown.problems == len(caught.value.problems)


def test_problem_of_no_field_stands_above() -> None:
    shown = form({}, [Problem("(body)", "must be a JSON object"), Problem("schema", "must be 1")])
    assert shown.general == ("(body): must be a JSON object", "schema: must be 1")


def test_folded_section_opens_where_something_is_wrong() -> None:
    values = filled(presets()["demo"].spec.to_json())
    folded = {section.title: section.folded for section in form(values, ()).sections}
    assert [title for title, is_folded in folded.items() if is_folded] == ["References and details"]
    wrong = form(values, [Problem("seed", "must be a whole number")])
    assert not any(section.folded for section in wrong.sections)


def test_many_problems_of_one_field_are_cut_short() -> None:
    shown = form({}, [Problem("runs", f"rule {number}") for number in range(50)])
    assert len(fields(shown)["runs"].problems) == 5


def test_every_field_of_the_specification_can_be_filled_in() -> None:
    names = {question.name.partition(".")[0] for questions in QUESTIONS.values() for question in questions}
    assert names == set(StudySpec.RULES) - {"schema"}, "which has one value only"
