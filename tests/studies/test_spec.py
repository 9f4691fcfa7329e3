"""The specification: one question, one canonical text, one fingerprint; nonsense is named."""

import hashlib
import json
import math
import re
import subprocess
import sys
import time
import tracemalloc
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.fields import SpecError, shown
from studies.grid import cells
from studies.parts import Claim, FactorAxis, Grid, LearningRateValues, MomentumValues, NamedPoint, Point
from studies.spec import StudySpec

EXAMPLE: dict[str, Any] = json.loads("""
{"schema": 1, "name": "golden grid", "dataset": "rotated-digits", "model": "paper-cnn", "loss": "dual-process", "prescribed": "golden",
 "grid": {"learning_rate": {"factor": 1.6, "steps": 3}, "momentum": {"factor": 1.6, "steps": 3}},
 "references": ["matlab", "pytorch", "plain", "same-effective-rate", "no-momentum"],
 "folds": 10, "folds_used": 10, "runs": 10, "epochs": 30, "batch_size": 128, "weight_decay": 0.0001, "bn_statistics": "population",
 "engine": "auto", "precision": "fp32", "racing": false, "priority": 0, "seed": 0,
 "claim": {"metric": "accuracy", "margin": 0.001, "confidence": 0.95}}
""")  # noqa: E501
"""The example of the design, word for word."""
LEAST = {"dataset": "rotated-digits", "loss": "dual-process"}
FULL = LEAST | {
    "prescribed": {"learning_rate": 0.02, "momentum": 0.5},
    "grid": {"learning_rate": {"values": [0.3, 0.1]}, "momentum": {"factor": 1.2, "steps": 2}},
    "references": ["plain", {"name": "mine", "learning_rate": 1, "momentum": 0}],
    "folds": 5,
    "name": "é",
}


def spec(**changes: Any) -> StudySpec:
    return StudySpec.from_json(LEAST | changes)


# --- one document, one text, one fingerprint


def test_defaults_are_those_of_the_designs_example() -> None:
    filled = spec(name="golden grid")
    assert filled.to_json() == EXAMPLE
    assert StudySpec.from_json(EXAMPLE) == filled


@pytest.mark.parametrize("document", [LEAST, EXAMPLE, FULL])
def test_canonical_json_comes_back_equal(document: dict[str, Any]) -> None:
    first = StudySpec.from_json(document)
    again = StudySpec.from_json_text(first.canonical())
    assert again == first
    assert hash(again) == hash(first)
    assert again.canonical() == first.canonical()
    assert json.loads(first.canonical()) == first.to_json()
    assert list(json.loads(first.canonical())) == sorted(first.to_json())
    assert ": " not in first.canonical()


def test_the_fingerprint_is_the_hash_of_the_canonical_document() -> None:
    kept = {key: value for key, value in EXAMPLE.items() if key not in ("name", "priority")}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    assert StudySpec.from_json(EXAMPLE).fingerprint == hashlib.sha256(text.encode()).hexdigest()


def test_a_known_fingerprint_does_not_move() -> None:
    # A stored study is found again by this; whoever changes it loses everyone's answers.
    assert (
        StudySpec.from_json(EXAMPLE).fingerprint == "0b53f49636e8566cb78c72cedc0a80780da0fbf5e2452043b7463ced970e3f5f"
    )


CHANGES: dict[str, Any] = {
    "dataset": "mnist",
    "loss": "sse",
    "prescribed": {"learning_rate": 0.01, "momentum": 0.9},
    "grid": {"learning_rate": {"factor": 1.6, "steps": 2}},
    "references": ["matlab"],
    "folds": 11,
    "folds_used": 9,
    "runs": 9,
    "epochs": 29,
    "batch_size": 64,
    "weight_decay": 0,
    "bn_statistics": "moving",
    "engine": "reference",
    "racing": True,
    "seed": 1,
    "claim": {"margin": 0.002},
}
ONLY_ONE_VALUE = {"schema", "model"}
ONLY_TOGETHER = {"precision"}
"""A second value of these needs another value elsewhere: see the tests below."""


