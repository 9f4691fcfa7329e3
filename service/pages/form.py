"""The form for a new study: its fields, the specification that they make, and the broken rules beside them.

The form checks nothing itself. What a field accepts is said by the specification's own rules, in their words.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.pages.questions import AXES, FLAGS, FOLDED, OWN_POINT, OWN_REFERENCES, QUESTIONS, SIMPLE, Question
from studies.fields import Problem

Values = Mapping[str, Sequence[str]]
"""What was filled in, by the name of the field."""
MOST_PROBLEMS = 5
"""Problems shown at one field."""


@dataclass(frozen=True)
class Field:
    """A field as it is shown."""

    name: str
    id: str
    label: str
    hint: str
    kind: str
    value: str
    options: tuple[tuple[str, str, bool], ...]
    """(value, text, whether it is chosen)"""
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """Fields under one heading."""

    title: str
    fields: tuple[Field, ...]
    folded: bool
    """whether it is closed at first, since its defaults are rarely changed"""


@dataclass(frozen=True)
class Form:
    """The form with what was filled in."""

    sections: tuple[Section, ...]
    general: tuple[str, ...]
    """problems that belong to no field"""
    problems: int


def specification(values: Values) -> dict[str, Any]:
    """The specification that a form makes; not checked.

    Numbers that cannot be read stay texts, so that the rule of their field is what refuses them.
    """
    document: dict[str, Any] = {"references": list(values.get("references", ()))}
    for question in SIMPLE:
        text = _first(values, question.name)
        if text:
            part, _, key = question.name.rpartition(".")
            target = document.setdefault(part, {}) if part else document
            target[key] = _READ.get(question.kind, str)(text)
    point = {name.partition(".")[2]: _number(text) for name in OWN_POINT if (text := _first(values, name))}
    document["prescribed"] = point or "golden"
    document["grid"] = {name.partition(".")[2]: _axis_document(values, name) for name in AXES}
    for line in filter(None, map(str.strip, _first(values, OWN_REFERENCES).splitlines())):
        name, *numbers = (part.strip() for part in line.split(",", 2))
        own = dict(zip(("learning_rate", "momentum"), map(_number, numbers), strict=False))  # missing ones are refused
        document["references"].append({"name": name, **own})
    return document


def filled(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """What the form holds for a complete specification: the inverse of `specification`."""
    values = {}
    for question in SIMPLE:
        part, _, key = question.name.rpartition(".")
        values[question.name] = [_text((document[part] if part else document)[key])]
    if isinstance(document["prescribed"], Mapping):
        values |= {name: [_text(document["prescribed"][name.partition(".")[2]])] for name in OWN_POINT}
    for name in AXES:
        for key, value in document["grid"][name.partition(".")[2]].items():
            values[f"{name}.{key}"] = [", ".join(map(_text, value)) if isinstance(value, Sequence) else _text(value)]
    own = [one for one in document["references"] if isinstance(one, Mapping)]
    values["references"] = [one for one in document["references"] if isinstance(one, str)]
    lines = (f"{one['name']}, {_text(one['learning_rate'])}, {_text(one['momentum'])}" for one in own)
    values[OWN_REFERENCES] = ["\n".join(lines)]
    return values


def form(values: Values, problems: Sequence[Problem]) -> Form:
    """The form with its values, and each problem at the field that it names."""
    names = [question.name for questions in QUESTIONS.values() for question in questions]
    by_field: dict[str, list[str]] = {}
    for problem in problems:
        by_field.setdefault(_field_of(problem.field, names), []).append(_at_its_field(problem, names))
    sections = [
        Section(
            title,
            tuple(_field(question, values, by_field.get(question.name, ())) for question in questions),
            title in FOLDED and not any(question.name in by_field for question in questions),
        )
        for title, questions in QUESTIONS.items()
    ]
    return Form(tuple(sections), tuple(by_field.get("", ())), len(problems))


def _field(question: Question, values: Values, problems: Sequence[str]) -> Field:
    chosen = set(values.get(question.name, ()))
    return Field(
        name=question.name,
        id=question.name.replace(".", "-"),
        label=question.label,
        hint=question.hint,
        kind=question.kind,
        value=_first(values, question.name),
        options=tuple((value, text, value in chosen) for value, text in question.options()),
        problems=tuple(problems[:MOST_PROBLEMS]),
    )


def _field_of(path: str, names: Sequence[str]) -> str:
    """The form's field for a problem's path: itself, the nearest above it, the first below it, or none."""
    plain = path.partition("[")[0]
    if plain == "references" and path != "references":
        return OWN_REFERENCES
    inside = f"{plain}."
    above = [name for name in names if plain == name or plain.startswith(f"{name}.")]
    below = [name for name in names if name.startswith(inside)]
    return max(above, key=len, default=below[0] if below else "")


def _at_its_field(problem: Problem, names: Sequence[str]) -> str:
    return problem.rule if problem.field in names else str(problem)


def _axis_document(values: Values, name: str) -> dict[str, Any]:
    listed = _first(values, f"{name}.values")
    if listed:
        return {"values": [_number(part.strip()) for part in listed.split(",")]}
    return {key: _number(text) for key in ("factor", "steps") if (text := _first(values, f"{name}.{key}"))}


def _first(values: Values, name: str) -> str:
    return next(iter(values.get(name, ())), "").strip()


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


_READ: Mapping[str, Callable[[str], Any]] = {"number": _number, "flag": lambda text: FLAGS.get(text, text)}
"""How a text becomes a value, by kind of field."""


def _text(value: Any) -> str:
    """A value of a specification as a person types it."""
    return value if isinstance(value, str) else json.dumps(value)
