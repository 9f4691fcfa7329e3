"""The table of a suite as text, for the command line and the page."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from studies.documents.comparison import DivergenceDocument
from studies.documents.suite import PublishedDocument, RowDocument

if TYPE_CHECKING:  # it describes itself with pydantic, which a command need not load
    from service.schemas.suites import SuiteTableDocument


UNKNOWN = "–"


@dataclass(frozen=True)
class SuiteLine:
    """One row; accuracies in percent, spreads in points."""

    name: str
    study_id: str
    study_status: str
    """`deleted`, or what a user sees of the study."""
    loss: str
    learning_rate: str
    momentum: str
    mean: str
    over_folds: str
    """Standard deviation of the means of the folds."""
    over_runs: str
    """Standard deviation of the means of whole cross-validation runs."""
    n: str
    """Trainings, and of how many while the row is not complete."""
    diverged: str
    divergence: str
    """Its rate with limits."""
    published: str
    """Mean and standard deviation that a paper reports."""
    source: str
    """Where; empty where there is none."""


@dataclass(frozen=True)
class SuiteText:
    """Everything that the table says."""

    name: str
    status: str
    complete: bool
    lines: tuple[SuiteLine, ...]
    contrasts: tuple[tuple[str, str], ...]
    """(sentence, note), the note empty where there is none."""
    notes: tuple[str, ...]
    sources: tuple[str, ...]
    """Of the published figures, each once."""
    warnings: tuple[tuple[str, str], ...]
    """(code, text)"""
    method: str


def suite_text(table: "SuiteTableDocument") -> SuiteText:
    """Put a table into words and figures.

    Args:
        table: as `/v1/suites/{id}/table` gives it.
    """
    lines = tuple(_line(row) for row in table["rows"])
    return SuiteText(
        table["name"],
        table["status"],
        table["complete"],
        lines,
        tuple((contrast["sentence"], contrast["note"] or "") for contrast in table["contrasts"]),
        tuple(table["notes"]),
        tuple(dict.fromkeys(line.source for line in lines if line.source)),
        tuple((warning["code"], warning["text"]) for warning in table["warnings"]),
        table["method"],
    )


def _line(row: RowDocument) -> SuiteLine:
    rate, published = row["divergence"], row["published"]
    return SuiteLine(
        name=row["name"],
        study_id=row["study_id"],
        study_status=row["study_status"],
        loss=row["loss"],
        learning_rate=f"{row['learning_rate']:.3g}",
        momentum=f"{row['momentum']:.3g}",
        mean=_points(row["mean"]),
        over_folds=_points(row["spread_over_folds"]["std"]),
        over_runs=_points(row["spread_over_runs"]["std"]),
        n=str(row["n"]) if row["complete"] else f"{row['n']} of {row['wanted']}",
        diverged=str(row["diverged"]),
        divergence=UNKNOWN if rate is None else _rate(rate),
        published=UNKNOWN if published is None else _published(published),
        source="" if published is None else published["source"],
    )


def _points(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.2f}"


def _rate(rate: DivergenceDocument) -> str:
    return f"{rate['diverged']} of {rate['n']} diverged, 95 % limits {rate['low']:.2g} to {rate['high']:.2g}"


def _published(published: PublishedDocument) -> str:
    """With as many digits as the paper gives."""
    mean = f"{100 * published['mean']:.6g}"
    return mean if published["std"] is None else f"{mean} ± {100 * published['std']:.6g}"
