"""The study specification: one frozen question with canonical JSON and a fingerprint."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from studies.datasets import registry as datasets
from studies.fields import Choice, Flag, Integer, Items, Number, Problem, SpecError, Text
from studies.models import registry as models
from studies.parts import (
    MAX_CELLS,
    Claim,
    Document,
    Grid,
    NamedPoint,
    PartRule,
    Point,
    PrescribedRule,
    ReferenceRule,
)

SCHEMA_VERSION = 1
LOSSES = ("dual-process", "energy", "sse", "cross-entropy")
ENGINES = ("auto", "packed-cpu", "packed-cuda", "reference")
PRECISIONS = ("fp32", "tf32x3")
"""`tf32x3`: on a GPU's tensor cores, with three products of tf32 parts for one, near the accuracy of `fp32`."""
BN_STATISTICS = ("population", "moving")
MAX_TRAININGS = 1_000_000
UNTITLED = "untitled"


@dataclass(frozen=True)
class StudySpec(Document):
    """One question: does the prescribed point sit near the empirical optimum of this task?

    Raises:
        SpecError: a field breaks its rule; every broken rule is named.
    """

    RULES = {
        "schema": Integer(SCHEMA_VERSION, SCHEMA_VERSION),
        "name": Text(200),
        "dataset": Choice(lambda: tuple(datasets.DATASETS), lambda: datasets.DATASETS.problems),
        "model": Choice(lambda: tuple(models.MODELS), lambda: models.MODELS.problems),
        "loss": Choice(lambda: LOSSES),
        "prescribed": PrescribedRule(),
        "grid": PartRule(Grid),
        "references": Items(ReferenceRule(), 0, 100),
        "folds": Integer(2, 100),
        "folds_used": Integer(1, 100),
        "runs": Integer(1, 10_000),
        "epochs": Integer(1, 10_000),
        "batch_size": Integer(1, 100_000),
        "weight_decay": Number(0, 1),
        "bn_statistics": Choice(lambda: BN_STATISTICS),
        "engine": Choice(lambda: ENGINES),
        "precision": Choice(lambda: PRECISIONS),
        "racing": Flag(),
        "priority": Integer(-100, 100),
        "seed": Integer(0, 2**53 - 1),
        "claim": PartRule(Claim),
    }
    REQUIRED = ("dataset", "loss")

    dataset: str
    loss: str
    schema: int = SCHEMA_VERSION
    name: str = UNTITLED
    """What a person calls it; not part of the fingerprint."""
    model: str = "paper-cnn"
    prescribed: str | Point = "golden"
    grid: Grid = Grid()
    references: tuple[str | NamedPoint, ...] = ("matlab", "pytorch", "plain", "same-effective-rate", "no-momentum")
    folds: int = 10
    """How many folds the data are cut into; a study may use only the first `folds_used` of them."""
    folds_used: int = 0
    """0 stands for all folds and is replaced by their number at birth."""
    runs: int = 10
    """Trainings per fold and cell, each with its own seeds."""
    epochs: int = 30
    batch_size: int = 128
    weight_decay: float = 1e-4
    bn_statistics: str = "population"
    engine: str = "auto"
    precision: str = "fp32"
    racing: bool = False
    priority: int = 0
    """Higher goes first; not part of the fingerprint."""
    seed: int = 0
    claim: Claim = Claim()

    def __post_init__(self) -> None:
        if type(self.folds_used) is int and self.folds_used == 0:
            object.__setattr__(self, "folds_used", self.folds)
        super().__post_init__()
        problems = tuple(self._across_fields())
        if problems:
            raise SpecError(*problems)

    def _across_fields(self) -> list[Problem]:
        problems = []
        if self.folds_used > self.folds:
            problems.append(Problem("folds_used", f"must be at most folds = {self.folds}, not {self.folds_used}"))
        names = [reference if isinstance(reference, str) else reference.name for reference in self.references]
        if len(set(names)) < len(names) or {"prescribed", "golden"} & set(names):
            problems.append(Problem("references", 'must have distinct names other than "prescribed" and "golden"'))
        cells = self.grid.learning_rate.count * self.grid.momentum.count + len(self.references) + 1
        if cells > MAX_CELLS + len(self.references) + 1:
            problems.append(Problem("grid", f"must have at most {MAX_CELLS:,} cells, not {cells:,}"))
        elif cells * self.folds_used * self.runs > MAX_TRAININGS:
            rule = f"must make at most {MAX_TRAININGS:,} trainings, not {cells * self.folds_used * self.runs:,}"
            problems.append(Problem("runs", f"{rule} (cells x folds_used x runs)"))
        if self.engine.startswith("packed") and self.bn_statistics != "population":
            rule = f"must be auto or reference with bn_statistics {self.bn_statistics}, not {self.engine}"
            problems.append(Problem("engine", rule))
        if self.precision == "tf32x3" and self.engine != "packed-cuda":
            rule = f"must be fp32 with engine {self.engine}, not {self.precision}: only packed-cuda has it"
            problems.append(Problem("precision", rule))
        if self.racing:
            problems.extend(self._race_problems())
        return problems

    def _race_problems(self) -> list[Problem]:
        from studies.racing import rounds  # scipy, which a worker need not have

        if len(rounds(self.folds_used, self.runs)) > 1:
            return []
        rule = f"must be false with {self.folds_used} folds and {self.runs} runs, which make a single round"
        return [Problem("racing", rule)]

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON schema, with the documented defaults; that of `folds_used` depends on `folds`."""
        schema = super().json_schema()
        folds_used = schema["properties"]["folds_used"]
        del folds_used["default"]
        folds_used["description"] = "by default all folds"
        return schema

    @property
    def replicates_per_cell(self) -> int:
        """Columns of the score table: folds used times runs."""
        return self.folds_used * self.runs

    @property
    def fingerprint(self) -> str:
        """sha256 of the canonical JSON without what does not change the answer (`name`, `priority`)."""
        document = {key: value for key, value in self.to_json().items() if key not in ("name", "priority")}
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()
