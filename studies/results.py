"""Results of trainings, which check their own shapes and ranges at birth."""

import base64
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class Outcome(StrEnum):
    """How a training ended; `failed` is the machine's failure, `diverged` the experiment's."""

    FINISHED = "finished"
    DIVERGED = "diverged"
    FAILED = "failed"


@dataclass(frozen=True)
class Curve:
    """Metrics after each epoch, null from the epoch of divergence on."""

    accuracy: tuple[float | None, ...]
    """Share of test images classified rightly."""
    loss: tuple[float | None, ...]
    """Mean test loss."""
    train_loss: tuple[float | None, ...]
    """Mean over the epoch's batches of the training loss before each update."""

    def __post_init__(self) -> None:
        lengths = {len(self.accuracy), len(self.loss), len(self.train_loss)}
        if len(lengths) != 1:
            raise ValueError(f"a curve has one value per epoch in each column, not {sorted(lengths)} values")
        for name in ("accuracy", "loss", "train_loss"):
            for value in getattr(self, name):
                _check_finite(f"curve.{name}", value)

    def to_json(self) -> dict[str, list[float | None]]:
        """Three lists by name."""
        return {"accuracy": list(self.accuracy), "loss": list(self.loss), "train_loss": list(self.train_loss)}


@dataclass(frozen=True)
class TrainingResult:
    """What one training gave."""

    cell: int
    fold: int
    run: int
    outcome: Outcome
    accuracy: float | None
    """Share of test images classified rightly after the last epoch; 1/classes if diverged, None if failed."""
    brier: float | None
    """Mean squared distance of the predicted distribution from the truth; that of a uniform guess if diverged."""
    loss: float | None
    """Mean test loss after the last epoch; None if diverged."""
    train_loss: float | None
    """Mean training loss of the last epoch; None if diverged."""
    curve: Curve
    correct: bytes | None
    """One bit per test image in ascending order, most significant first, padded with zeros; None if diverged."""
    seconds: float
    """Wall time of the training, its share of a pack."""
    engine: str
    precision: str
    device: str
    numeric_class: str
    reason: str | None = None
    """Why it failed."""

    def __post_init__(self) -> None:
        if self.outcome is Outcome.FAILED and not self.reason:
            raise ValueError("a failed training states its reason")
        for name, most in (("accuracy", 1), ("brier", 2)):
            value = getattr(self, name)
            if (value is None) != (self.outcome is Outcome.FAILED):
                raise ValueError(f"{name} of a {self.outcome} training must not be {value!r}")
            if value is not None and not 0 <= value <= most:
                raise ValueError(f"{name} must be from 0 to {most}, not {value!r}")
        for name in ("loss", "train_loss"):
            value = getattr(self, name)
            _check_finite(name, value)
            if (value is None) == (self.outcome is Outcome.FINISHED):
                raise ValueError(f"{name} of a {self.outcome} training must not be {value!r}")
        if (self.correct is None) == (self.outcome is Outcome.FINISHED):
            raise ValueError("a training states which test images it got right if, and only if, it finished")

    @property
    def key(self) -> tuple[int, int, int]:
        """(cell, fold, run)."""
        return self.cell, self.fold, self.run

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; `from_json` of it gives an equal result."""
        document = dict(vars(self))
        document["outcome"] = self.outcome.value
        document["curve"] = self.curve.to_json()
        document["correct"] = None if self.correct is None else base64.b64encode(self.correct).decode()
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Rebuild what `to_json` wrote, checking it again."""
        curve = Curve(**{name: tuple(values) for name, values in document["curve"].items()})
        correct = document["correct"]
        fields = document | {
            "outcome": Outcome(document["outcome"]),
            "curve": curve,
            "correct": None if correct is None else base64.b64decode(correct, validate=True),
        }
        return cls(**fields)


def _check_finite(name: str, value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"{name} must be finite or None, not {value!r}")
