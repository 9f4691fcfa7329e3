"""Declared fields of a specification: one declaration gives the check, its message and the JSON schema.

No validation library is used here because `python -m workers.run spec.json` has to read a specification on
machines that hold nothing but numpy and torch.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

MOST_PROBLEMS = 20
"""How many problems of one kind are named one by one."""


@dataclass(frozen=True)
class Problem:
    """One broken rule."""

    field: str
    """Dotted path of the offending field, `(body)` for the document itself."""
    rule: str
    """The rule in words, with the offending value."""

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}"


class SpecError(ValueError):
    """The specification breaks a rule; `problems` names each field and its rule."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


class Rule(Protocol):
    """What a field accepts."""

    def read(self, path: str, value: object) -> Any:
        """Return the checked value in its canonical type, or raise SpecError."""

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of what is accepted."""


def shown(value: object) -> str:
    """A value as it stands in an error message: short, never a wall of text."""
    try:
        text = repr(value)
    except ValueError:  # an integer past Python's digit limit has no decimal form
        return f"a number of {type(value).__name__} type too long to print"
    except RecursionError:  # json.loads reads lists that are nested deeper than repr can follow from here
        return f"a {type(value).__name__} nested too deeply to print"
    return text if len(text) <= 60 else f"{text[:57]}..."


def refuse(path: str, rule: str, value: object) -> SpecError:
    """A SpecError for one field that names the rule and the offending value."""
    return SpecError(Problem(path, f"{rule}, not {shown(value)}"))


@dataclass(frozen=True)
class Integer:
    """A whole number in [minimum, maximum]; 3.0 is one, as it is to JSON schema."""

    minimum: int
    maximum: int

    def read(self, path: str, value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise refuse(path, "must be a whole number", value)
        if not self.minimum <= value <= self.maximum:
            raise refuse(path, f"must be a whole number from {self.minimum:,} to {self.maximum:,}", value)
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True)
class Number:
    """A finite number between two bounds, each of which may be excluded."""

    minimum: float
    maximum: float
    open_below: bool = False
    open_above: bool = False

    def read(self, path: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refuse(path, "must be a number", value)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        above = number > self.minimum if self.open_below else number >= self.minimum
        below = number < self.maximum if self.open_above else number <= self.maximum
        if not (math.isfinite(number) and above and below):
            raise refuse(path, f"must be a finite number {self._range()}", value)
        return number + 0.0  # -0.0 and 0.0 are one value with one canonical form

    def _range(self) -> str:
        low = f"> {self.minimum:g}" if self.open_below else f">= {self.minimum:g}"
        high = f"< {self.maximum:g}" if self.open_above else f"<= {self.maximum:g}"
        return f"{low} and {high}"

    def json_schema(self) -> dict[str, Any]:
        low = "exclusiveMinimum" if self.open_below else "minimum"
        high = "exclusiveMaximum" if self.open_above else "maximum"
        return {"type": "number", low: self.minimum, high: self.maximum}


@dataclass(frozen=True)
class Text:
    """Printable text of 1 to `longest` characters, without spaces at its ends."""

    longest: int

    def read(self, path: str, value: object) -> str:
        rule = f"must be printable text of 1 to {self.longest} characters"
        if not isinstance(value, str) or not 1 <= len(value) <= self.longest:
            raise refuse(path, rule, value)
        if not value.isprintable() or value != value.strip():
            raise refuse(path, f"{rule}, without control characters or spaces at its ends", value)
        return value

    def json_schema(self) -> dict[str, Any]:
        # What Python calls printable has no regular expression; this is its greater part.
        inside, end = r"[^\x00-\x1f\x7f-\x9f]", r"[^\s\x00-\x1f\x7f-\x9f]"
        return {"type": "string", "minLength": 1, "maxLength": self.longest, "pattern": f"^{end}({inside}*{end})?$"}


@dataclass(frozen=True)
class Choice:
    """One of several names; `options` is called when needed, so that registries may grow."""

    options: Callable[[], Sequence[str]]
    missing: Callable[[], Mapping[str, str]] = dict
    """Names that would be there but for what is wrong with them."""

    def read(self, path: str, value: object) -> str:
        known = self.options()
        if not isinstance(value, str) or value not in known:
            rule = f"must be one of {', '.join(known)}"
            broken = self.missing().get(value) if isinstance(value, str) else None
            raise SpecError(Problem(path, f"{rule}; {broken}")) if broken else refuse(path, rule, value)
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.options())}


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def read(self, path: str, value: object) -> bool:
        if not isinstance(value, bool):
            raise refuse(path, "must be true or false", value)
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Items:
    """A list of `fewest` to `most` items that obey one rule."""

    of: Rule
    fewest: int
    most: int
    distinct: bool = False
    """Whether a value given twice is refused; the items are hashable then."""

    def read(self, path: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise refuse(path, "must be a list", value)
        if not self.fewest <= len(value) <= self.most:
            raise SpecError(Problem(path, f"must have {self.fewest} to {self.most:,} items, not {len(value):,}"))
        items: list[Any] = []
        problems: list[Problem] = []
        for index, item in enumerate(value):
            try:
                items.append(self.of.read(f"{path}[{index}]", item))
            except SpecError as error:
                problems += error.problems
        if problems:
            raise SpecError(*shortened(problems, path))
        if self.distinct and len(set(items)) < len(items):
            raise SpecError(Problem(path, "must be distinct"))
        return tuple(items)

    def json_schema(self) -> dict[str, Any]:
        schema = {"type": "array", "items": self.of.json_schema(), "minItems": self.fewest, "maxItems": self.most}
        return schema | {"uniqueItems": True} if self.distinct else schema


@dataclass(frozen=True)
class Nullable:
    """Null, or what another rule accepts."""

    of: Rule

    def read(self, path: str, value: object) -> Any:
        return None if value is None else self.of.read(path, value)

    def json_schema(self) -> dict[str, Any]:
        return {"anyOf": [self.of.json_schema(), {"type": "null"}]}


def shortened(problems: list[Problem], path: str) -> list[Problem]:
    """The first of many problems of one list or object, and how many more there are: an answer stays readable."""
    more = len(problems) - MOST_PROBLEMS
    if more <= 0:
        return problems
    return [*problems[:MOST_PROBLEMS], Problem(path or "(body)", f"has {more:,} more problems")]


def read_object(path: str, value: object, rules: Mapping[str, Rule], required: Sequence[str]) -> dict[str, Any]:
    """Read the fields of a JSON object, collecting every problem before raising.

    Args:
        path: dotted path of the object, empty for the document.
        value: what stands there.
        rules: the known fields.
        required: the fields that have to be present.

    Returns:
        The fields that were present, checked.

    Raises:
        SpecError: not an object, unknown or missing fields, or fields that break their rules.
    """
    if not isinstance(value, Mapping):
        raise refuse(path or "(body)", "must be a JSON object", value)
    prefix = f"{path}." if path else ""
    problems = [
        Problem(f"{prefix}{_named(name)}", f"is unknown; known fields are {', '.join(rules)}")
        for name in value
        if name not in rules
    ]
    problems = shortened(problems, path)
    problems += [Problem(f"{prefix}{name}", "is required") for name in required if name not in value]
    fields = {}
    for name in (name for name in rules if name in value):
        try:
            fields[name] = rules[name].read(f"{prefix}{name}", value[name])
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(*problems)
    return fields


def _named(name: object) -> str:
    """A field's name in a dotted path: as it is where that is plain, else quoted and escaped."""
    return name if isinstance(name, str) and re.fullmatch(r"[\w-]{1,60}", name) else shown(name)
