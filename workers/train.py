"""`train_pack`: a pack of configurations in, results out; no database, no globals."""

from collections.abc import Sequence

from studies.datasets.load import PreparedDataset
from studies.results import TrainingResult
from studies.training import TrainingConfig, check_batch
from workers.capacity import Offer, offer
from workers.devices import available_threads, with_code
from workers.engine import SILENT, Engine, Hooks
from workers.packed_cpu import PackedCpu
from workers.packed_cuda import PackedCuda
from workers.reference import Reference

AUTOMATIC: tuple[Engine, ...] = (PackedCpu(), Reference())
"""In order of preference: `auto` takes the first that supports a configuration."""
# PackedCuda has never run on a GPU: a study that wants it names it (docs/decisions/0008).
ENGINES: tuple[Engine, ...] = (*AUTOMATIC, PackedCuda())
"""Every engine, by whose name a study may ask for it."""


class _NoEngine(ValueError):
    """Nothing on this machine trains that."""


def choose_engine(config: TrainingConfig, device: str, engine: str = "auto", classes: int = 2) -> Engine:
    """The engine that will train a configuration.

    Args:
        config: any member of the pack.
        device: `cpu` or `cuda`.
        engine: `auto`, or the name of one that has to be used.
        classes: of the data set; the fewest there can be, where it is not known yet.

    Raises:
        ValueError: the named engine, or every engine, cannot train it there.
    """
    for candidate in AUTOMATIC if engine == "auto" else ENGINES:
        if engine in ("auto", candidate.name) and candidate.supports(config, device):
            if candidate.most_classes is None or classes <= candidate.most_classes:
                return candidate
            if engine != "auto":
                raise ValueError(f"engine {engine} trains at most {candidate.most_classes} classes, not {classes}")
    raise _NoEngine(f"engine {engine} cannot train {config.model} in {config.precision} on {device}")


def train_pack(
    configs: Sequence[TrainingConfig],
    dataset: PreparedDataset,
    device: str = "cpu",
    *,
    engine: str = "auto",
    threads: int | None = None,
    hooks: Hooks = SILENT,
) -> list[TrainingResult]:
    """Train the members of a pack on one device.

    Args:
        configs: at least one; they may differ in cell, fold, run, learning rate, momentum and weight decay.
        dataset: the prepared data set, its folds included.
        device: `cpu` or `cuda`.
        engine: `auto` or an engine's name.
        threads: processor threads, by default all this process may use.
        hooks: progress and cancellation.

    Returns:
        One result per configuration, in order.

    Raises:
        ValueError: no engine fits, or a batch is larger than a training set or too small for batch norm.
        Cancelled, DoesNotFit: see `workers.engine`.
    """
    if not configs:
        raise ValueError("a pack has at least one member")
    for model, batch_size in {(config.model, config.batch_size) for config in configs}:
        check_batch(model, batch_size, dataset.image_shape)
    chosen = choose_engine(configs[0], device, engine, dataset.classes)
    if not all(chosen.supports(config, device) for config in configs):
        raise ValueError(f"engine {chosen.name} cannot train every member of the pack on {device}")
    return chosen.train(configs, dataset, device, threads or available_threads(), hooks)


def offer_of(
    model: str, engine: str, precision: str, bn_statistics: str, device: str, classes: int = 2
) -> Offer | None:
    """What a study's trainings would get on a device; None if no engine there can train them.

    Raises:
        ValueError: the named engine has no room for so many classes.
    """
    chosen = _engine_for(model, engine, precision, bn_statistics, device, classes)
    if chosen is None:
        return None
    numeric_class = with_code(chosen.numeric_class(precision, device), model)
    return offer(chosen, numeric_class, device, available_threads())


def numeric_class_of(
    model: str, engine: str, precision: str, bn_statistics: str, device: str, classes: int = 2
) -> str | None:
    """The numeric class that a study's trainings would get on a device; None if no engine there can train them.

    Raises:
        ValueError: the named engine has no room for so many classes.
    """
    chosen = _engine_for(model, engine, precision, bn_statistics, device, classes)
    return None if chosen is None else with_code(chosen.numeric_class(precision, device), model)


def _engine_for(
    model: str, engine: str, precision: str, bn_statistics: str, device: str, classes: int
) -> Engine | None:
    """The engine that would train a study on a device; None if none can."""
    probe = TrainingConfig(
        cell=0,
        fold=0,
        run=0,
        learning_rate=0.01,
        momentum=0.9,
        weight_decay=0.0,
        model=model,
        loss="cross-entropy",
        epochs=1,
        batch_size=1,
        bn_statistics=bn_statistics,
        seed=0,
        precision=precision,
    )
    try:
        return choose_engine(probe, device, engine, classes)
    except _NoEngine:
        return None
