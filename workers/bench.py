"""`python -m workers.bench`: how fast this machine trains, beside a plain PyTorch loop and a large matrix product.

All three are measured in turns, round by round, so that a neighbour's load falls on each alike; ratios are taken
within a round, and the median over the rounds is shown.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from studies import losses
from studies.datasets.load import PreparedDataset, from_arrays
from studies.models.initial import decayed
from studies.training import TrainingConfig
from workers.bench_eager import LAYOUTS, EagerData, EagerLoop
from workers.devices import available_threads, default_device, device_name
from workers.packed_cpu import Member, PackedCpu, initial_model, replicate
from workers.reference import batch_order, fold_tensors
from workers.train import choose_engine, train_pack

MULTIPLY_ADDS = 921_600
"""Of one image's training step: convolution forward and weights' gradient, 288,000 each, and the fully connected layer
forward, weights' and features' gradient, 115,200 each."""
TRAINING_IMAGES = 9_000 * 30
"""Images that a training of the paper's protocol sees."""
EPOCHS = 5
"""Long enough that preparation, once per pack, weighs little, as it does in a training of 30."""
GEMM_SIZE = 2_048
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
    """Of 30 epochs of 9,000 images with a test of 1,000 after each, preparation and evaluation included."""
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


def measure(device: str = "cpu", threads: int | None = None, seconds: float = 40, engine: str = "auto") -> Benchmark:
    """Measure a device.

    Args:
        device: `cpu` or `cuda`.
        threads: processor threads of the pack, the loop and the product, by default all there are.
        seconds: when to stop, unless fewer than 5 rounds are done.
        engine: `auto` or an engine's name.
    """
    began = time.monotonic()
    used = threads or available_threads()
    dataset = noise()
    configs = [replace(CONFIG, cell=cell) for cell in range(2 * used if device == "cpu" else 128)]
    chosen = choose_engine(CONFIG, device, engine)
    before = torch.get_num_threads()
    torch.set_num_threads(used)
    try:
        loops = [EagerLoop(_eager_data(dataset, device), dataset.classes, 128, layout) for layout in LAYOUTS]

        def pack() -> str:
            return train_pack(configs, dataset, device, engine=engine, threads=used)[0].numeric_class

        numeric_class = pack()
        for loop in loops:
            loop.run(2)
        rounds: list[_Round] = []
        while len(rounds) < LEAST_ROUNDS or time.monotonic() - began < seconds:
            rounds.append(_measure_round(pack, loops, len(configs), device))
    finally:
        torch.set_num_threads(before)
    parity = step_error(dataset) if isinstance(chosen, PackedCpu) else None
    return _summarise(rounds, chosen.name, device, used, len(configs), parity, numeric_class)


def noise() -> PreparedDataset:
    """10,000 images of 28 x 28 random pixels in ten classes and ten folds: arithmetic does not care what they show."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (10_000, 28, 28), dtype=np.uint8)
    index = np.arange(10_000)
    return from_arrays("noise", pixels, index % 10, index // 10 % 10)


def step_error(dataset: PreparedDataset) -> float:
    """Largest error of any parameter's first update by the packed CPU engine, relative to the largest entry of that
    parameter's update in float64."""
    few = np.flatnonzero(dataset.folds < 2)[:256]
    small = from_arrays("noise", dataset.images[few], dataset.labels[few], np.arange(256) % 2)
    variant = PackedCpu().variant()
    member = Member(CONFIG, small, replicate(CONFIG, small, variant), variant)
    member.train_epoch()
    data = fold_tensors(small, CONFIG.fold, "cpu")
    model = initial_model(CONFIG, *small.image_shape, small.classes).double()
    batch = batch_order(CONFIG, len(data.train_labels))[0]
    loss = losses.LOSSES[CONFIG.loss](model(data.train_images[batch].double()), data.train_labels[batch]).mean()
    loss.backward()
    with_decay = {id(parameter) for parameter in decayed(model)[0]}
    errors = []
    found = member.velocity()
    for name, parameter in model.named_parameters():
        if name in found and parameter.grad is not None:
            decay = CONFIG.weight_decay if id(parameter) in with_decay else 0.0
            truth = (parameter.grad + decay * parameter.detach()).numpy().ravel()
            errors.append(float(np.abs(found[name] - truth).max() / np.abs(truth).max()))
    return max(errors)


def _eager_data(dataset: PreparedDataset, device: str) -> EagerData:
    data = fold_tensors(dataset, CONFIG.fold, device)
    return EagerData(data.train_images, data.train_labels, data.test_images, data.test_labels)


def _measure_round(pack: Callable[[], str], loops: Sequence[EagerLoop], members: int, device: str) -> _Round:
    batches = 9_000 // CONFIG.batch_size
    began = time.perf_counter()
    pack()
    pack_seconds = time.perf_counter() - began
    few = batches // 6 if device == "cpu" else batches
    times = [loop.run(few) for loop in loops]
    return _Round(
        pack=members * EPOCHS * batches * CONFIG.batch_size / pack_seconds,
        eager=tuple(few * CONFIG.batch_size / (t.training + t.statistics) for t in times),
        eager_moving=tuple(few * CONFIG.batch_size / t.training for t in times),
        gemm=_gemm_gflops(device),
    )


def _gemm_gflops(device: str) -> float:
    """GFLOP/s of a float32 matrix product, the best of three as its first may find cold memory."""
    left = torch.ones(GEMM_SIZE, GEMM_SIZE, device=device)
    out = torch.empty_like(left)
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        torch.mm(left, left, out=out)
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * GEMM_SIZE**3 / best / 1e9


def _summarise(
    rounds: Sequence[_Round],
    engine: str,
    device: str,
    threads: int,
    members: int,
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
    median = {name: spread.median for name, spread in spreads.items()}
    return Benchmark(
        engine=engine,
        precision=CONFIG.precision,
        device=device_name(device),
        threads=threads,
        members=members,
        rounds=len(rounds),
        trainings_per_second=median["images_per_second"] / TRAINING_IMAGES,
        microseconds_per_image=threads / median["images_per_second"] * 1e6,
        eager_layout=str(LAYOUTS[layout]).removeprefix("torch."),
        spreads=spreads,
        parity=parity,
        versions={"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        numeric_class=numeric_class,
        command=f"python -m workers.bench --device {device} --threads {threads}",
        **median,
    )


def main(arguments: list[str] | None = None) -> int:
    """Print one figure a line, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m workers.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda if there is one")
    parser.add_argument("--threads", type=int, help="default: all processors")
    parser.add_argument("--engine", default="auto", help="default: auto")
    parser.add_argument("--seconds", type=float, default=40, help="about how long to measure (default: 40)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    figures = asdict(measure(options.device or default_device(), options.threads, options.seconds, options.engine))
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
