"""The parts of a study specification: points, axes, the grid and the claim."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from studies.fields import (
    Choice,
    Integer,
    Items,
    Number,
    Problem,
    Rule,
    SpecError,
    Text,
    read_object,
    refuse,
)

METRICS = ("accuracy",)
REFERENCES = ("matlab", "pytorch", "plain", "same-effective-rate", "no-momentum")
MAX_CELLS = 2_000

LEARNING_RATE = Number(0, 1e6, open_below=True)
MOMENTUM = Number(0, 1, open_above=True)


@dataclass(frozen=True)
class Part:
    """A piece of a specification that checks itself at birth against its declared rules."""

    RULES: ClassVar[Mapping[str, Rule]] = {}
    REQUIRED: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def read(cls, path: str, value: object) -> Self:
        """Build from parsed JSON, or raise SpecError with every broken rule."""
        if isinstance(value, cls):
            return value
        part = read_object(path, value, cls.RULES, cls.REQUIRED)
        try:
            return cls(**part)
        except SpecError as error:
            prefix = f"{path}." if path else ""
            raise SpecError(*(Problem(f"{prefix}{p.field}", p.rule) for p in error.problems)) from None

    def __post_init__(self) -> None:
        present = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, checked in read_object("", present, self.RULES, self.REQUIRED).items():
            object.__setattr__(self, name, checked)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON schema, with the documented defaults."""
        defaults = {field.name: field.default for field in fields(cls)}
        properties = {}
        for name, rule in cls.RULES.items():
            properties[name] = rule.json_schema()
            if name not in cls.REQUIRED:
                properties[name]["default"] = plain(defaults[name])
        return {
            "type": "object",
            "properties": properties,
            "required": list(cls.REQUIRED),
            "additionalProperties": False,
        }


def plain(value: Any) -> Any:
    """A specification's value as plain JSON types."""
    if isinstance(value, Part):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


@dataclass(frozen=True)
class Document(Part):
    """A whole specification, which goes to JSON and comes back equal."""

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Build from parsed JSON.

        Raises:
            SpecError: every broken rule, each with the dotted path of its field.
        """
        return cls.read("", document)

    @classmethod
    def from_json_text(cls, text: str) -> Self:
        """Build from JSON text, as `canonical` writes it."""
        return cls.from_json(json.loads(text))

    def to_json(self) -> dict[str, Any]:
        """The complete document, defaults filled in; `from_json` of it gives an equal specification."""
        document: dict[str, Any] = plain(self)
        return document

    def canonical(self) -> str:
        """JSON with sorted keys and no spaces: equal specifications have equal text."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Point(Part):
    """A learning rate and a momentum."""

    RULES = {"learning_rate": LEARNING_RATE, "momentum": MOMENTUM}
    REQUIRED = ("learning_rate", "momentum")

    learning_rate: float
    momentum: float


@dataclass(frozen=True)
class NamedPoint(Part):
    """A reference of the user's own."""

    RULES = {"name": Text(40), "learning_rate": LEARNING_RATE, "momentum": MOMENTUM}
    REQUIRED = ("name", "learning_rate", "momentum")

    name: str
    learning_rate: float
    momentum: float


@dataclass(frozen=True)
class FactorAxis(Part):
    """2 * steps + 1 values around the prescribed one, each `factor` times the one before."""

    RULES = {"factor": Number(1, 1000, open_below=True), "steps": Integer(0, (MAX_CELLS - 1) // 2)}
    REQUIRED = ("factor", "steps")

    factor: float
    steps: int

    @property
    def count(self) -> int:
        """How many values the axis has."""
        return 2 * self.steps + 1


@dataclass(frozen=True)
class AxisValues(Part):
    """Values given one by one, kept in ascending order; its heirs say in which range they lie."""

    REQUIRED = ("values",)

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "values", tuple(sorted(self.values)))

    @property
    def count(self) -> int:
        """How many values the axis has."""
        return len(self.values)


@dataclass(frozen=True)
class LearningRateValues(AxisValues):
    """Learning rates given one by one."""

    RULES = {"values": Items(LEARNING_RATE, 1, MAX_CELLS, distinct=True)}


@dataclass(frozen=True)
class MomentumValues(AxisValues):
    """Momenta given one by one."""

    RULES = {"values": Items(MOMENTUM, 1, MAX_CELLS, distinct=True)}


@dataclass(frozen=True)
class AxisRule:
    """Either `{"factor", "steps"}` or `{"values"}`."""

    values: type[AxisValues]

    def read(self, path: str, value: object) -> FactorAxis | AxisValues:
        if isinstance(value, FactorAxis | self.values):
            return value
        if not isinstance(value, Mapping):
            raise refuse(path, 'must be {"factor", "steps"} or {"values"}', value)
        return self.values.read(path, value) if "values" in value else FactorAxis.read(path, value)

    def json_schema(self) -> dict[str, Any]:
        return {"anyOf": [FactorAxis.json_schema(), self.values.json_schema()]}


@dataclass(frozen=True)
class PrescribedRule:
    """`"golden"` or the user's own point."""

    def read(self, path: str, value: object) -> str | Point:
        if value == "golden":
            return "golden"
        if isinstance(value, str):
            raise refuse(path, 'must be "golden" or {"learning_rate", "momentum"}', value)
        return Point.read(path, value)

    def json_schema(self) -> dict[str, Any]:
        return {"anyOf": [{"const": "golden"}, Point.json_schema()]}


@dataclass(frozen=True)
class ReferenceRule:
    """The name of a shipped reference or a point with a name of its own."""

    def read(self, path: str, value: object) -> str | NamedPoint:
        if isinstance(value, str):
            return Choice(lambda: REFERENCES).read(path, value)
        return NamedPoint.read(path, value)

    def json_schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "enum": list(REFERENCES)}, NamedPoint.json_schema()]}


@dataclass(frozen=True)
class PartRule:
    """A nested part."""

    of: type[Part]

    def read(self, path: str, value: object) -> Part:
        return self.of.read(path, value)

    def json_schema(self) -> dict[str, Any]:
        return self.of.json_schema()


@dataclass(frozen=True)
class Grid(Part):
    """The two axes of the grid, by default 7 x 7 with one factor, so that diagonals keep the effective rate."""

    RULES = {"learning_rate": AxisRule(LearningRateValues), "momentum": AxisRule(MomentumValues)}

    learning_rate: FactorAxis | LearningRateValues = FactorAxis(1.6, 3)
    momentum: FactorAxis | MomentumValues = FactorAxis(1.6, 3)


@dataclass(frozen=True)
class Claim(Part):
    """What is claimed, fixed before the run."""

    RULES = {
        "metric": Choice(lambda: METRICS),
        "margin": Number(0, 1, open_below=True, open_above=True),
        "confidence": Number(0.5, 1, open_below=True, open_above=True),
    }

    metric: str = "accuracy"
    margin: float = 0.001
    """The largest regret that still counts as equivalent, a fraction."""
    confidence: float = 0.95