def test_every_field_but_name_and_priority_changes_the_fingerprint() -> None:
    before = spec().fingerprint
    found = {name: spec(**{name: value}).fingerprint for name, value in CHANGES.items()}
    assert before not in found.values()
    assert len(set(found.values())) == len(found)
    assert spec(name="another", priority=5).fingerprint == before
    assert spec(name="another", priority=5).canonical() != spec().canonical()
    assert {field.name for field in fields(StudySpec)} == {
        *CHANGES,
        *ONLY_ONE_VALUE,
        *ONLY_TOGETHER,
        "name",
        "priority",
    }


def test_a_precision_of_one_engine_changes_the_fingerprint_too() -> None:
    plain, split = (spec(engine="packed-cuda", precision=precision) for precision in ("fp32", "tf32x3"))
    assert split.fingerprint != plain.fingerprint
    assert StudySpec.from_json_text(split.canonical()) == split
    for engine in ("auto", "packed-cpu", "reference"):
        with pytest.raises(SpecError, match=f"precision: must be fp32 with engine {engine}, not tf32x3"):
            spec(engine=engine, precision="tf32x3")


def test_parts_of_the_claim_and_of_references_change_the_fingerprint() -> None:
    documents: list[dict[str, Any]] = [
        {"claim": {"confidence": 0.9}},
        {"references": [{"name": "a", "learning_rate": 0.1, "momentum": 0}]},
        {"references": [{"name": "b", "learning_rate": 0.1, "momentum": 0}]},
        {"references": [{"name": "a", "learning_rate": 0.1, "momentum": 0.1}]},
        {"grid": {"momentum": {"factor": 1.6, "steps": 2}}},
        {"grid": {"momentum": {"factor": 1.5, "steps": 3}}},
        {},
    ]
    assert len({spec(**document).fingerprint for document in documents}) == len(documents)


def test_equal_questions_written_differently_have_one_fingerprint() -> None:
    written = {
        "prescribed": {"learning_rate": 1.0, "momentum": 0.0},
        "grid": {"learning_rate": {"values": [1.0, 2.0, 3.0]}, "momentum": {"values": [0.0, 0.5]}},
        "weight_decay": 0.0,
        "folds_used": 10,
        "epochs": 30,
        "seed": 7,
    }
    otherwise = {
        "seed": 7.0,
        "epochs": 30.0,
        "weight_decay": -0.0,
        "grid": {"momentum": {"values": [0.5, -0.0]}, "learning_rate": {"values": [3, 1, 2]}},
        "prescribed": {"momentum": -0.0, "learning_rate": 1},
    }
    assert spec(**otherwise).canonical() == spec(**written).canonical()
    assert spec(**otherwise).fingerprint == spec(**written).fingerprint
    assert "-0.0" not in spec(**otherwise).canonical()


def test_folds_used_follows_folds_unless_given() -> None:
    assert spec(folds=7).folds_used == 7
    assert spec(folds=7).replicates_per_cell == 70
    assert spec(folds=7, folds_used=2, runs=3).replicates_per_cell == 6


def test_two_processes_agree_on_the_fingerprint() -> None:
    code = f"from studies.spec import StudySpec; print(StudySpec.from_json({FULL!r}).fingerprint)"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": hashseed}
        ).stdout.strip()
        for hashseed in ("1", "2")
    }
    assert found == {StudySpec.from_json(FULL).fingerprint}


# --- frozen, and checked however it is made


def test_a_specification_is_frozen() -> None:
    made = spec()
    with pytest.raises(FrozenInstanceError):
        made.runs = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        made.claim.margin = 0.5  # type: ignore[misc]
    assert isinstance(spec(references=["matlab"]).references, tuple)


