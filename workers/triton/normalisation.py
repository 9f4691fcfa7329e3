# mypy: ignore-errors
# Triton gives these functions their types when it compiles them.
"""Batch norm without a second pass, on the device: filters into folded filters, and gradients back.

With mean m and covariance C of the batch's patches and s = sqrt(w'Cw + eps), convolution and batch norm are one
convolution by w~ = (gamma/s) w with offset b~ = beta - gamma w'm / s. All of it is float64: the moments are exact and
the gradient's unfolding cancels.

Source: docs/method.md, section 4.
"""

import triton
import triton.language as tl

FILTERS = tl.constexpr(20)
TAPS = tl.constexpr(25)
MOMENTS = tl.constexpr(650)
TAP_LANES = tl.constexpr(32)
FILTER_LANES = tl.constexpr(32)
SIDE = tl.constexpr(5)
WIDE = tl.constexpr(6)
"""Columns of pixels under two neighbouring positions of the filter, a pair."""
PIXELS = tl.constexpr(30)
"""Under a pair; the pair's tap of this number is 1."""
EPSILON = tl.constexpr(1e-5)
BRIGHTEST = tl.constexpr(255.0)


@triton.jit(do_not_specialize=["step", "steps", "terms"])
def fold(
    filters, scale, offset, alive, replicate, moments, folded, covariance_w, deviation, step, steps, terms,
):  # fmt: skip
    """Folded filters of one network for one batch; grid (K,).

    Args:
        filters: [K, 20, 25] float32, w.
        scale, offset: [K, 20] float32, gamma and beta.
        alive: [K] int32, set to 0 if a folded filter is not finite, or a variance with `terms`.
        replicate: [K] int32, index of the network's (fold, run).
        moments: [R, steps, 650] float64, mean and covariance of patches in units of the brightest pixel.
        folded: [K, 32, 32] float32, out: taps by filters, for pixels in 0..255; row 25 is the offset.
        covariance_w: [K, 25, 32] float64, out: C w.
        deviation: [K, 32] float64, out: s.
        step, steps: which of how many batches.
        terms: outputs of a filter that one float32 sum of squares is over.
    """
    k = tl.program_id(0).to(tl.int64)
    if tl.load(alive + k) == 0:
        return
    tap = tl.arange(0, TAP_LANES)
    column = tl.arange(0, FILTER_LANES)
    is_tap, is_filter = tap < TAPS, column < FILTERS
    both = is_tap[:, None] & is_filter[None, :]
    place = k * FILTERS * TAPS + column[None, :] * TAPS + tap[:, None]
    w = tl.load(filters + place, mask=both, other=0.0).to(tl.float64)
    batch = moments + (tl.load(replicate + k).to(tl.int64) * steps + step) * MOMENTS
    mean = tl.load(batch + tap, mask=is_tap, other=0.0)
    along = tl.zeros([TAP_LANES, FILTER_LANES], tl.float64)
    for j in range(TAPS):
        row = tl.load(batch + TAPS + j * TAPS + tap, mask=is_tap, other=0.0)
        w_j = tl.load(filters + k * FILTERS * TAPS + column * TAPS + j, mask=is_filter, other=0.0)
        along += row[:, None] * w_j.to(tl.float64)[None, :]
    variance = tl.sum(w * along, 0)
    # As the reference has it, which adds up squares in float32: beyond it nothing is normalised any more.
    if tl.sum(tl.where((variance * terms).to(tl.float32) < float("inf"), 0, 1), 0) > 0:
        tl.store(alive + k, 0)
    # Rounding may leave a variance of zero a little negative; a NaN has to stay one.
    s = tl.sqrt(tl.where(variance < 0, 0.0, variance) + EPSILON)
    gamma = tl.load(scale + k * FILTERS + column, mask=is_filter, other=0.0).to(tl.float64)
    beta = tl.load(offset + k * FILTERS + column, mask=is_filter, other=0.0).to(tl.float64)
    factor = gamma / s
    b = beta - factor * tl.sum(w * mean[:, None], 0)
    tile = tl.where(tap[:, None] == TAPS, b[None, :], factor[None, :] * w / BRIGHTEST).to(tl.float32)
    tl.store(folded + (k * TAP_LANES + tap[:, None]) * FILTER_LANES + column[None, :], tile)
    tl.store(covariance_w + (k * TAPS + tap[:, None]) * FILTER_LANES + column[None, :], along, mask=is_tap[:, None])
    tl.store(deviation + k * FILTER_LANES + column, s)
    # An infinite filter could hide behind the ReLU; `not <` also catches NaN.
    broken = tl.where(tl.abs(tile) < float("inf"), 0, 1)
    if tl.sum(tl.sum(broken, 1), 0) > 0:
        tl.store(alive + k, 0)


