# mypy: ignore-errors
# Triton gives these functions their types when it compiles them.
"""Kernels that only tests launch; imported only where Triton may be, in the process that interprets it."""

import triton
import triton.language as tl

from workers.triton import split


@triton.jit
def parts(values, high, low, n: tl.constexpr):
    """The two parts of some float32, [n] each."""
    at = tl.arange(0, n)
    of_high, of_low = split.split(tl.load(values + at))
    tl.store(high + at, of_high)
    tl.store(low + at, of_low)