def test_direct_construction_fills_and_checks() -> None:
    assert StudySpec(dataset="rotated-digits", loss="dual-process") == spec()
    assert StudySpec("mnist", "sse", folds=5.0).folds_used == 5  # type: ignore[arg-type]
    assert replace(spec(folds=5), runs=2).runs == 2
    assert Grid(momentum={"values": [0.5, 0]}).momentum == MomentumValues((0, 0.5))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: StudySpec("mnist", "sse", runs=0), "runs"),
        (lambda: StudySpec("mnist", "sse", folds_used=False), "folds_used"),
        (lambda: StudySpec("mnist", "sse", folds=3, folds_used=4), "folds_used"),
        (lambda: replace(spec(), seed=-1), "seed"),
        (lambda: replace(spec(), claim={"margin": 2}), "claim.margin"),
        (lambda: Point(-1, 0), "learning_rate"),
        (lambda: Point(0.1, 1), "momentum"),
        (lambda: NamedPoint("", 0.1, 0), "name"),
        (lambda: FactorAxis(1, 3), "factor"),
        (lambda: FactorAxis(2, -1), "steps"),
        (lambda: LearningRateValues((0.1, 0.1)), "values"),
        (lambda: MomentumValues(()), "values"),
        (lambda: MomentumValues((0.5, 1.0)), "values[1]"),
        (lambda: Grid(learning_rate=3), "learning_rate"),
        (lambda: Grid(learning_rate=MomentumValues((0.5,))), "learning_rate"),
        (lambda: Claim(margin=0), "margin"),
        (lambda: Claim(confidence=1), "confidence"),
        (lambda: Claim(metric="brier"), "metric"),
    ],
)
def test_direct_construction_names_the_field(build: Any, field: str) -> None:
    with pytest.raises(SpecError) as caught:
        build()
    assert [problem.field for problem in caught.value.problems] == [field]


# --- nonsense

