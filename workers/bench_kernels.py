"""`python -m workers.bench_kernels`: where a step of the packed CUDA engine spends its time, for some ways to cut it.

For whoever tunes `workers.triton.shapes.TILES` on a GPU: microseconds of each kernel, by precision and tiles, and the
trainings per second that they alone would allow.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from studies.datasets.load import PreparedDataset
from workers.bench import CONFIG, GPU_MEMBERS, TRAINING_IMAGES, noise
from workers.devices import device_name
from workers.packed_cpu import initial_model
from workers.triton.data import DeviceImages, Replicates
from workers.triton.shapes import TILES, Tiles

VARIANTS: dict[str, list[Tiles]] = {
    "fp32": [replace(TILES["fp32"], stages=stages) for stages in (1, 2)],
    "tf32x3": [
        *(replace(TILES["tf32x3"], stages=stages) for stages in (1, 2, 3)),
        replace(TILES["tf32x3"], backward_images=64),
        replace(TILES["tf32x3"], images=64, forward_warps=4),
        replace(TILES["tf32x3"], pairs=18),
    ],
}
"""By precision, the engine's own tiles and what may beat them."""
LAUNCHES = 20
ROUNDS = 5


def kernel_microseconds(
    precision: str, tiles: Tiles, networks: int, dataset: PreparedDataset, device: str, launches: int = LAUNCHES
) -> dict[str, float]:
    """Time of one launch of each kernel of a step, as a median over rounds of several launches.

    Args:
        precision: that of the training.
        tiles: how it is cut.
        networks: in the pack, all of one (fold, run).
        dataset: of at least one batch of training images.
        device: `cuda`, or `cpu` for Triton's interpreter.
        launches: in a round, one after the other; what they do to the networks does not matter.
    """
    from workers.triton.networks import Networks

    config = replace(CONFIG, precision=precision)
    data = Replicates.of([config], DeviceImages.of(dataset, device), tiles)
    pack = Networks([replace(config, cell=cell) for cell in range(networks)], [0] * networks, data, tiles)
    pack.assign(range(networks), initial_model(config, *dataset.image_shape, dataset.classes))
    kernels = pack.launches(0)
    for launch in kernels.values():  # compiled, and with each other's results to work on
        launch()
    found = {name: _microseconds(launch, launches, device) for name, launch in kernels.items()}
    if not bool(pack.alive.all()):
        raise RuntimeError("a network diverged and was skipped: these are not its times")
    return found


def _microseconds(launch: Callable[[], object], launches: int, device: str) -> float:
    rounds = []
    for _ in range(ROUNDS):
        _finish(device)
        began = time.perf_counter()
        for _ in range(launches):
            launch()
        _finish(device)
        rounds.append((time.perf_counter() - began) / launches * 1e6)
    return statistics.median(rounds)


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def line(precision: str, tiles: Tiles, networks: int, found: dict[str, float]) -> str:
    """One variant, in words: what differs from the engine's own, each kernel, and the rate."""
    own = vars(TILES[precision])
    differs = ", ".join(f"{name} {value}" for name, value in vars(tiles).items() if own[name] != value)
    steps = TRAINING_IMAGES / CONFIG.batch_size
    rate = networks / (sum(found.values()) * 1e-6 * steps)
    times = ", ".join(f"{name} {microseconds:,.0f}" for name, microseconds in found.items())
    return f"{precision} {differs or 'as it is'}: {times} us; {rate:.1f} trainings per second without tests"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each variant; one that does not compile is said to."""
    parser = argparse.ArgumentParser(prog="python -m workers.bench_kernels", description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=GPU_MEMBERS, help=f"in the pack (default: {GPU_MEMBERS})")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("error: torch sees no GPU here", file=sys.stderr)
        return 2
    dataset = noise()
    print(f"{device_name('cuda')}, {options.networks} networks, torch {torch.__version__}", flush=True)
    for precision, variants in VARIANTS.items():
        for tiles in variants:
            try:
                found = kernel_microseconds(precision, tiles, options.networks, dataset, "cuda")
            except Exception as error:  # a variant too large for the GPU must not end the others
                print(f"{precision} {tiles}: {error}", flush=True)
            else:
                print(line(precision, tiles, options.networks, found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
