"""A small data set and a training on it, for tests of what workers do."""

from dataclasses import replace

import numpy as np

from studies.datasets.load import PreparedDataset, from_arrays
from studies.results import TrainingResult
from studies.training import TrainingConfig

CONFIG = TrainingConfig(
    cell=0,
    fold=0,
    run=0,
    learning_rate=0.02,
    momentum=0.8,
    weight_decay=1e-3,
    model="paper-cnn",
    loss="dual-process",
    epochs=3,
    batch_size=32,
    bn_statistics="population",
    seed=0,
)


def toy(name: str = "toy", images: int = 240, folds: int = 3, side: int = 10, classes: int = 4) -> PreparedDataset:
    """Noisy prototypes, `[images, side, side + 1]`, hard enough that accuracy stays below 1."""
    generator = np.random.default_rng(5)
    prototypes = generator.integers(0, 60, (classes, side, side + 1))
    labels = np.arange(images) % classes
    pixels = prototypes[labels] + generator.integers(0, 196, (images, side, side + 1))
    return from_arrays(name, pixels, labels, np.arange(images) // classes % folds)


def bits(results: list[TrainingResult]) -> list[TrainingResult]:
    """Everything of results but how long they took."""
    return [replace(result, seconds=0.0) for result in results]


def assert_ends_as_its_curve(result: TrainingResult) -> None:
    """The figures of a finished result are those of its last epoch."""
    for name in ("accuracy", "loss", "train_loss"):
        assert getattr(result, name) == getattr(result.curve, name)[-1], name
