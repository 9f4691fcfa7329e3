# mypy: ignore-errors
# Triton gives these functions their types when it compiles them.
"""The layers between pixels and logits, one position of the filter at a time, for a tile of images.

A position's 25 pixels and a constant 1 are 26 taps; the tile [images, taps] times the folded filters gives the features
[images, filters], and those times the position's rows of the connected weights add to the logits. Nothing of a
feature's size is stored: the backward pass computes the features again from the pixels, which lie in the cache.
"""

import triton
import triton.language as tl

from workers.triton.normalisation import FILTER_LANES, FILTERS, TAP_LANES, TAPS, move

SIDE = tl.constexpr(5)


@triton.jit
def patch(pixels, centre, image, position, batch: tl.constexpr, width: tl.constexpr):
    """Pixels under the filter less `centre`, [images, 32] float32; lane 25 is 1, later ones are 0.

    Whole numbers of at most 8 bits: exact also in tf32 and bfloat16.

    Args:
        pixels: [height * width, batch] uint8, of one batch: images side by side, so that a warp reads a whole line.
        image: [images], of which those from `batch` on are not there and read as zeros.
        position: of the filter, in row-major order.
    """
    tap = tl.arange(0, TAP_LANES)
    columns: tl.constexpr = width - SIDE + 1
    row = position // columns
    pixel = (row + tap // SIDE) * width + position - row * columns + tap % SIDE
    mask = (tap < TAPS)[None, :] & (image < batch)[:, None]
    value = tl.load(pixels + pixel[None, :] * batch + image[:, None], mask=mask, other=0)
    return tl.where(mask, value.to(tl.float32) - centre, tl.where(tap == TAPS, 1.0, 0.0)[None, :])


@triton.jit
def convolve(taps, folded, precision: tl.constexpr):
    """Features after the ReLU, [images, 32]; written so that a NaN stays one."""
    value = tl.dot(taps, folded, input_precision=precision)
    return tl.where(value < 0, 0.0, value)


@triton.jit
def filters_of(folded, k):
    """The folded filters of a network, [32, 32]."""
    tap, column = tl.arange(0, TAP_LANES), tl.arange(0, FILTER_LANES)
    return tl.load(folded + (k * TAP_LANES + tap[:, None]) * FILTER_LANES + column[None, :])


@triton.jit(do_not_specialize=["step", "steps"])
def forward(
    pixels, centre, replicate, alive, folded, weights, partial, step, steps,
    batch: tl.constexpr, height: tl.constexpr, width: tl.constexpr, classes: tl.constexpr,
    lanes: tl.constexpr, images: tl.constexpr, span: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Each split's share of the logits, without the bias; grid (tiles of images, S, K).

    Args:
        pixels: [R, steps, height * width, batch] uint8.
        centre: [R] float32, a whole number near the mean pixel.
        replicate, alive: [K] int32.
        folded: [K, 32, 32] float32, taps by filters.
        weights: [K, P, 20, classes] float32, of the connected layer.
        partial: [K, S, batch, lanes] float32, out.
        step, steps: which of how many batches.
    """
    k, split = tl.program_id(2).to(tl.int64), tl.program_id(1)
    if tl.load(alive + k) == 0:
        return
    positions: tl.constexpr = (height - SIDE + 1) * (width - SIDE + 1)
    image = tl.program_id(0) * images + tl.arange(0, images)
    column, lane = tl.arange(0, FILTER_LANES), tl.arange(0, lanes)
    row = tl.load(replicate + k).to(tl.int64)
    of_batch = pixels + (row * steps + step) * height * width * batch
    middle = tl.load(centre + row)
    filters = filters_of(folded, k)
    inner = column[:, None] * classes + lane[None, :]
    logits = tl.zeros([images, lanes], tl.float32)
    # The last split repeats the last position, with weights of zero, until its time is up.
    for i in range(span):
        position = tl.minimum(split * span + i, positions - 1)
        present = tl.where(split * span + i < positions, FILTERS, 0)
        here = (column < present)[:, None] & (lane < classes)[None, :]
        features = convolve(patch(of_batch, middle, image, position, batch, width), filters, precision)
        w = tl.load(weights + (k * positions + position) * FILTERS * classes + inner, mask=here, other=0.0)
        logits += tl.dot(features, w, input_precision=precision)
    out = ((k * tl.num_programs(1) + split) * batch + image[:, None]) * lanes + lane[None, :]
    tl.store(partial + out, logits, mask=(image < batch)[:, None])


@triton.jit(do_not_specialize=["step", "steps"])
def backward(
    pixels, centre, replicate, alive, folded, weights, velocity, rates, delta, partial, step, steps,
    batch: tl.constexpr, height: tl.constexpr, width: tl.constexpr, classes: tl.constexpr,
    lanes: tl.constexpr, images: tl.constexpr, span: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Moves the connected weights and sums the folded filters' gradient over a split's positions; grid (S, K).

    A position's weights are read and written by one program only: the slopes take them from before their update.

    Args:
        pixels, centre, replicate, alive, folded, step, steps: as `forward` has them.
        weights, velocity: [K, P, 20, classes] float32, updated.
        rates: [K, 3] float32, learning rate, momentum and weight decay.
        delta: [K, batch, lanes] float32, gradient of the batch's mean loss by the logits.
        partial: [K, S, 32, 32] float64, out: sums of pixel times slope, taps by filters.
    """
    k, split = tl.program_id(1).to(tl.int64), tl.program_id(0)
    if tl.load(alive + k) == 0:
        return
    positions: tl.constexpr = (height - SIDE + 1) * (width - SIDE + 1)
    tap, column, lane = tl.arange(0, TAP_LANES), tl.arange(0, FILTER_LANES), tl.arange(0, lanes)
    row = tl.load(replicate + k).to(tl.int64)
    of_batch = pixels + (row * steps + step) * height * width * batch
    middle = tl.load(centre + row)
    rate, momentum = tl.load(rates + k * 3), tl.load(rates + k * 3 + 1)
    decay = tl.load(rates + k * 3 + 2)
    filters = filters_of(folded, k)
    inner = column[:, None] * classes + lane[None, :]
    # float64 from one position to the next: unfolding cancels, and a sum over 9,216 products in float32 would show.
    of_filters = tl.zeros([TAP_LANES, FILTER_LANES], tl.float64)
    for i in range(span):
        position = tl.minimum(split * span + i, positions - 1)
        present = tl.where(split * span + i < positions, FILTERS, 0)
        here = (column < present)[:, None] & (lane < classes)[None, :]
        place = (k * positions + position) * FILTERS * classes + inner
        w = tl.load(weights + place, mask=here, other=0.0)
        of_weights = tl.zeros([FILTER_LANES, lanes], tl.float32)
        for first in range(0, batch, images):
            image = first + tl.arange(0, images)
            taps = patch(of_batch, middle, image, position, batch, width)
            features = convolve(taps, filters, precision)
            there = (image < batch)[:, None]
            share = tl.load(delta + (k * batch + image[:, None]) * lanes + lane[None, :], mask=there, other=0.0)
            slope = tl.dot(share, tl.trans(w), input_precision=precision)
            slope = tl.where(features > 0, slope, 0.0)
            of_weights += tl.dot(tl.trans(features), share, input_precision=precision)
            of_filters += tl.dot(tl.trans(taps), slope, input_precision=precision).to(tl.float64)
        move(weights, velocity, place, here, of_weights, rate, momentum, decay)
    out = ((k * tl.num_programs(0) + split) * TAP_LANES + tap[:, None]) * FILTER_LANES + column[None, :]
    tl.store(partial + out, of_filters)