NAN, INF, HUGE = math.nan, math.inf, 10**5000
AXIS = "grid.learning_rate"
NONSENSE: list[tuple[Any, str]] = [
    (None, "(body)"),
    ([], "(body)"),
    ("spec", "(body)"),
    (7, "(body)"),
    ({"loss": "sse"}, "dataset"),
    ({"dataset": "mnist"}, "loss"),
    (LEAST | {"schema": 2}, "schema"),
    (LEAST | {"schema": "1"}, "schema"),
    (LEAST | {"dataset": "mnist2"}, "dataset"),
    (LEAST | {"dataset": None}, "dataset"),
    (LEAST | {"dataset": ["mnist"]}, "dataset"),
    (LEAST | {"dataset": {}}, "dataset"),
    (LEAST | {"loss": "hinge"}, "loss"),
    (LEAST | {"model": "resnet"}, "model"),
    (LEAST | {"name": ""}, "name"),
    (LEAST | {"name": "x" * 201}, "name"),
    (LEAST | {"name": "x" * 10**6}, "name"),
    (LEAST | {"name": "a\nb"}, "name"),
    (LEAST | {"name": " a"}, "name"),
    (LEAST | {"name": "\x1b[2J"}, "name"),
    (LEAST | {"name": "\ud800"}, "name"),
    (LEAST | {"name": 3}, "name"),
    (LEAST | {"prescribed": "silver"}, "prescribed"),
    (LEAST | {"prescribed": None}, "prescribed"),
    (LEAST | {"prescribed": [0.1, 0.9]}, "prescribed"),
    (LEAST | {"prescribed": {"learning_rate": 0.1}}, "prescribed.momentum"),
    (LEAST | {"prescribed": {"learning_rate": -0.1, "momentum": 0}}, "prescribed.learning_rate"),
    (LEAST | {"prescribed": {"learning_rate": 0, "momentum": 0}}, "prescribed.learning_rate"),
    (LEAST | {"prescribed": {"learning_rate": NAN, "momentum": 0}}, "prescribed.learning_rate"),
    (LEAST | {"prescribed": {"learning_rate": INF, "momentum": 0}}, "prescribed.learning_rate"),
    (LEAST | {"prescribed": {"learning_rate": HUGE, "momentum": 0}}, "prescribed.learning_rate"),
    (LEAST | {"prescribed": {"learning_rate": True, "momentum": 0}}, "prescribed.learning_rate"),
    (LEAST | {"prescribed": {"learning_rate": 0.1, "momentum": 1}}, "prescribed.momentum"),
    (LEAST | {"prescribed": {"learning_rate": 0.1, "momentum": 1.5}}, "prescribed.momentum"),
    (LEAST | {"prescribed": {"learning_rate": 0.1, "momentum": -0.1}}, "prescribed.momentum"),
    (LEAST | {"prescribed": {"learning_rate": 0.1, "momentum": 0, "nesterov": True}}, "prescribed.nesterov"),
    (LEAST | {"grid": []}, "grid"),
    (LEAST | {"grid": {"rate": 1}}, "grid.rate"),
    (LEAST | {"grid": {"learning_rate": 1.6}}, AXIS),
    (LEAST | {"grid": {"learning_rate": [0.1]}}, AXIS),
    (LEAST | {"grid": {"learning_rate": {}}}, f"{AXIS}.factor"),
    (LEAST | {"grid": {"learning_rate": {"factor": 1, "steps": 3}}}, f"{AXIS}.factor"),
    (LEAST | {"grid": {"learning_rate": {"factor": 0.5, "steps": 3}}}, f"{AXIS}.factor"),
    (LEAST | {"grid": {"learning_rate": {"factor": INF, "steps": 3}}}, f"{AXIS}.factor"),
    (LEAST | {"grid": {"learning_rate": {"factor": "2", "steps": 3}}}, f"{AXIS}.factor"),
    (LEAST | {"grid": {"learning_rate": {"factor": 2, "steps": -1}}}, f"{AXIS}.steps"),
    (LEAST | {"grid": {"learning_rate": {"factor": 2, "steps": 1.5}}}, f"{AXIS}.steps"),
    (LEAST | {"grid": {"learning_rate": {"factor": 2, "steps": True}}}, f"{AXIS}.steps"),
    (LEAST | {"grid": {"learning_rate": {"factor": 2, "steps": 10**9}}}, f"{AXIS}.steps"),
    (LEAST | {"grid": {"learning_rate": {"factor": 2, "steps": HUGE}}}, f"{AXIS}.steps"),
    (LEAST | {"grid": {"learning_rate": {"factor": 2, "steps": 1, "values": [1]}}}, f"{AXIS}.factor"),
    (LEAST | {"grid": {"learning_rate": {"values": []}}}, f"{AXIS}.values"),
    (LEAST | {"grid": {"learning_rate": {"values": 0.1}}}, f"{AXIS}.values"),
    (LEAST | {"grid": {"learning_rate": {"values": "0.1"}}}, f"{AXIS}.values"),
    (LEAST | {"grid": {"learning_rate": {"values": [0.1, 0.1]}}}, f"{AXIS}.values"),
    (LEAST | {"grid": {"learning_rate": {"values": [1, 1.0]}}}, f"{AXIS}.values"),
    (LEAST | {"grid": {"learning_rate": {"values": [0.1, NAN]}}}, f"{AXIS}.values[1]"),
    (LEAST | {"grid": {"learning_rate": {"values": [0.1, False]}}}, f"{AXIS}.values[1]"),
    (LEAST | {"grid": {"learning_rate": {"values": [[0.1]]}}}, f"{AXIS}.values[0]"),
    (LEAST | {"grid": {"learning_rate": {"values": [1 / k for k in range(1, 2002)]}}}, f"{AXIS}.values"),
    (LEAST | {"grid": {"momentum": {"values": [0, 1]}}}, "grid.momentum.values[1]"),
    (LEAST | {"grid": {"momentum": {"values": [-0.5]}}}, "grid.momentum.values[0]"),
    (LEAST | {"references": "matlab"}, "references"),
    (LEAST | {"references": {"matlab": 1}}, "references"),
    (LEAST | {"references": ["keras"]}, "references[0]"),
    (LEAST | {"references": ["matlab", 3]}, "references[1]"),
    (LEAST | {"references": ["matlab", "matlab"]}, "references"),
    (LEAST | {"references": ["matlab", {"name": "matlab", "learning_rate": 1, "momentum": 0}]}, "references"),
    (LEAST | {"references": [{"name": "golden", "learning_rate": 1, "momentum": 0}]}, "references"),
    (LEAST | {"references": [{"name": "prescribed", "learning_rate": 1, "momentum": 0}]}, "references"),
    (LEAST | {"references": [{"learning_rate": 1, "momentum": 0}]}, "references[0].name"),
    (LEAST | {"references": [{"name": "x", "learning_rate": 1, "momentum": 1}]}, "references[0].momentum"),
    (LEAST | {"references": [{"name": "x" * 41, "learning_rate": 1, "momentum": 0}]}, "references[0].name"),
    (LEAST | {"references": ["matlab"] * 101}, "references"),
    (LEAST | {"folds": 1}, "folds"),
    (LEAST | {"folds": 101}, "folds"),
    (LEAST | {"folds": "10"}, "folds"),
    (LEAST | {"folds": True}, "folds"),
    (LEAST | {"folds_used": 0}, "folds_used"),
    (LEAST | {"folds_used": 11}, "folds_used"),
    (LEAST | {"folds_used": None}, "folds_used"),
    (LEAST | {"runs": 0}, "runs"),
    (LEAST | {"runs": 10_000}, "runs"),
    (LEAST | {"runs": HUGE}, "runs"),
    (LEAST | {"runs": NAN}, "runs"),
    (LEAST | {"epochs": 0}, "epochs"),
    (LEAST | {"epochs": 1.5}, "epochs"),
    (LEAST | {"epochs": True}, "epochs"),
    (LEAST | {"epochs": [30]}, "epochs"),
    (LEAST | {"batch_size": 0}, "batch_size"),
    (LEAST | {"batch_size": -128}, "batch_size"),
    (LEAST | {"weight_decay": -1e-9}, "weight_decay"),
    (LEAST | {"weight_decay": NAN}, "weight_decay"),
    (LEAST | {"weight_decay": None}, "weight_decay"),
    (LEAST | {"bn_statistics": "batch"}, "bn_statistics"),
    (LEAST | {"engine": "gpu"}, "engine"),
    (LEAST | {"precision": "fp16"}, "precision"),
    (LEAST | {"racing": True, "folds_used": 2, "runs": 3}, "racing"),
    (LEAST | {"racing": 0}, "racing"),
    (LEAST | {"priority": 101}, "priority"),
    (LEAST | {"priority": 0.5}, "priority"),
    (LEAST | {"seed": -1}, "seed"),
    (LEAST | {"seed": 2**53}, "seed"),
    (LEAST | {"claim": 0.001}, "claim"),
    (LEAST | {"claim": {"margin": 0}}, "claim.margin"),
    (LEAST | {"claim": {"margin": 1}}, "claim.margin"),
    (LEAST | {"claim": {"confidence": 0.5}}, "claim.confidence"),
    (LEAST | {"claim": {"confidence": 95}}, "claim.confidence"),
    (LEAST | {"claim": {"metric": "loss"}}, "claim.metric"),
    (LEAST | {"claim": {"p": 0.05}}, "claim.p"),
    (LEAST | {"learningrate": 1}, "learningrate"),
    (LEAST | {"": 1}, "''"),
    (LEAST | {"__class__": 1}, "__class__"),
    (LEAST | {"a.b\n": 1}, r"'a.b\n'"),
    (LEAST | {3: 1}, "3"),
]


