# mypy: ignore-errors
# Triton gives these functions their types when it compiles them.
"""The layers between pixels and logits, two neighbouring positions of the filter at a time, for a tile of images.

The 5 x 6 pixels under a pair of positions and a constant 1 are 31 taps; times the folded filters, laid out once for
either position, they give the features of both, and those times the pair's rows of the connected weights add to the
logits. Nothing of a feature's size is stored: the backward pass computes the features again from the pixels, which lie
in the cache. Two positions share one tile of pixels and make the products' least side 64, which Hopper's warp-group
products need.
"""

import triton
import triton.language as tl

from workers.triton.normalisation import FILTER_LANES, FILTERS, PIXELS, SIDE, TAP_LANES, TAPS, WIDE, move
from workers.triton.split import product

PAIR = tl.constexpr(64)
"""Columns of a pair's features: 20 filters of the left position, 12 of none, 20 of the right one, 12 of none."""


@triton.jit
def patch(pixels, centre, image, tap, pair, batch: tl.constexpr, images: tl.constexpr, width: tl.constexpr):
    """Pixels under a pair less `centre`, float32 of the shape of `image` by `tap`; tap 30 is 1, tap 31 anything finite.

    Whole numbers of at most 8 bits: exact also in tf32. Where there is no pixel, the filter is 0 or the position has no
    weights.

    Args:
        pixels: [height * width, batch] uint8, of one batch: images side by side, so that a warp reads a whole line.
        image: [images, 1] or [1, images], of which those from `batch` on are not there.
        tap: [1, 32] or [32, 1].
        pair: in row-major order.
    """
    pairs: tl.constexpr = (width - SIDE + 2) // 2
    row = pair // pairs
    column = (pair - row * pairs) * 2 + tap % WIDE
    mask = (tap < PIXELS) & (column < width)
    if batch % images != 0:
        mask = mask & (image < batch)
    value = tl.load(pixels + ((row + tap // WIDE) * width + column) * batch + image, mask=mask, other=0)
    return value.to(tl.float32) - tl.where(tap == PIXELS, -1.0, centre)


@triton.jit
def filters_of(folded, k, tap, lane):
    """The folded filters of a network for the taps of a pair, of the shape of `tap` by `lane`.

    Args:
        folded: [K, 32, 32] float32, taps of one position by filters; row 25 is the offset.
        tap: [32, 1] or [1, 32].
        lane: [1, 64] or [64, 1].
    """
    column = tap % WIDE - lane // FILTER_LANES
    own = tl.where(tap == PIXELS, TAPS, tap // WIDE * SIDE + column)
    there = (tap <= PIXELS) & ((tap == PIXELS) | ((column >= 0) & (column < SIDE)))
    return tl.load(folded + (k * TAP_LANES + own) * FILTER_LANES + lane % FILTER_LANES, mask=there, other=0.0)


@triton.jit
def weights_of(pair, k, classes: tl.constexpr, lanes: tl.constexpr, height: tl.constexpr, width: tl.constexpr):
    """Where a pair's connected weights are, [64, lanes], and which are there: none of a pair behind the last."""
    columns: tl.constexpr = width - SIDE + 1
    row = pair // ((columns + 1) // 2)
    lane, of_class = tl.arange(0, PAIR)[:, None], tl.arange(0, lanes)[None, :]
    column = (pair - row * ((columns + 1) // 2)) * 2 + lane // FILTER_LANES
    present = tl.where(row < height - SIDE + 1, columns, 0)
    position = k * ((height - SIDE + 1) * columns) + row * columns + column
    place = (position * FILTERS + lane % FILTER_LANES) * classes + of_class
    return place, (lane % FILTER_LANES < FILTERS) & (column < present) & (of_class < classes)


@triton.jit
def rectified(value):
    """The ReLU, written so that a NaN stays one."""
    return tl.maximum(value, 0.0, propagate_nan=tl.PropagateNan.ALL)


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
        span: pairs of positions per program.
        precision: see `split.product`.
    """
    k, split = tl.program_id(2).to(tl.int64), tl.program_id(1)
    if tl.load(alive + k) == 0:
        return
    pairs: tl.constexpr = (height - SIDE + 1) * ((width - SIDE + 2) // 2)
    image = (tl.program_id(0) * images + tl.arange(0, images))[:, None]
    tap, lane = tl.arange(0, TAP_LANES), tl.arange(0, PAIR)
    row = tl.load(replicate + k).to(tl.int64)
    of_batch = pixels + (row * steps + step) * height * width * batch
    middle = tl.load(centre + row)
    filters = filters_of(folded, k, tap[:, None], lane[None, :])
    logits = tl.zeros([images, lanes], tl.float32)
    # The last split repeats the last pair, with weights of zero, until its time is up.
    for i in range(span):
        pair = tl.minimum(split * span + i, pairs - 1)
        taps = patch(of_batch, middle, image, tap[None, :], pair, batch, images, width)
        features = rectified(product(taps, filters, precision, exact="left"))
        place, there = weights_of(split * span + i, k, classes, lanes, height, width)
        w = tl.load(weights + place, mask=there, other=0.0)
        logits += product(features, w, precision, exact="neither")
    out = ((k * tl.num_programs(1) + split) * batch + image) * lanes + tl.arange(0, lanes)[None, :]
    tl.store(partial + out, logits, mask=image < batch)


@triton.jit(do_not_specialize=["step", "steps"])
def backward(
    pixels, centre, replicate, alive, folded, weights, velocity, rates, delta, partial, step, steps,
    batch: tl.constexpr, height: tl.constexpr, width: tl.constexpr, classes: tl.constexpr,
    lanes: tl.constexpr, images: tl.constexpr, span: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Moves the connected weights and sums the folded filters' gradient over a split's pairs; grid (S, K).

    A pair's weights are read and written by one program only: the slopes take them from before their update. Tiles
    have the pair's features first, so that what was computed is the next product's left operand, from registers.

    Args:
        pixels, centre, replicate, alive, folded, step, steps, span, precision: as `forward` has them.
        weights, velocity: [K, P, 20, classes] float32, updated.
        rates: [K, 3] float32, learning rate, momentum and weight decay.
        delta: [K, batch, lanes] float32, gradient of the batch's mean loss by the logits.
        partial: [K, S, 64, 32] float64, out: sums of slope times pixel, the pair's features by its taps.
    """
    k, split = tl.program_id(1).to(tl.int64), tl.program_id(0)
    if tl.load(alive + k) == 0:
        return
    pairs: tl.constexpr = (height - SIDE + 1) * ((width - SIDE + 2) // 2)
    tap, lane, of_class = tl.arange(0, TAP_LANES), tl.arange(0, PAIR), tl.arange(0, lanes)
    row = tl.load(replicate + k).to(tl.int64)
    of_batch = pixels + (row * steps + step) * height * width * batch
    middle = tl.load(centre + row)
    rate, momentum = tl.load(rates + k * 3), tl.load(rates + k * 3 + 1)
    decay = tl.load(rates + k * 3 + 2)
    filters = filters_of(folded, k, tap[None, :], lane[:, None])
    # float64 from one pair to the next: unfolding cancels, and a sum over 9,216 products in float32 would show.
    of_filters = tl.zeros([PAIR, TAP_LANES], tl.float64)
    for i in range(span):
        pair = tl.minimum(split * span + i, pairs - 1)
        place, there = weights_of(split * span + i, k, classes, lanes, height, width)
        w = tl.load(weights + place, mask=there, other=0.0)
        of_weights = tl.zeros([PAIR, lanes], tl.float32)
        of_pair = tl.zeros([PAIR, TAP_LANES], tl.float32)
        for first in range(0, batch, images):
            image = first + tl.arange(0, images)
            taps = patch(of_batch, middle, image[None, :], tap[:, None], pair, batch, images, width)
            features = rectified(product(filters, taps, precision, exact="right"))
            share = tl.load(
                delta + (k * batch + image[:, None]) * lanes + of_class[None, :], mask=image[:, None] < batch, other=0.0
            )
            of_weights += product(features, share, precision, exact="neither")
            slope = tl.where(features > 0, product(w, tl.trans(share), precision, exact="neither"), 0.0)
            of_pair += product(slope, tl.trans(taps), precision, exact="right")
        of_filters += of_pair.to(tl.float64)
        move(weights, velocity, place, there, of_weights, rate, momentum, decay)
    out = ((k * tl.num_programs(0) + split) * PAIR + lane[:, None]) * TAP_LANES + tap[None, :]
    tl.store(partial + out, of_filters)
