"""`python tests/benchmarks/rivals.py`: the packed CPU engine beside what else could train these networks.

All take turns, round by round, so that a neighbour's load falls on each alike; ratios are taken within a round, and the
median over the rounds is shown. A rival whose first update is not that of eager PyTorch ends the run.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np
import torch
from jax_vmapped import JaxVmap
from loops import Compiled, Eager, OptunaScript
from packed import Packed
from task import Rival, Task, first_update, flat
from vmapped import TorchVmap

from workers.bench import Spread
from workers.devices import available_threads, device_name

NETWORKS = (1, 4, 16)
"""K of the rivals that map over networks; with 1 they are a network at a time."""
NETWORK_BATCHES = 16
"""Of one turn of such a rival, over its K networks."""
LEAST_ROUNDS = 5
PARITY = 1e-4
"""Largest error of a parameter's first update, relative to its largest entry."""


class WrongUpdate(Exception):
    """A rival's first update is not that of eager PyTorch."""


@dataclass(frozen=True)
class Figures:
    """What one rival did."""

    name: str
    networks: int
    """K, trained at once."""
    images_per_second: Spread
    """Training images of all networks; those of the evaluations are work, and do not count."""
    ratio: Spread
    """Of packed-cpu to it, within a round."""
    first_seconds: float
    """Its first turn, compilation included; not part of the other figures."""
    parity: float
    """Largest error of any parameter's first update against eager PyTorch, relative to the largest entry."""
    differs: str


def contenders(task: Task, threads: int) -> list[Rival]:
    """The packed engine, and then the others."""
    return [
        Packed(task, threads),
        Eager(task),
        Eager(task, torch.channels_last),
        OptunaScript(task),
        Compiled(task),
        *(TorchVmap(task, k, NETWORK_BATCHES // k) for k in NETWORKS),
        *(JaxVmap(task, k, NETWORK_BATCHES // k) for k in NETWORKS),
    ]


def check(rival: Rival, task: Task) -> float:
    """Largest error of the first update of a rival's first and last network, relative to that of eager PyTorch.

    Raises:
        WrongUpdate: it is above PARITY.
    """
    initial = flat(task.model())
    truth = first_update(Eager(task), 0, initial)
    errors = []
    for network in {0, rival.networks - 1}:
        found = first_update(rival, network, initial)
        errors += [float(np.abs(found[name] - truth[name]).max() / np.abs(truth[name]).max()) for name in truth]
    if not max(errors) <= PARITY:
        raise WrongUpdate(f"first update of {rival.name}, K = {rival.networks}, is off by {max(errors):.1e} > {PARITY}")
    return max(errors)


def measure(rivals: Sequence[Rival], task: Task, seconds: float) -> tuple[list[Figures], int]:
    """Check every rival, then let them take turns.

    Args:
        rivals: the packed engine first.
        task: what they train.
        seconds: how long to measure after compilation and checks, unless fewer than 5 rounds are done.

    Returns:
        A row per rival, and the number of rounds.

    Raises:
        WrongUpdate: a rival is wrong.
    """
    parity, first = {}, {}
    for rival in rivals:
        rival.begin(learning_rate=0.01)
        began = time.perf_counter()
        rival.turn()
        first[rival] = time.perf_counter() - began
        parity[rival] = check(rival, task)
        rival.begin(learning_rate=0.01)
    rates: dict[Rival, list[float]] = {rival: [] for rival in rivals}
    began = time.monotonic()
    rounds = 0
    while rounds < LEAST_ROUNDS or time.monotonic() - began < seconds:
        rounds += 1
        for rival in rivals:
            start = time.perf_counter()
            images = rival.turn()
            rates[rival].append(images / (time.perf_counter() - start))
    figures = [
        Figures(
            name=rival.name,
            networks=rival.networks,
            images_per_second=Spread.of(rates[rival]),
            ratio=Spread.of([a / b for a, b in zip(rates[rivals[0]], rates[rival], strict=True)]),
            first_seconds=first[rival],
            parity=parity[rival],
            differs=rival.differs,
        )
        for rival in rivals
    ]
    return figures, rounds


def cells(figures: Figures) -> tuple[str, ...]:
    """A row of the table: medians, with least and greatest in brackets."""

    def shown(spread: Spread, digits: int) -> str:
        low, median, high = (f"{v:,.{digits}f}" for v in (spread.least, spread.median, spread.greatest))
        return f"{median} ({low} to {high})"

    f = figures
    rate, ratio = shown(f.images_per_second, 0), shown(f.ratio, 1)
    return f.name, str(f.networks), rate, ratio, f"{f.first_seconds:.1f}", f"{f.parity:.0e}", f.differs


def table(figures: Sequence[Figures]) -> str:
    """Columns for a terminal."""
    heads = ("", "K", "images per second", "packed-cpu is faster by", "first turn, s", "parity", "differs")
    rows = [heads, *map(cells, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def markdown(figures: Sequence[Figures]) -> str:
    """The rows of the table in docs/benchmarks.md."""
    return "\n".join(f"| {' | '.join(cells(row))} |" for row in figures)


def main() -> int:
    """Print a table, its rows in Markdown, or JSON; 1 if a rival is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="about how long to measure (default: 60)")
    parser.add_argument("--threads", type=int, default=available_threads(), help="default: all processors")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print JSON")
    output.add_argument("--markdown", action="store_true", help="print the rows of a Markdown table")
    options = parser.parse_args()
    if not 1 <= options.threads <= available_threads():
        parser.error(f"--threads must be from 1 to {available_threads()}, not {options.threads}")
    # JAX takes as many threads as there are processors for it, and has no setting of its own for that.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # an empty one: the time to compile is that of a first run
        task = Task.of_noise()
        try:
            figures, rounds = measure(contenders(task, options.threads), task, options.seconds)
        except WrongUpdate as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    packages = {name: version(name) for name in ("torch", "jax", "optuna", "numpy")}
    about = {"n": rounds, "threads": options.threads, "device": device_name("cpu"), "python": platform.python_version()}
    if options.json:
        print(json.dumps(about | {"versions": packages, "rivals": [asdict(f) for f in figures]}, indent=2))
    else:
        print(", ".join(f"{name} {value}" for name, value in (about | packages).items()))
        print(markdown(figures) if options.markdown else table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
