"""Random streams: one for each (study seed, fold, run, purpose), the same for every cell of a study."""

import hashlib

import numpy as np

PURPOSES = ("weights", "order")


def stream(seed: int, fold: int, run: int, purpose: str) -> np.random.Generator:
    """The generator of one purpose of one replicate.

    It does not depend on the cell, so that cells are compared by paired differences (common random numbers).

    Args:
        seed: the study's seed.
        fold, run: the replicate.
        purpose: `weights` (initial weights) or `order` (order of the training images).

    Raises:
        ValueError: an unknown purpose.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"purpose must be one of {', '.join(PURPOSES)}, not {purpose!r}")
    digest = hashlib.sha256(f"goldenbench/1 {seed} {fold} {run} {purpose}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
