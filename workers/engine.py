"""What every engine is: a way to train the members of a pack, with a name and a numeric class."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from studies.datasets.load import PreparedDataset
from studies.results import TrainingResult
from studies.training import TrainingConfig


class Cancelled(Exception):
    """The pack was cancelled; nothing of it counts."""


class DoesNotFit(Exception):
    """The pack does not fit the device's memory; a smaller one may."""


@dataclass(frozen=True)
class Hooks:
    """How a training talks to whoever started it, between epochs."""

    epoch_done: Callable[[int], None]
    """Called with the number of network-epochs that have just ended."""
    cancelled: Callable[[], bool]
    """Polled at least once per epoch; true ends the pack with Cancelled."""


SILENT = Hooks(epoch_done=lambda count: None, cancelled=lambda: False)


class Engine(Protocol):
    """Trains packs so that a member's bits never depend on the others, on threads or on order."""

    name: str
    network_bytes: int
    """Memory of the device that each member of a pack may need besides the data set."""
    most_classes: int | None
    """Of a data set that it trains; None for any number."""

    def supports(self, config: TrainingConfig, device: str) -> bool:
        """Whether this engine can train that configuration on that device."""

    def numeric_class(self, precision: str, device: str) -> str:
        """What the bits of its results depend on besides their configurations, where it can train them.

        Args:
            precision: of the arithmetic.
            device: `cpu` or `cuda`.
        """

    def at_once(self, device: str, threads: int) -> int:
        """How many networks it trains at the same time: with fewer, a part of the device idles.

        Args:
            device: `cpu` or `cuda`.
            threads: processor threads that it may use.
        """

    def train(
        self, configs: Sequence[TrainingConfig], dataset: PreparedDataset, device: str, threads: int, hooks: Hooks
    ) -> list[TrainingResult]:
        """Train each configuration; results in the order of `configs`.

        Raises:
            Cancelled: `hooks.cancelled` said so.
            DoesNotFit: the device's memory is too small for this pack.
        """
