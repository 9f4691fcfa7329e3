"""One training as data: everything its bits depend on, apart from the images and the numeric class."""

from dataclasses import dataclass
from typing import Any, Self

from studies.grid import Cell
from studies.spec import StudySpec


@dataclass(frozen=True)
class TrainingConfig:
    """What one replicate trains."""

    cell: int
    fold: int
    """The fold that is tested; all other folds are trained on."""
    run: int
    learning_rate: float
    momentum: float
    weight_decay: float
    model: str
    loss: str
    epochs: int
    batch_size: int
    bn_statistics: str
    """`population`: statistics of the whole training set at each evaluation; `moving`: PyTorch's running average."""
    seed: int
    """The study's seed, from which `studies.seeds` derives initial weights and data order."""
    precision: str = "fp32"

    @property
    def key(self) -> tuple[int, int, int]:
        """(cell, fold, run)."""
        return self.cell, self.fold, self.run

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; `from_json` of it gives an equal configuration."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Rebuild what `to_json` wrote."""
        return cls(**document)


def training_config(spec: StudySpec, cell: Cell, fold: int, run: int) -> TrainingConfig:
    """The training of one replicate of a study."""
    return TrainingConfig(
        cell=cell.index,
        fold=fold,
        run=run,
        learning_rate=cell.learning_rate,
        momentum=cell.momentum,
        weight_decay=spec.weight_decay,
        model=spec.model,
        loss=spec.loss,
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        bn_statistics=spec.bn_statistics,
        seed=spec.seed,
        precision=spec.precision,
    )


def check_batch(model: str, batch_size: int, image_shape: tuple[int, int]) -> None:
    """Refuse a batch in which batch norm has a single value per channel, and no variance.

    Args:
        model: a model's name; of models that do not ship only PyTorch knows what reaches their batch norms.
        batch_size: images in a batch.
        image_shape: height and width in pixels.

    Raises:
        ValueError: one image of one position of the filter.
    """
    if model == "paper-cnn" and batch_size == 1 and image_shape == (5, 5):
        raise ValueError("batch_size must be at least 2 for paper-cnn on images of 5 x 5 pixels, not 1")
