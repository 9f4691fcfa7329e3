"""What a picture is drawn from; plain values, so that it crosses to the computing process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.curves import Band
from service.names import prescribed_name
from service.plots.footing import footing


@dataclass(frozen=True)
class Scene:
    """A study's documents as the REST interface gives them, with the learning curves of its contenders."""

    study: Mapping[str, Any]
    """As `/v1/studies/{id}` gives it."""
    comparison: Mapping[str, Any]
    """As `/v1/studies/{id}/comparison` gives it."""
    cells: Sequence[Mapping[str, Any]]
    """As `/v1/studies/{id}/cells` gives them, in order; the prescribed point first."""
    curves: dict[int, Band]
    """By cell: those of `contenders` that have a training."""

    def __post_init__(self) -> None:
        if [cell["cell"] for cell in self.cells] != list(range(len(self.cells))):
            raise ValueError("cells must be all of a study's cells in order")
        if not self.cells:
            raise ValueError("cells must not be empty: a study has them once its data set is prepared")

    @property
    def means(self) -> tuple[float | None, ...]:
        """Of each cell, on one footing."""
        return footing(self.cells, self.comparison)

    @property
    def n(self) -> int:
        """Paired replicates behind the comparison."""
        return int(self.comparison["n"])


@dataclass(frozen=True)
class Contender:
    """One of the cells that a reader looks for."""

    cell: int
    name: str
    """`golden (prescribed)`, or `prescribed` for a user's own point, `best cell`, or the name of a reference."""
    role: Literal["prescribed", "best", "reference"]


def contenders(comparison: Mapping[str, Any]) -> tuple[Contender, ...]:
    """The prescribed point, the best cell and the references of a comparison, in this order; cells may occur twice."""
    prescribed, best = comparison["prescribed"], comparison["best"]
    named = [Contender(prescribed["cell"], prescribed_name(prescribed["label"]), "prescribed")]
    if best is not None:
        named.append(Contender(best["cell"], "best cell", "best"))
    references = comparison["references"]
    return (*named, *(Contender(reference["cell"], reference["label"], "reference") for reference in references))
