"""`python -m workers.agreement`: whether a packed engine's final accuracies are those of the reference.

Both train the same seeds, (fold, run) pairs, with each loss. A training amplifies the rounding of its first step until
test images change sides, so equal trajectories are not asked for: it is the mean of the paired differences that has to
lie within a margin, by two one-sided t tests. How far rounding alone takes a training is measured beside it: both train
the same seeds again, the learning rate moved by one rounding.
"""

import argparse
import dataclasses
import json
import math
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from studies.datasets.errors import DatasetError
from studies.datasets.load import PreparedDataset, load
from studies.golden import LEARNING_RATE, MOMENTUM
from studies.losses import LOSSES
from studies.parts import LEARNING_RATE as LEARNING_RATES
from studies.results import TrainingResult
from studies.statistics import student_quantile
from studies.training import TrainingConfig
from workers.devices import default_device
from workers.packed_cpu import PackedCpu
from workers.packed_cuda import PackedCuda
from workers.reference import Reference
from workers.train import train_pack

MARGIN = 0.001
"""0.1 points of accuracy: the default margin of a study's claim."""
ONE_ROUNDING = 2.0**-23
"""Distance of neighbouring float32 numbers, relative to them, at most."""
_ROW = "{:13}  {:>9}  {:>8}  {:>7}  {:>7}  {:>7}  {:>8}  {:>12}  {:>18}  {:>18}"


@dataclass(frozen=True)
class Agreement:
    """Final test accuracies of an engine minus those of the reference, paired by seed, as fractions."""

    loss: str
    n: int
    """Pairs."""
    accuracy: float
    """Mean of the reference."""
    outcomes_differ: int
    """Pairs of which one training diverged and the other did not; they count, the diverged one as 1/classes."""
    equal: int
    """Pairs whose accuracies are equal."""
    largest: float
    """Largest absolute difference."""
    mean: float
    std: float
    """Of one difference, with n - 1 degrees of freedom."""
    rounding_std: float
    """The same of the engine's differences from itself when the learning rate moves by ONE_ROUNDING."""
    reference_rounding_std: float
    """The same of the reference's."""
    interval_90: tuple[float, float]
    """t interval of the mean."""
    interval_95: tuple[float, float]

    @property
    def within_margin(self) -> bool:
        """Whether both one-sided tests at 0.05 reject a difference of MARGIN: the 90 % interval lies within it."""
        return max(abs(limit) for limit in self.interval_90) < MARGIN


def compare(
    found: Sequence[TrainingResult],
    truth: Sequence[TrainingResult],
    nudged: tuple[Sequence[TrainingResult], Sequence[TrainingResult]],
    *,
    loss: str,
    test_images: int,
) -> Agreement:
    """Paired differences, found - truth.

    Standard errors are at least those of rounding to whole test images, (1 / test_images) / sqrt(12 n).

    Args:
        found, truth: finished or diverged results of the same replicates in the same order, at least 2.
        nudged: those of both engines, in this order, with a learning rate that differs by ONE_ROUNDING.
        loss: what all of them trained.
        test_images: of one fold, at least 1.

    Raises:
        ValueError: fewer than two pairs, or other replicates.

    Assumes: differences of different seeds are independent draws of one distribution.
    Speaks for: new seeds on the same images and folds; the spread between folds is pooled in, which is conservative.
    Source: Schuirmann (1987), J. Pharmacokinet. Biopharm. 15, 657, for the two one-sided tests.
    """
    keys = [[result.key for result in results] for results in (found, truth, *nudged)]
    if any(others != keys[0] for others in keys):
        raise ValueError("found, truth and nudged must hold the same replicates in the same order")
    n = len(found)
    if n < 2:
        raise ValueError(f"seeds must be at least 2, for a spread, not {n}")
    measured, expected, moved, moved_truth = (
        np.array([result.accuracy for result in results], dtype=np.float64) for results in (found, truth, *nudged)
    )
    differences = measured - expected
    mean, std = float(differences.mean()), float(differences.std(ddof=1))
    error = max(std, 1 / test_images / math.sqrt(12)) / math.sqrt(n)

    def interval(level: float) -> tuple[float, float]:
        reach = float(student_quantile((1 + level) / 2, np.array(n - 1))) * error
        return mean - reach, mean + reach

    return Agreement(
        loss=loss,
        n=n,
        accuracy=float(expected.mean()),
        outcomes_differ=sum(a.outcome is not b.outcome for a, b in zip(found, truth, strict=True)),
        equal=int((differences == 0).sum()),
        largest=float(np.abs(differences).max()),
        mean=mean,
        std=std,
        rounding_std=float((moved - measured).std(ddof=1)),
        reference_rounding_std=float((moved_truth - expected).std(ddof=1)),
        interval_90=interval(0.90),
        interval_95=interval(0.95),
    )


def trainings(loss: str, learning_rate: float, seeds: int, epochs: int, folds: int, seed: int) -> list[TrainingConfig]:
    """One training of the paper's network per seed, on each fold in turn, at the derived momentum; all else as studies
    have it by default."""
    return [
        TrainingConfig(
            cell=0,
            fold=pair % folds,
            run=pair // folds,
            learning_rate=learning_rate,
            momentum=MOMENTUM,
            weight_decay=1e-4,
            model="paper-cnn",
            loss=loss,
            epochs=epochs,
            batch_size=128,
            bn_statistics="population",
            seed=seed,
        )
        for pair in range(seeds)
    ]


