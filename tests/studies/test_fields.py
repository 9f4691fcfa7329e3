"""Declared fields: what each rule reads, and how it says no."""

import math
import pickle
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.fields import (
    MOST_PROBLEMS,
    Choice,
    Flag,
    Integer,
    Items,
    Nullable,
    Number,
    Problem,
    Rule,
    SpecError,
    Text,
    read_object,
    shown,
)

COUNT = Integer(1, 1_000)
SHARE = Number(0, 1, open_above=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("rule", "value", "read"),
    [
        (COUNT, 1, 1),
        (COUNT, 1000, 1000),
        (COUNT, 3.0, 3),
        (SHARE, 0, 0.0),
        (SHARE, 0.5, 0.5),
        (Number(0, 2), 2, 2.0),
        (Text(3), "été", "été"),
        (Text(3), "a b", "a b"),
        (Choice(lambda: ("a", "b")), "b", "b"),
        (Flag(), False, False),
        (Items(COUNT, 0, 2), [], ()),
        (Items(COUNT, 0, 2), (2, 1), (2, 1)),
        (Nullable(COUNT), None, None),
        (Nullable(COUNT), 3.0, 3),
    ],
)
def test_a_rule_reads_what_obeys_it_into_one_type(rule: Rule, value: object, read: object) -> None:
    found = rule.read("field", value)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("rule", "value", "words"),
    [
        (COUNT, 0, "whole number from 1 to 1,000, not 0"),
        (COUNT, 1001, "whole number from 1 to 1,000, not 1001"),
        (COUNT, True, "must be a whole number, not True"),
        (COUNT, 1.5, "must be a whole number, not 1.5"),
        (COUNT, "1", "must be a whole number, not '1'"),
        (COUNT, None, "must be a whole number, not None"),
        (COUNT, math.nan, "must be a whole number, not nan"),
        (COUNT, math.inf, "must be a whole number, not inf"),
        (COUNT, 1e300, "whole number from 1 to 1,000"),
        (COUNT, 10**5000, "not a number of int type too long to print"),
        (SHARE, 1, "finite number >= 0 and < 1, not 1"),
        (SHARE, -1e-300, "finite number >= 0 and < 1"),
        (SHARE, math.nan, "finite number >= 0 and < 1, not nan"),
        (SHARE, -math.inf, "finite number >= 0 and < 1, not -inf"),
        (SHARE, 10**400, "finite number >= 0 and < 1, not 1000"),
        (SHARE, 10**5000, "not a number of int type too long to print"),
        (SHARE, False, "must be a number, not False"),
        (SHARE, "0.5", "must be a number, not '0.5'"),
        (Number(0, 2, open_below=True), 0, "finite number > 0 and <= 2, not 0"),
        (Number(0, 2, open_below=True), -0.0, "finite number > 0 and <= 2"),
        (Text(3), "", "printable text of 1 to 3 characters, not ''"),
        (Text(3), "abcd", "printable text of 1 to 3 characters"),
        (Text(3), " a", "without control characters or spaces at its ends"),
        (Text(3), "a\n", "without control characters or spaces at its ends"),
        (Text(3), "a\0b", "without control characters or spaces at its ends"),
        (Text(3), "\ud800", "without control characters or spaces at its ends"),
        (Text(3), 1, "printable text of 1 to 3 characters, not 1"),
        (Choice(lambda: ("a", "b")), "c", "must be one of a, b, not 'c'"),
        (Choice(lambda: ("a", "b")), ["a"], r"must be one of a, b, not \['a'\]"),
        (Flag(), 1, "must be true or false, not 1"),
        (Flag(), "true", "must be true or false, not 'true'"),
        (Items(COUNT, 0, 2), "12", "must be a list, not '12'"),
        (Items(COUNT, 0, 2), {"0": 1}, "must be a list"),
        (Items(COUNT, 1, 2), [], "must have 1 to 2 items, not 0"),
        (Items(COUNT, 0, 2), [1, 2, 3], "must have 0 to 2 items, not 3"),
        (Items(COUNT, 0, 2, distinct=True), [1, 1.0], "must be distinct"),
        (Items(SHARE, 0, 2, distinct=True), [0.0, -0.0], "must be distinct"),
        (Nullable(COUNT), 0, "whole number from 1 to 1,000, not 0"),
    ],
    ids=shown,
)
def test_a_rule_refuses_with_its_words_and_the_value(rule: Rule, value: object, words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        rule.read("field", value)
    assert {problem.field for problem in caught.value.problems} == {"field"}
    assert len(str(caught.value)) < 200


@given(value=JSON)
def test_rules_read_or_raise_spec_error_whatever_they_get(value: object) -> None:
    for rule in (COUNT, SHARE, Text(5), Choice(lambda: ("a",)), Flag(), Items(COUNT, 0, 3), Items(SHARE, 0, 3)):
        with suppress(SpecError):
            rule.read("field", value)


def test_minus_zero_becomes_zero() -> None:
    assert math.copysign(1, SHARE.read("field", -0.0)) == 1


def test_items_name_each_offending_index() -> None:
    with pytest.raises(SpecError) as caught:
        Items(COUNT, 0, 9).read("list", [1, 0, 2, "x"])
    assert [problem.field for problem in caught.value.problems] == ["list[1]", "list[3]"]


def test_shown_is_short_for_anything() -> None:
    for value in ("x" * 10**6, list(range(10**5)), 10**5000, nested(900), nested(100_000), {"a" * 1000: 1}):
        assert len(shown(value)) <= 60


def test_read_object_collects_every_problem() -> None:
    with pytest.raises(SpecError) as caught:
        read_object(
            "a.b", {"count": 0, "share": 2, "new": 1}, {"count": COUNT, "share": SHARE, "flag": Flag()}, ["flag"]
        )
    assert [problem.field for problem in caught.value.problems] == ["a.b.new", "a.b.flag", "a.b.count", "a.b.share"]
    assert "a.b.flag: is required" in str(caught.value)
    assert "known fields are count, share, flag" in str(caught.value)


def test_read_object_returns_only_what_was_there() -> None:
    assert read_object("", {"count": 2.0}, {"count": COUNT, "share": SHARE}, []) == {"count": 2}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("learning-rate", "learning-rate"),
        ("größe", "größe"),
        ("", "''"),
        ("'", '"\'"'),
        ("a.b", "'a.b'"),
        ("a b", "'a b'"),
        ("\x1b[31m", r"'\x1b[31m'"),
        ("\ud800", r"'\ud800'"),
        (7, "7"),
        ("x" * 500, "'" + "x" * 56 + "..."),
    ],
)
def test_an_unknown_field_is_named_so_that_it_can_be_read(name: object, field: str) -> None:
    with pytest.raises(SpecError, match="is unknown") as caught:
        read_object("", {name: 1}, {"count": COUNT}, [])
    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.parametrize("value", [None, [], "x", 3, [("count", 1)]])
def test_read_object_refuses_what_is_no_object(value: object) -> None:
    with pytest.raises(SpecError, match="must be a JSON object") as caught:
        read_object("", value, {"count": COUNT}, [])
    assert caught.value.problems[0].field == "(body)"
    with pytest.raises(SpecError, match=r"^a: must be a JSON object"):
        read_object("a", value, {"count": COUNT}, [])


@pytest.mark.parametrize("path", ["", "a"])
def test_a_flood_of_problems_is_cut_short(path: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_object(path, {f"x{i}": i for i in range(50_000)}, {"count": COUNT}, [])
    assert len(caught.value.problems) == MOST_PROBLEMS + 1
    assert caught.value.problems[-1] == Problem(path or "(body)", f"has {50_000 - MOST_PROBLEMS:,} more problems")
    with pytest.raises(SpecError, match="list: has 80 more problems"):
        Items(COUNT, 0, 1000).read("list", [0] * (80 + MOST_PROBLEMS))


def test_a_spec_error_survives_the_way_to_another_process() -> None:
    error = SpecError(Problem("a", "must be 1"), Problem("b", "must be 2"))
    back = pickle.loads(pickle.dumps(error))
    assert (str(back), back.problems) == (str(error), error.problems)
