"""`python -m workers.bench`: how fast this machine trains, beside a plain PyTorch loop and a large matrix product.

All three are measured in turns, round by round, so that a neighbour's load falls on each alike; ratios are taken
within a round, and the median over the rounds is shown.
"""

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version

import numpy as np
import torch

from studies.datasets.load import PreparedDataset, from_arrays
from studies.spec import ENGINES, PRECISIONS
from studies.training import TrainingConfig
from workers.bench_eager import LAYOUTS, EagerData, EagerLoop
from workers.bench_parity import step_error
from workers.bench_product import pinned, product_gflops
from workers.devices import available_threads, default_device, device_name
from workers.engine import DoesNotFit
from workers.packed_cuda import PackedCuda
from workers.reference import fold_tensors
from workers.train import choose_engine, train_pack

MULTIPLY_ADDS = 921_600
"""Of one image's training step: convolution forward and weights' gradient, 288,000 each, and the fully connected layer
forward, weights' and features' gradient, 115,200 each."""
EPOCHS = 5
"""Long enough that preparation, once per pack, weighs little, as it does in a training of 30."""
GPU_MEMBERS = 256
"""Networks in a pack on a GPU: 2,048 programs of either pass, some eight times what an H200 holds at once."""
LEAST_ROUNDS = 5
CONFIG = TrainingConfig(
    cell=0,
    fold=0,
    run=0,
    learning_rate=0.01,
    momentum=0.9,
    weight_decay=1e-4,
    model="paper-cnn",
    loss="cross-entropy",
    epochs=EPOCHS,
    batch_size=128,
    bn_statistics="population",
    seed=0,
)
TRAINING_IMAGES = 30 * (9_000 // CONFIG.batch_size * CONFIG.batch_size)
"""That a training of the paper's protocol sees: the incomplete last batch of an epoch is dropped."""


@dataclass(frozen=True)
class Spread:
    """One figure over the rounds."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Benchmark:
    """What a machine did; the figures without a spread are medians over the rounds."""

    engine: str
    precision: str
    device: str
    threads: int
    members: int
    """Networks in the pack."""
    rounds: int
    """n: each round measured the pack, the loop and the product once, in this order."""
    trainings_per_second: float
    """Of 30 epochs of 9,000 images, in 70 whole batches, with a test of 1,000 after each, preparation and evaluation
    included."""
    images_per_second: float
    """Training images; those of the evaluations are work, and do not count."""
    microseconds_per_image: float
    """Of one thread: threads / images_per_second."""
    gflops: float
    """1.843 MFLOP for each training image, evaluations not counted."""
    gemm_gflops: float
    utilisation: float
    eager_images_per_second: float
    """Of a plain PyTorch loop that does the same work: the same loss, and an evaluation after each epoch with
    batch-norm statistics of the whole training set."""
    eager_layout: str
    ratio_to_eager: float
    ratio_to_eager_moving: float
    """The same against a loop that evaluates with PyTorch's moving statistics, which cost it nothing."""
    spreads: dict[str, Spread]
    parity: float | None
    """Largest error of one update against float64, relative to its parameter's largest; None if not measured."""
    versions: dict[str, str]
    numeric_class: str
    command: str


@dataclass(frozen=True)
class _Round:
    pack: float
    """Training images per second."""
    eager: tuple[float, ...]
    """Training images per second, for each of LAYOUTS."""
    eager_moving: tuple[float, ...]
    """The same without the statistics of the training set."""
    gemm: float
    """GFLOP/s"""


def measure(
    device: str = "cpu",
    threads: int | None = None,
    seconds: float = 40,
    engine: str = "auto",
    precision: str = "fp32",
) -> Benchmark:
    """Measure a device.

    Args:
        device: `cpu` or `cuda`.
        threads: processor threads of the pack, the loop and the product, by default all there are.
        seconds: when to stop, unless fewer than 5 rounds are done.
        engine: `auto` or an engine's name.
        precision: of the pack; the loop's is always fp32.

    Raises:
        ValueError: there is no such device, engine or number of threads, or the engine cannot train there.
        DoesNotFit: the device's memory is too small for the pack.
    """
    _check(device, threads, seconds, engine, precision)
    began = time.monotonic()
    used = available_threads() if threads is None else threads
    dataset, config = noise(), replace(CONFIG, precision=precision)
    chosen = choose_engine(config, device, engine)
    configs = [replace(config, cell=cell) for cell in range(_members(chosen.name, device, used))]
    before = torch.get_num_threads()
    torch.set_num_threads(used)
    try:
        with pinned():
            loops = [EagerLoop(_eager_data(dataset, device), dataset.classes, 128, layout) for layout in LAYOUTS]

            def pack() -> str:
                return train_pack(configs, dataset, device, engine=engine, threads=used)[0].numeric_class

            numeric_class = pack()
            for loop in loops:
                loop.run(2)
            rounds: list[_Round] = []
            while len(rounds) < LEAST_ROUNDS or time.monotonic() - began < seconds:
                rounds.append(_measure_round(pack, loops, configs, device))
    finally:
        torch.set_num_threads(before)
    parity = step_error(config, dataset, chosen.name, device)
    return _summarise(rounds, chosen.name, device, used, configs, parity, numeric_class)


def _check(device: str, threads: int | None, seconds: float, engine: str, precision: str) -> None:
    """Refuse what cannot be measured.

    Raises:
        ValueError: names the option and its rule.
    """
    if device == "cuda" != default_device():
        raise ValueError("device must be cpu: torch sees no GPU here")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    if not 0 <= seconds < math.inf:
        raise ValueError(f"seconds must be finite and at least 0, not {seconds}")
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine}")
    try:
        choose_engine(replace(CONFIG, precision=precision), device, engine)
    except ValueError as error:
        raise ValueError(f"engine, precision and device must fit one another: {error}") from error