@triton.jit
def move(parameter, velocity, place, mask, gradient, rate, momentum, decay):
    """Eq. 27 with coupled L2, in float32: v <- momentum v + (g + decay w), w <- w - rate v."""
    w = tl.load(parameter + place, mask=mask, other=0.0)
    v = momentum * tl.load(velocity + place, mask=mask, other=0.0) + (gradient.to(tl.float32) + decay * w)
    tl.store(velocity + place, v, mask=mask)
    tl.store(parameter + place, w - rate * v, mask=mask)


@triton.jit(do_not_specialize=["step", "steps"])
def unfold_and_move(
    filters, scale, offset, filters_velocity, scale_velocity, offset_velocity, rates, alive, replicate, moments,
    partial, covariance_w, deviation, step, steps, splits: tl.constexpr,
):  # fmt: skip
    """Gradients of w, gamma and beta from those of the folded filters, and their update; grid (K,).

    Args:
        filters, scale, offset, alive, replicate, moments, covariance_w, deviation, step, steps: as `fold` has them.
        filters_velocity, scale_velocity, offset_velocity: momentum, shaped like what they move.
        rates: [K, 3] float32, learning rate, momentum and weight decay.
        partial: [K, S, 64, 32] float64, from `backward`: a left position's filters and then a right one's by the taps
            of a pair.
    """
    k = tl.program_id(0).to(tl.int64)
    if tl.load(alive + k) == 0:
        return
    tap = tl.arange(0, TAP_LANES)
    column = tl.arange(0, FILTER_LANES)
    is_tap, is_filter = tap < TAPS, column < FILTERS
    tile = tap[:, None] * FILTER_LANES + column[None, :]
    left = column[None, :] * TAP_LANES + tl.where(tap == TAPS, PIXELS, tap // SIDE * WIDE + tap % SIDE)[:, None]
    right = left + FILTER_LANES * TAP_LANES + tl.where(tap == TAPS, 0, 1)[:, None]
    used = (tap <= TAPS)[:, None]
    sums = tl.zeros([TAP_LANES, FILTER_LANES], tl.float64)
    for split in range(splits):
        of_split = partial + (k * splits + split) * 2 * FILTER_LANES * TAP_LANES
        sums += tl.load(of_split + left, mask=used, other=0.0) + tl.load(of_split + right, mask=used, other=0.0)
    batch = moments + (tl.load(replicate + k).to(tl.int64) * steps + step) * MOMENTS
    mean = tl.load(batch + tap, mask=is_tap, other=0.0)
    along = tl.load(covariance_w + k * TAPS * FILTER_LANES + tile, mask=is_tap[:, None], other=0.0)
    s = tl.load(deviation + k * FILTER_LANES + column)
    both = is_tap[:, None] & is_filter[None, :]
    place = k * FILTERS * TAPS + column[None, :] * TAPS + tap[:, None]
    w = tl.load(filters + place, mask=both, other=0.0).to(tl.float64)
    small = k * FILTERS + column
    gamma = tl.load(scale + small, mask=is_filter, other=0.0).to(tl.float64)

    of_offset = tl.sum(tl.where(tap[:, None] == TAPS, sums, 0.0), 0)
    centred = tl.where(both, sums / BRIGHTEST - mean[:, None] * of_offset[None, :], 0.0)
    of_scale = tl.sum(w * centred, 0) / s
    of_filter = (gamma / s)[None, :] * (centred - (of_scale / s)[None, :] * along)

    rate, momentum = tl.load(rates + k * 3), tl.load(rates + k * 3 + 1)
    decay = tl.load(rates + k * 3 + 2)
    move(filters, filters_velocity, place, both, of_filter, rate, momentum, decay)
    move(scale, scale_velocity, small, is_filter, of_scale, rate, momentum, decay)
    move(offset, offset_velocity, small, is_filter, of_offset, rate, momentum, decay)