def measure(
    dataset: PreparedDataset, engine: str, *, loss: str, learning_rate: float, seeds: int, epochs: int, seed: int = 0
) -> tuple[Agreement, str]:
    """Train with a packed engine and with the reference, on the engine's device.

    Args:
        dataset: prepared; the images of its smallest fold set the rounding of an accuracy.
        engine: `packed-cpu` or `packed-cuda`.
        loss: a name in `studies.losses.LOSSES`.
        learning_rate: as a study may have it.
        seeds: (fold, run) pairs, at least 2.
        epochs: of each training, at least 1.
        seed: of all of them, as a study has one, at least 0; another gives other weights and orders on the same folds.

    Returns:
        The agreement, and the numeric class of the engine.

    Raises:
        ValueError: a number out of its range, or the engine cannot train here.
    """
    for name, value, least in (("seeds", seeds, 2), ("epochs", epochs, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
    LEARNING_RATES.read("learning_rate", learning_rate)
    device = "cuda" if engine == PackedCuda.name else "cpu"
    if device == "cuda" != default_device():
        raise ValueError(f"engine {engine} needs a GPU, and torch sees none here")
    configs = trainings(loss, learning_rate, seeds, epochs, dataset.n_folds, seed)
    nudged = [dataclasses.replace(each, learning_rate=learning_rate * (1 + ONE_ROUNDING)) for each in configs]
    found, moved = (train_pack(each, dataset, device, engine=engine) for each in (configs, nudged))
    truth, moved_truth = (train_pack(each, dataset, device, engine=Reference.name) for each in (configs, nudged))
    agreement = compare(
        found,
        truth,
        (moved, moved_truth),
        loss=loss,
        test_images=int(np.bincount(dataset.folds).min()),
    )
    return agreement, found[0].numeric_class


def main(arguments: list[str] | None = None) -> int:
    """Print one line per loss; 0 if every mean is within the margin, 1 if not, 2 for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m workers.agreement", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=30, help="(fold, run) pairs (default: 30)")
    parser.add_argument("--seed", type=int, default=0, help="of all pairs, as a study has one (default: 0)")
    parser.add_argument("--epochs", type=int, default=5, help="of each training (default: 5)")
    parser.add_argument("--loss", choices=tuple(LOSSES), action="append", help="may be repeated (default: all)")
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE, help="default: the derived one")
    parser.add_argument("--dataset", type=Path, help="prepared .npz (default: rotated-digits, prepared in var)")
    parser.add_argument("--engine", choices=(PackedCpu.name, PackedCuda.name), default=PackedCpu.name)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    settings = {name: getattr(options, name) for name in ("learning_rate", "seeds", "seed", "epochs")}
    found: list[Agreement] = []
    try:
        dataset = load(options.dataset or _prepared())
        for loss in options.loss or LOSSES:
            agreement, numeric_class = measure(dataset, options.engine, loss=loss, **settings)
            found.append(agreement)
            if not options.json:
                heading = _heading(numeric_class, dataset.name, **settings) if len(found) == 1 else ""
                print(heading + _line(agreement), flush=True)
    except (OSError, ValueError, DatasetError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        rows = [dataclasses.asdict(agreement) | {"within_margin": agreement.within_margin} for agreement in found]
        print(json.dumps({"numeric_class": numeric_class, **settings, "margin": MARGIN, "losses": rows}, indent=2))
    return 0 if all(agreement.within_margin for agreement in found) else 1


def _heading(numeric_class: str, dataset: str, learning_rate: float, seeds: int, seed: int, epochs: int) -> str:
    columns = (
        "loss",
        "reference",
        "equal",
        "largest",
        "mean",
        "std",
        "rounding",
        "reference's",
        "90 % interval",
        "95 % interval",
    )
    return (
        f"{numeric_class}, python {platform.python_version()}, numpy {np.__version__}\n"
        f"{dataset}, {seeds} seeds of {epochs} epochs at ({learning_rate:.4g}, {MOMENTUM:.4g}), study seed {seed}, "
        "points of accuracy\n"
        f"{_ROW.format(*columns)}\n"
    )


def _line(agreement: Agreement) -> str:
    """A row of the table, in points (hundredths) of accuracy."""
    a = agreement
    spreads = (a.std, a.rounding_std, a.reference_rounding_std)
    accuracy, *spread = [f"{100 * v:.3f}" for v in (a.accuracy, a.largest, a.mean, *spreads)]
    intervals = [f"{100 * low:+.3f} to {100 * high:+.3f}" for low, high in (a.interval_90, a.interval_95)]
    verdict = f"{'within' if a.within_margin else 'NOT within'} {100 * MARGIN:g}"
    if a.outcomes_differ:
        verdict += f", outcomes differ in {a.outcomes_differ}"
    return f"{_ROW.format(a.loss, accuracy, f'{a.equal} of {a.n}', *spread, *intervals)}  {verdict}"


def _prepared() -> Path:
    # Training needs numpy and torch only; preparing needs scikit-learn.
    from studies.datasets.prepare import prepare

    return prepare("rotated-digits", 10, Path("var")).path


if __name__ == "__main__":
    sys.exit(main())