@pytest.mark.parametrize(("document", "field"), NONSENSE, ids=shown)
def test_nonsense_names_its_field(document: Any, field: str) -> None:
    with pytest.raises(SpecError) as caught:
        StudySpec.from_json(document)
    assert field in [problem.field for problem in caught.value.problems]
    assert len({problem.field.split(".")[0].split("[")[0] for problem in caught.value.problems}) == 1
    assert len(str(caught.value)) < 1000


def test_every_broken_rule_is_named_at_once() -> None:
    document = {
        "loss": "hinge",
        "runs": 0,
        "grid": {"learning_rate": {"factor": 0, "steps": -1}, "momentum": {"values": [2, 0, -1]}},
        "claim": {"margin": 2, "extra": 1},
    }
    with pytest.raises(SpecError) as caught:
        StudySpec.from_json(document)
    assert sorted(problem.field for problem in caught.value.problems) == [
        "claim.extra",
        "claim.margin",
        "dataset",
        "grid.learning_rate.factor",
        "grid.learning_rate.steps",
        "grid.momentum.values[0]",
        "grid.momentum.values[2]",
        "loss",
        "runs",
    ]


def test_an_integer_too_long_for_json_loads_is_refused() -> None:
    with pytest.raises(ValueError, match="digits"):
        StudySpec.from_json_text('{"runs": ' + "1" * 5000 + "}")


