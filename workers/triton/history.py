"""One network's epochs, as the host has read them, and the result that they make."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from studies.results import Curve, Outcome, TrainingResult
from studies.training import TrainingConfig
from workers.devices import device_name, numeric_class


@dataclass(frozen=True)
class Epoch:
    """What an epoch that did not diverge gave."""

    accuracy: float
    brier: float
    loss: float
    train_loss: float


@dataclass
class History:
    """The epochs of one network, until it diverged or ended."""

    config: TrainingConfig
    epochs: list[Epoch] = field(default_factory=list)
    diverged: bool = False

    def add(self, epoch: Epoch | None) -> int:
        """Note how an epoch went, None if it diverged; returns the number of network-epochs that have just ended."""
        if self.diverged:
            return 0
        if epoch is None:
            self.diverged = True
            return self.config.epochs - len(self.epochs)
        self.epochs.append(epoch)
        return 1

    def result(
        self, correct: NDArray[np.uint8], classes: int, device: str, seconds: float, engine: str, version: int
    ) -> TrainingResult:
        """The training's result.

        Args:
            correct: [N_test], 1 where a test image was classified rightly after the last epoch.
            classes: number of classes.
            device: where it ran.
            seconds: its share of the pack's.
            engine, version: who trained it.
        """
        config = self.config
        lost = (None,) * (config.epochs - len(self.epochs))
        last = None if self.diverged else self.epochs[-1]
        return TrainingResult(
            cell=config.cell,
            fold=config.fold,
            run=config.run,
            outcome=Outcome.FINISHED if last else Outcome.DIVERGED,
            accuracy=last.accuracy if last else 1 / classes,
            brier=last.brier if last else 1 - 1 / classes,
            loss=last.loss if last else None,
            train_loss=last.train_loss if last else None,
            curve=Curve(
                tuple(epoch.accuracy for epoch in self.epochs) + lost,
                tuple(epoch.loss for epoch in self.epochs) + lost,
                tuple(epoch.train_loss for epoch in self.epochs) + lost,
            ),
            correct=np.packbits(correct).tobytes() if last else None,
            seconds=seconds,
            engine=engine,
            precision=config.precision,
            device=device_name(device),
            numeric_class=numeric_class(engine, version, config.precision, device),
        )
