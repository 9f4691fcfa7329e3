"""The comparison: one frozen value that is the answer to one study."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.comparison.caution import Caution
from studies.comparison.confidence_set import ConfidenceSet
from studies.comparison.divergence import DivergenceRate
from studies.comparison.interval import Verdict
from studies.comparison.populations import Populations
from studies.comparison.ridge import Ridge
from studies.comparison.summary import CellSummary
from studies.comparison.surface import Surface


@dataclass(frozen=True)
class Regret:
    """How far the prescribed point is below the best cell, in units of the score."""

    estimate: float
    """plug-in, biased upwards by the selection of the winner"""
    cross_fitted: float | None
    """selected on one half, measured on the other; may be negative; None where halves cannot be had"""
    low: float
    high: float
    """inf (null in JSON) where the data set no upper limit"""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.estimate <= self.high:
            raise ValueError(f"a regret needs 0 <= low <= estimate <= high, got {self}")


@dataclass(frozen=True)
class Position:
    """Where the prescribed point stands to the best cell."""

    regret: Regret
    prescribed: CellSummary
    best: CellSummary

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; numbers that are not finite become null."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain


@dataclass(frozen=True)
class Comparison:
    """Does the prescribed point sit near the empirical optimum?"""

    verdict: Verdict
    sentence: str
    not_said: str
    margin: float
    confidence: float
    """what the study promises over all its rounds and looks"""
    level: float
    """confidence at which every limit was computed; above `confidence` where rounds or looks share the error"""
    n: int
    """paired replicates: columns of the table"""
    regret: Regret
    replicates_needed: int | None
    prescribed: CellSummary
    best: CellSummary
    references: tuple[CellSummary, ...]
    confidence_set: ConfidenceSet
    landscape: tuple[float, ...]
    """each cell's mean on the footing of `Standing`, -inf (null in JSON) where nothing pairs it"""
    divergence: tuple[DivergenceRate, ...]
    """one per row"""
    ridge: Ridge
    surface: Surface | None
    """None where the grid does not determine one"""
    populations: Populations
    warnings: tuple[Caution, ...]
    method: str

    def __post_init__(self) -> None:
        if self.verdict not in ("equivalent", "inferior", "undecided"):
            raise ValueError(f"verdict must be equivalent, inferior or undecided, got {self.verdict!r}")
        if self.verdict == "equivalent" and not self.regret.high < self.margin:
            raise ValueError(f"equivalent needs high < margin, got {self.regret.high} and {self.margin}")
        if self.verdict == "inferior" and not self.regret.low > self.margin:
            raise ValueError(f"inferior needs low > margin, got {self.regret.low} and {self.margin}")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; numbers that are not finite become null."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"a comparison holds plain values only, got {type(value).__name__}")