def _members(engine: str, device: str, threads: int) -> int:
    """Networks in the pack; the reference trains one after the other on a GPU, so that more would only take longer."""
    if device == "cpu":
        return 2 * threads
    return GPU_MEMBERS if engine == PackedCuda.name else 2


def noise() -> PreparedDataset:
    """10,000 images of 28 x 28 random pixels in ten classes and ten folds: arithmetic does not care what they show."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (10_000, 28, 28), dtype=np.uint8)
    index = np.arange(10_000)
    return from_arrays("noise", pixels, index % 10, index // 10 % 10)


def _eager_data(dataset: PreparedDataset, device: str) -> EagerData:
    data = fold_tensors(dataset, CONFIG.fold, device)
    return EagerData(data.train_images, data.train_labels, data.test_images, data.test_labels)


def _measure_round(
    pack: Callable[[], str], loops: Sequence[EagerLoop], configs: Sequence[TrainingConfig], device: str
) -> _Round:
    batches = 9_000 // CONFIG.batch_size
    began = time.perf_counter()
    pack()
    pack_seconds = time.perf_counter() - began
    few = batches // 6 if device == "cpu" else batches
    times = [loop.run(few) for loop in loops]
    return _Round(
        pack=len(configs) * EPOCHS * batches * CONFIG.batch_size / pack_seconds,
        eager=tuple(few * CONFIG.batch_size / (t.training + t.statistics) for t in times),
        eager_moving=tuple(few * CONFIG.batch_size / t.training for t in times),
        gemm=product_gflops(device, configs[0].precision),
    )


def _summarise(
    rounds: Sequence[_Round],
    engine: str,
    device: str,
    threads: int,
    configs: Sequence[TrainingConfig],
    parity: float | None,
    numeric_class: str,
) -> Benchmark:
    layout = max(range(len(LAYOUTS)), key=lambda i: statistics.median(r.eager[i] for r in rounds))
    gflops = [2 * MULTIPLY_ADDS * r.pack / 1e9 for r in rounds]
    spreads = {
        "images_per_second": Spread.of([r.pack for r in rounds]),
        "gflops": Spread.of(gflops),
        "gemm_gflops": Spread.of([r.gemm for r in rounds]),
        "utilisation": Spread.of([g / r.gemm for g, r in zip(gflops, rounds, strict=True)]),
        "eager_images_per_second": Spread.of([r.eager[layout] for r in rounds]),
        "ratio_to_eager": Spread.of([r.pack / r.eager[layout] for r in rounds]),
        "ratio_to_eager_moving": Spread.of([r.pack / max(r.eager_moving) for r in rounds]),
    }
    precision = configs[0].precision
    command = f"python -m workers.bench --device {device} --threads {threads} --engine {engine} --precision {precision}"
    median = {name: spread.median for name, spread in spreads.items()}
    return Benchmark(
        engine=engine,
        precision=precision,
        device=device_name(device),
        threads=threads,
        members=len(configs),
        rounds=len(rounds),
        trainings_per_second=median["images_per_second"] / TRAINING_IMAGES,
        microseconds_per_image=threads / median["images_per_second"] * 1e6,
        eager_layout=str(LAYOUTS[layout]).removeprefix("torch."),
        spreads=spreads,
        parity=parity,
        versions=_versions(engine),
        numeric_class=numeric_class,
        command=command,
        **median,
    )


def _versions(engine: str) -> dict[str, str]:
    found = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    return found | ({"triton": version("triton")} if engine == PackedCuda.name else {})


def main(arguments: list[str] | None = None) -> int:
    """Print one figure a line, or JSON; 2 for what cannot be measured."""
    parser = argparse.ArgumentParser(prog="python -m workers.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda if there is one")
    parser.add_argument("--threads", type=int, help="default: all processors")
    parser.add_argument("--engine", help="default: auto; on a GPU packed-cuda, which auto does not take")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="default: fp32")
    parser.add_argument("--seconds", type=float, default=40, help="about how long to measure (default: 40)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    device = options.device or default_device()
    engine = options.engine or ("auto" if device == "cpu" else PackedCuda.name)
    try:
        figures = asdict(measure(device, options.threads, options.seconds, engine, options.precision))
    except (ValueError, DoesNotFit) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(figures, indent=2))
        return 0
    spreads = figures.pop("spreads")
    for name, value in figures.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        spread = spreads.get(name)
        print(f"{name:24} {shown}" + (f"  ({spread['least']:.4g} to {spread['greatest']:.4g})" if spread else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