@pytest.mark.parametrize(
    "grid",
    [
        {"learning_rate": {"factor": 1.001, "steps": 999}, "momentum": {"factor": 1.0001, "steps": 999}},
        {
            "learning_rate": {"values": [1 / k for k in range(1, 46)]},
            "momentum": {"values": [1 / k for k in range(2, 47)]},
        },
        {"learning_rate": {"factor": 1.1, "steps": 5 * 10**8}, "momentum": {"factor": 1.1, "steps": 0}},
        {"learning_rate": {"factor": 1.1, "steps": 5 * 10**8}, "momentum": {"factor": 1.1, "steps": 5 * 10**8}},
    ],
    ids=["4e6", "2025", "1e9", "1e18"],
)
def test_too_many_cells_are_refused_at_once_and_without_memory(grid: dict[str, Any]) -> None:
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(SpecError, match="grid"):
        StudySpec.from_json(LEAST | {"grid": grid})
    seconds = time.perf_counter() - began
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 0.05
    assert peak_bytes < 2**20


def test_two_thousand_cells_pass() -> None:
    axes = {
        "learning_rate": {"values": [0.001 * k for k in range(1, 41)]},
        "momentum": {"values": [0.01 * k for k in range(50)]},
    }
    prescribed = {"learning_rate": 0.001, "momentum": 0}
    assert len(cells(spec(grid=axes, references=[], prescribed=prescribed, runs=1))) == 2000


def test_too_many_trainings_name_their_product() -> None:
    with pytest.raises(SpecError, match=r"at most 1,000,000 trainings, not 5,500,000 \(cells x folds_used x runs\)"):
        spec(runs=10_000)


# --- the published schema says the same


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Whether a JSON schema accepts a value: the keywords that ours uses, after JSON Schema 2020-12."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    is_of_type = {
        "object": isinstance(value, dict),
        "array": isinstance(value, list),
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "number": number,
        "integer": number and (isinstance(value, int) or value.is_integer()),
    }
    verdicts = {
        "type": lambda name: is_of_type[name],
        "enum": lambda options: value in options,
        "const": lambda option: value == option,
        "anyOf": lambda options: any(accepts(option, value) for option in options),
        "minimum": lambda bound: not number or value >= bound,
        "maximum": lambda bound: not number or value <= bound,
        "exclusiveMinimum": lambda bound: not number or value > bound,
        "exclusiveMaximum": lambda bound: not number or value < bound,
        "minLength": lambda least: not isinstance(value, str) or len(value) >= least,
        "maxLength": lambda most: not isinstance(value, str) or len(value) <= most,
        "pattern": lambda pattern: not isinstance(value, str) or re.search(pattern, value) is not None,
        "minItems": lambda least: not isinstance(value, list) or len(value) >= least,
        "maxItems": lambda most: not isinstance(value, list) or len(value) <= most,
        "uniqueItems": lambda unique: (
            not isinstance(value, list) or len(set(map(repr, map(float, value)))) == len(value)
        ),
        "items": lambda item: not isinstance(value, list) or all(accepts(item, each) for each in value),
        "required": lambda names: not isinstance(value, dict) or all(name in value for name in names),
        "properties": lambda known: (
            not isinstance(value, dict) or all(accepts(known[name], value[name]) for name in known if name in value)
        ),
        "additionalProperties": lambda _: not isinstance(value, dict) or set(value) <= set(schema["properties"]),
        "default": lambda _: True,
        "description": lambda _: True,
    }
    order = sorted(schema, key=lambda keyword: keyword == "uniqueItems")
    return all(verdicts[keyword](schema[keyword]) for keyword in order)


