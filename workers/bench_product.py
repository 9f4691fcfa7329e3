"""PyTorch's own arithmetic as a yardstick: pinned to a precision, and the rate of its matrix product."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

SIZES = {"cpu": 2_048, "cuda": 8_192}
"""By device, the side of the product's matrices; on a GPU a small one takes no longer than its launch."""


@contextmanager
def pinned(products: str = "fp32") -> Iterator[None]:
    """Convolutions in full float32, as cuDNN's by default are not, by its fastest algorithms; so are matrix products.

    Args:
        products: `fp32`, or `tf32x3` for matrix products in plain tf32.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if products == "tf32x3" else "highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def product_gflops(device: str, precision: str) -> float:
    """GFLOP/s of a matrix product, for `tf32x3` in plain tf32, whose tensor cores it shares; the best of three, as the
    first may find cold memory."""
    size = SIZES[device]
    # Equal numbers would spare a GPU power and raise its clock.
    left = torch.linspace(-1, 1, size * size, device=device).view(size, size)
    out = torch.empty_like(left)
    best = float("inf")
    with pinned(precision):
        for _ in range(3):
            _finish(device)
            began = time.perf_counter()
            torch.mm(left, left, out=out)
            _finish(device)
            best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best / 1e9


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
