"""The fields of the form for a new study, in its order; each is named by its dotted path in the specification."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from studies.datasets.registry import DATASETS
from studies.models.registry import MODELS
from studies.parts import REFERENCES
from studies.spec import BN_STATISTICS, ENGINES, LOSSES, PRECISIONS

OWN_POINT = ("prescribed.learning_rate", "prescribed.momentum")
AXES = ("grid.learning_rate", "grid.momentum")
OWN_REFERENCES = "references.own"
FLAGS = {"false": False, "true": True}


@dataclass(frozen=True)
class Question:
    """One field of the form; its name is the dotted path in the specification."""

    name: str
    label: str
    hint: str = ""
    kind: str = "text"
    """`text`, `number`, `choice`, `flag`, `choices` or `lines`"""
    options: Callable[[], Sequence[tuple[str, str]]] = tuple
    """(value, text) of a choice"""


def _plain(values: Sequence[str]) -> list[tuple[str, str]]:
    return [(value, value) for value in values]


def _datasets() -> list[tuple[str, str]]:
    return [(info.name, f"{info.name}: {info.title}") for info in DATASETS.values()]


def _models() -> list[tuple[str, str]]:
    return [(info.name, f"{info.name}: {info.title}") for info in MODELS.values()]


def _flag() -> list[tuple[str, str]]:
    return [("false", "no"), ("true", "yes")]


def _axis(name: str, hint: str) -> tuple[Question, ...]:
    return (
        Question(f"{name}.factor", "Factor", hint, "number"),
        Question(f"{name}.steps", "Steps", "to each side of the prescribed point", "number"),
        Question(f"{name}.values", "or values", "instead of factor and steps, with commas between"),
    )


QUESTIONS: dict[str, tuple[Question, ...]] = {
    "What is trained": (
        Question("name", "Name", "for you; not part of the question"),
        Question("dataset", "Data set", kind="choice", options=_datasets),
        Question("loss", "Loss", "dual-process is eq. 26 of the paper", "choice", lambda: _plain(LOSSES)),
    ),
    "Prescribed point": (
        Question(OWN_POINT[0], "Learning rate", "both empty: the point derived from the golden ratio", "number"),
        Question(OWN_POINT[1], "Momentum", "at least 0, below 1", "number"),
    ),
    "Grid of learning rates": _axis(AXES[0], "each is so many times the one before"),
    "Grid of momenta": _axis(AXES[1], "of 1 − momentum; equal factors put diagonals on one effective rate"),
    "How often": (
        Question("folds", "Folds", "parts that the data are cut into", "number"),
        Question("folds_used", "Folds used", "the first so many of them; empty: all", "number"),
        Question("runs", "Runs", "trainings of each cell on each fold used, with seeds of their own", "number"),
        Question("epochs", "Epochs", "of each training", "number"),
        Question("racing", "Racing", "cells out of the running get no more trainings", "flag", _flag),
    ),
    "What counts as near": (
        Question("claim.margin", "Margin", "loss of accuracy that does not matter; 0.001 is 0.1 points", "number"),
        Question("claim.confidence", "Confidence", "of the interval, as a fraction", "number"),
    ),
    "References and details": (
        Question("references", "References", "settings to compare with", "choices", lambda: _plain(REFERENCES)),
        Question(OWN_REFERENCES, "Own references", "one to a line: name, learning rate, momentum", "lines"),
        Question("model", "Model", "", "choice", _models),
        Question("batch_size", "Batch size", "", "number"),
        Question("weight_decay", "Weight decay", "", "number"),
        Question("bn_statistics", "Batch norm", "statistics at evaluation", "choice", lambda: _plain(BN_STATISTICS)),
        Question("engine", "Engine", "", "choice", lambda: _plain(ENGINES)),
        Question("precision", "Precision", "tf32x3 with packed-cuda only", "choice", lambda: _plain(PRECISIONS)),
        Question("seed", "Seed", "", "number"),
        Question("priority", "Priority", "higher goes first", "number"),
    ),
}
FOLDED = frozenset({"References and details"})
SIMPLE = tuple(
    question
    for questions in QUESTIONS.values()
    for question in questions
    if not question.name.startswith(("prescribed.", "grid.", "references"))
)
"""Fields with one value that stands in the specification as it is."""
