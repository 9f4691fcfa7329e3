# mypy: ignore-errors
# Triton gives these functions their types when it compiles them.
"""Products on tensor cores with almost the accuracy of float32: each operand is cut into two parts that tf32 holds.

tf32 has float32's exponent and 11 significant bits. x = high + low + a rest below 2^-21 |x|, where `high` is x without
its last 13 bits and `low` the same of x - high. A product of two such parts has 22 bits, so float32 holds it, and what
is left to the hardware is the order and rounding of the sum. As the parts are made here, bit by bit, and not by
`input_precision`, Triton's interpreter, which ignores that, computes what a GPU does.
"""

import triton
import triton.language as tl

HIGH_BITS = tl.constexpr(-(1 << 13))
"""Of a float32, what tf32 keeps: sign, exponent and ten bits of the fraction."""
LOW_BITS = tl.constexpr(-(1 << 13))
"""The same of what `high` left over; a test that wants plain tf32 sets it to 0."""


@triton.jit
def kept(x, bits):
    """Some float32 with only those bits of each; a NaN or an infinity does not become finite."""
    return (x.to(tl.int32, bitcast=True) & bits).to(tl.float32, bitcast=True)


@triton.jit
def split(x):
    """The high and the low part of a tile of float32, both exact in tf32. Not finite: high is not, or low is NaN."""
    high = kept(x, HIGH_BITS)
    return high, kept(x - high, LOW_BITS)


@triton.jit
def product(a, b, precision: tl.constexpr, exact: tl.constexpr):
    """a b, [M, K] by [K, N] to [M, N] float32.

    Args:
        precision: `ieee`: multiply-adds in float32; `tf32x3`: three products of parts, without the least one, low by
            low, some 2^-20 of the largest. The small ones are added first; and as the last one has them to start from,
            Triton does not fuse it with what the caller adds, so that the tensor cores' truncated sums stay short.
        exact: which operand has at most 11 significant bits, so that its low part is 0 and two products do: `left`,
            `right` or `neither`.
    """
    if precision == "ieee":
        return tl.dot(a, b, input_precision="ieee")
    if exact == "left":
        high, low = split(b)
        return tl.dot(a, high, tl.dot(a, low, input_precision="tf32"), input_precision="tf32")
    if exact == "right":
        high, low = split(a)
        return tl.dot(high, b, tl.dot(low, b, input_precision="tf32"), input_precision="tf32")
    a_high, a_low = split(a)
    b_high, b_low = split(b)
    sums = tl.dot(a_low, b_high, input_precision="tf32")
    sums = tl.dot(a_high, b_low, sums, input_precision="tf32")
    return tl.dot(a_high, b_high, sums, input_precision="tf32")
