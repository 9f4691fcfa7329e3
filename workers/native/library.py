"""The compiled library: found, loaded and typed; its calls release the interpreter's lock."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILTERS = 20
TAPS = 25
MOST_CLASSES = 64
LOSS_NUMBERS = {"dual-process": 0, "energy": 1, "sse": 2, "cross-entropy": 3}
"""`enum loss` of network.h."""
ISAS = ("avx512", "avx2", "baseline")


class Network(ctypes.Structure):
    """`struct network` of network.h."""

    _fields_ = (
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("classes", ctypes.c_int32),
        ("loss", ctypes.c_int32),
        ("batch", ctypes.c_int32),
        ("learning_rate", ctypes.c_float),
        ("momentum", ctypes.c_float),
        ("weight_decay", ctypes.c_float),
        ("pixel_mean", ctypes.c_float),
        ("images", ctypes.c_void_p),
        ("labels", ctypes.c_void_p),
        ("parameters", ctypes.c_void_p),
        ("velocity", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p),
    )


@dataclass(frozen=True)
class Variant:
    """The engine compiled for one instruction set; see engine.c for what each function does."""

    isa: str
    """`avx512`, `avx2` or `baseline`."""
    compiler: str
    parameter_floats: Callable[..., int]
    workspace_bytes: Callable[..., int]
    exchange_weights: Callable[..., None]
    train_epoch: Callable[..., float]
    infer: Callable[..., None]
    losses: Callable[..., None]
    patch_sums: Callable[..., int]

    @property
    def label(self) -> str:
        """What of it decides the last bits of a result."""
        return f"{self.isa}-{self.compiler}"


def best_isa() -> str | None:
    """The instruction set to use on this processor; None if the library was not built."""
    return next(iter(usable_isas()), None)


def usable_isas() -> tuple[str, ...]:
    """The instruction sets that were built and that this processor has, best first."""
    library = _library()
    if library is None:
        return ()
    best: bytes = _function(library, "best_variant", ctypes.c_char_p)()
    return tuple(isa for isa in ISAS[ISAS.index(best.decode()) :] if hasattr(library, f"train_epoch_{isa}"))


@cache
def variant(isa: str) -> Variant:
    """The engine for an instruction set, which this processor must have.

    Raises:
        LookupError: the library was not built, or not for that instruction set.
    """
    library = _library()
    if library is None:
        raise LookupError("the native library was not built when goldenbench was installed")
    if not hasattr(library, f"train_epoch_{isa}"):
        raise LookupError(f"the native library has no variant for {isa!r}")
    network, address, count = ctypes.POINTER(Network), ctypes.c_void_p, ctypes.c_int64

    def of_variant(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        return _function(library, f"{name}_{isa}", result, *arguments)

    compiler: bytes = _function(library, "compiler", ctypes.c_char_p)()
    return Variant(
        isa=isa,
        compiler=compiler.decode().split()[0],
        parameter_floats=of_variant("parameter_floats", ctypes.c_size_t, network),
        workspace_bytes=of_variant("workspace_bytes", ctypes.c_size_t, network),
        exchange_weights=of_variant("exchange_weights", None, network, address, address, ctypes.c_int),
        train_epoch=of_variant("train_epoch", ctypes.c_double, network, address, address, count),
        infer=of_variant("infer", None, network, address, count, address, address),
        losses=of_variant("losses", None, ctypes.c_int32, ctypes.c_int32, count, *[address] * 4),
        patch_sums=of_variant(
            "patch_sums", ctypes.c_int, address, *[ctypes.c_int32] * 2, address, count, *[address] * 2
        ),
    )


def aligned(count: int, dtype: type[np.generic]) -> NDArray[Any]:
    """Zeros that start at a multiple of 64 bytes, as the widest vectors like best.

    Args:
        count: number of elements.
        dtype: their type.

    Returns:
        [count]
    """
    size = count * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype)


@cache
def _library() -> ctypes.CDLL | None:
    for path in sorted(Path(__file__).parent.glob("packed*.so")):
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            # Built for another machine or another C library: as good as not built.
            continue
    return None


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    function = library[name]
    function.restype, function.argtypes = result, arguments
    return function