NUMBERS = st.sampled_from([0, 1, 2, 3.0, 0.5, -1, -0.0, 1e-9, 1e300, 10**400, 0.999, 1000, 2**53]) | st.floats(
    allow_nan=False, allow_infinity=False
)
TEXTS = st.sampled_from(["a", "golden", "matlab", "plain", " a", "a\x00", "é", "mnist", "sse", "x" * 41, ""])
JUNK = st.none() | st.booleans() | NUMBERS | TEXTS | st.just([]) | st.just({})
VALUES = st.fixed_dictionaries({"values": st.lists(NUMBERS | JUNK, max_size=3)}, optional={"factor": NUMBERS})
FACTORS = st.fixed_dictionaries({}, optional={"factor": NUMBERS, "steps": st.integers(-1, 4) | JUNK})
AXES = VALUES | FACTORS | JUNK
POINTS = st.fixed_dictionaries({}, optional={"learning_rate": NUMBERS, "momentum": NUMBERS, "name": TEXTS})
REFERENCES = st.lists(TEXTS | POINTS | JUNK, max_size=3)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "schema": st.sampled_from([1, 1.0, 2]) | JUNK,
        "name": TEXTS | JUNK,
        "prescribed": TEXTS | POINTS | JUNK,
        "grid": st.fixed_dictionaries({}, optional={"learning_rate": AXES, "momentum": AXES, "x": JUNK}) | JUNK,
        "references": REFERENCES | JUNK,
        "folds": st.integers(1, 12) | JUNK,
        "folds_used": st.integers(0, 5) | JUNK,
        "runs": st.integers(0, 10) | JUNK,
        "weight_decay": NUMBERS | JUNK,
        "racing": st.booleans() | JUNK,
        "seed": NUMBERS | JUNK,
        "claim": st.fixed_dictionaries({}, optional={"margin": NUMBERS, "confidence": NUMBERS, "p": JUNK}) | JUNK,
        "unknown": JUNK,
    },
)
BEYOND_A_SCHEMA = ("must be at most folds", "must have distinct names", "trainings, not", "a single round")
"""Rules across fields."""


@settings(max_examples=400)
@given(document=DOCUMENTS)
def test_the_schema_accepts_what_is_accepted_and_refuses_what_is_refused(document: dict[str, Any]) -> None:
    document = LEAST | document
    try:
        StudySpec.from_json(document)
        refused = ()
    except SpecError as error:
        refused = error.problems
    in_one_field = [p for p in refused if not any(words in p.rule for words in BEYOND_A_SCHEMA)]
    assert accepts(StudySpec.json_schema(), document) is not bool(in_one_field), refused


IN_ONE_FIELD = [document for document, field in NONSENSE if field not in ("folds_used", "racing", "references", "3")]


@pytest.mark.parametrize("document", IN_ONE_FIELD, ids=shown)
def test_the_schema_refuses_nonsense_in_one_field_too(document: Any) -> None:
    beyond = document in (LEAST | {"name": "\ud800"}, LEAST | {"runs": 10_000})
    assert accepts(StudySpec.json_schema(), document) is beyond


@pytest.mark.parametrize("document", [LEAST, EXAMPLE, FULL])
def test_the_schema_accepts_the_examples_and_its_own_defaults(document: dict[str, Any]) -> None:
    schema = StudySpec.json_schema()
    assert accepts(schema, document)
    assert accepts(schema, StudySpec.from_json(document).to_json())
    for name, field in schema["properties"].items():
        assert "default" not in field or accepts(field, field["default"]), name


def test_the_schema_is_plain_json_and_describes_every_field() -> None:
    schema = json.loads(json.dumps(StudySpec.json_schema(), allow_nan=False))
    assert schema == StudySpec.json_schema()
    assert set(schema["properties"]) == set(EXAMPLE)
    assert schema["required"] == ["dataset", "loss"]


def test_a_json_schema_library_agrees() -> None:
    validator = jsonschema.Draft202012Validator(StudySpec.json_schema())
    jsonschema.Draft202012Validator.check_schema(StudySpec.json_schema())
    for document in (LEAST, EXAMPLE, FULL):
        assert validator.is_valid(document)
    for document in IN_ONE_FIELD:
        with pytest.raises(SpecError) as caught:
            StudySpec.from_json(document)
        # The library lets NaN pass any bound, and fails on numbers that it cannot print.
        if not any(words in str(caught.value) for words in ("not nan", "too long to print")):
            assert validator.is_valid(document) is accepts(StudySpec.json_schema(), document), document


# --- what may be imported with it


@pytest.mark.parametrize(
    "module",
    ["studies.spec", "studies.grid", "studies.compare", "studies.datasets.registry", "studies.models.registry"],
)
def test_importing_it_imports_no_torch(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{'torch', 'distributed', 'sklearn'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
