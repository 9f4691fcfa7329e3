"""What a worker offers for a kind of study: its numeric class, and how many networks it takes."""

import os
from dataclasses import dataclass

from workers.engine import Engine

MOST_MEMBERS = 4_096
"""Of any pack: its results are one message and one transaction, 4 kB and 0.2 ms each, so 16 MB and 0.8 s."""
MEMORY_SHARE = 0.5
"""Of a device's memory that the networks of a pack may need; data sets and libraries need some too."""
RATES = {
    ("packed-cpu", "cpu"): 0.32,
    ("reference", "cpu"): 0.03,
    ("reference", "cuda"): 0.08,
    ("packed-cuda", "cuda"): 0.4,
}
"""Trainings per second, of PAPER_IMAGES images, for each network that is trained at once (docs/benchmarks.md; of
packed-cuda by counting). They order the numeric classes before anything is measured, so tenfold is what counts."""
PAPER_IMAGES = 30 * 9_000
"""That a training of the paper's task sees: epochs times training images."""


@dataclass(frozen=True)
class Offer:
    """What a worker gives a study that it can train."""

    numeric_class: str
    at_once: int
    """How many networks train at the same time: with fewer, a part of the device idles."""
    networks: int
    """How many networks may be in one pack."""
    rate: float
    """Trainings per second of the paper's task, as a rule of thumb."""


def offer(engine: Engine, numeric_class: str, device: str, threads: int) -> Offer:
    """What an engine makes of a device.

    Args:
        engine: that can train the study on it.
        numeric_class: of its results.
        device: `cpu` or `cuda`.
        threads: processor threads that it may use.
    """
    at_once = engine.at_once(device, threads)
    fit = int(MEMORY_SHARE * memory_bytes(device)) // engine.network_bytes
    return Offer(
        numeric_class=numeric_class,
        at_once=at_once,
        networks=max(at_once, min(MOST_MEMBERS, fit)),
        rate=at_once * RATES[engine.name, device],
    )


def members_for(seconds: float, offered: Offer, images: int) -> int:
    """How many networks make a pack of about that length, by the rule of thumb; no part of the device idles at its end.

    Args:
        seconds: above 0.
        offered: what trains them.
        images: that a training sees, epochs times training images, at least 1.
    """
    rounds = round(seconds * offered.rate * PAPER_IMAGES / images / offered.at_once)
    return min(max(1, rounds) * offered.at_once, offered.networks)


def memory_bytes(device: str) -> int:
    """Memory of a device, whether it is in use or not.

    Args:
        device: `cpu` or `cuda`.
    """
    if device == "cpu":
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    import torch

    return int(torch.cuda.get_device_properties(device).total_memory)
