# mypy: ignore-errors
# Triton gives these functions their types when it compiles them.
"""The four losses and their gradients from logits, in closed form and without cancellation, in float64.

A translation of `studies/losses.py`, which derives every line. Tiles are [images, lanes]; lanes that are no class have
probability and gradient zero.
"""

import math

import triton
import triton.language as tl

DUAL_PROCESS = tl.constexpr(0)
ENERGY = tl.constexpr(1)
SQUARED_ERROR = tl.constexpr(2)
CROSS_ENTROPY = tl.constexpr(3)
NUMBERS = {"dual-process": 0, "energy": 1, "sse": 2, "cross-entropy": 3}
"""The kinds by the name that a study gives them."""

# In the interpreter a constant to the left of a tensor makes a constant of the tensor, so these stand to the right.
QUARTER_PI = tl.constexpr(math.pi / 4)
ROOT_2 = tl.constexpr(math.sqrt(2))
EQUILIBRIUM_ENERGY = tl.constexpr(math.log(2) / math.sqrt(2))
SMALLEST_AGREEMENT = tl.constexpr(2.0**-511)  # its square is still a normal number
INFINITY = tl.constexpr(math.inf)


@triton.jit
def log_1p(x):
    """ln(1 + x) for x >= 0: the last term gives back what rounding 1 + x took."""
    whole = 1.0 + x
    return tl.log(whole) + (x - (whole - 1.0)) / whole


@triton.jit
def softmax(logits, classes: tl.constexpr, lanes: tl.constexpr):
    """Softmax with accurate complements, of which only the top's would cancel as 1 - y.

    Returns:
        y, 1 - y, ln y and y / (1 - y_top) [images, lanes]; 1 - y_top and its logarithm [images, 1]; which lane is the
        first of the greatest, and which are greatest.
    """
    lane = tl.arange(0, lanes)[None, :]
    real = lane < classes
    z = tl.where(real, logits, -INFINITY)
    greatest = tl.max(z, 1)[:, None]
    is_greatest = z == greatest
    is_top = lane == tl.min(tl.where(is_greatest, lane, lanes), 1)[:, None]
    second = tl.max(tl.where(is_top, -INFINITY, z), 1)[:, None]
    others = tl.where(is_top | (lane >= classes), 0.0, tl.exp(z - second))
    total = tl.sum(others, 1)[:, None]
    log_odds = (second - greatest) + tl.log(total)
    odds = tl.exp(log_odds)
    log_total = log_1p(odds)
    top_complement = odds / (1.0 + odds)
    among_others = others / total
    y = tl.where(is_top, 1.0 / (1.0 + odds), among_others * top_complement)
    complement = tl.where(is_greatest, top_complement, 1.0 - y)
    log_y = (z - greatest) - log_total
    return y, complement, log_y, among_others, top_complement, log_odds - log_total, is_top, is_greatest


@triton.jit
def energy_term(distance, agreement, log_agreement):
    """E* of eq. 24 and its pull u dE*/da, [images, lanes]."""
    v = tl.where(agreement > SMALLEST_AGREEMENT, agreement, SMALLEST_AGREEMENT) * QUARTER_PI
    x = distance * QUARTER_PI
    sine_v, cosine_v = tl.sin(v), tl.cos(v)
    log_sine = log_agreement + tl.log(sine_v / v * QUARTER_PI)
    value = -cosine_v * log_sine - sine_v * tl.log(cosine_v)
    sine_x = tl.sin(x)
    double_sine = 2.0 * sine_v * cosine_v
    ratio = sine_x / tl.sqrt(double_sine)
    half_log_ratio = log_1p(ratio + ratio * ratio / (1.0 + tl.sqrt(1.0 + ratio * ratio)))
    half_log_product = tl.log(sine_v * cosine_v) * 0.5
    along = sine_x * (v * (half_log_product + 1.0) + 2.0 * v / double_sine)
    return value, (along + tl.cos(x) * v * half_log_ratio) * ROOT_2


@triton.jit
def loss_and_gradient(logits, target, kind, classes: tl.constexpr, lanes: tl.constexpr):
    """Loss and its gradient by the logits.

    Args:
        logits: [images, lanes] float64, of which the first `classes` count.
        target: [images] int32.
        kind: of `NUMBERS`; the same for all images, so that a program takes one branch.

    Returns:
        Loss [images], NaN if a logit is not finite; gradient and softmax [images, lanes]; 1 where the first of the
        greatest logits is the target's, [images] int32.
    """
    lane = tl.arange(0, lanes)[None, :]
    real = lane < classes
    is_target = lane == target[:, None]
    y, complement, log_y, among_others, top_complement, log_top_complement, is_top, is_greatest = softmax(
        logits, classes, lanes
    )
    if kind == CROSS_ENTROPY:
        value = tl.where(is_target, -log_y, 0.0)
        gradient = tl.where(is_target, -complement, y)
    else:
        distance = tl.where(is_target, complement, y)
        agreement = tl.where(is_target, y, complement)
        if kind == SQUARED_ERROR:
            value = distance * distance
            pull = 2.0 * distance * agreement
        else:
            log_others = tl.where(is_greatest, log_top_complement, tl.log(complement))
            value, pull = energy_term(distance, agreement, tl.where(is_target, log_y, log_others))
            if kind == DUAL_PROCESS:
                shrinkage = tl.exp((value - EQUILIBRIUM_ENERGY) * -0.5)
                value = 1.0 / (1.0 + shrinkage) * ROOT_2
                pull = shrinkage / ((1.0 + shrinkage) * (1.0 + shrinkage)) * pull / ROOT_2
        gradient = through_softmax(y, complement, among_others, top_complement, is_top, is_target, pull)
    broken = tl.sum(tl.where(real & ~(tl.abs(logits) < INFINITY), 1, 0), 1)
    loss = tl.where(broken > 0, float("nan"), tl.sum(tl.where(real, value, 0.0), 1))
    right = tl.sum(tl.where(is_top & is_target, 1, 0), 1)
    return loss, tl.where(real, gradient, 0.0), y, right


@triton.jit
def through_softmax(y, complement, among_others, top_complement, is_top, is_target, pull):
    """Gradient by the logits from the pulls, [images, lanes]; see `_through_softmax` of studies/losses.py."""
    at_top = tl.where(is_target, -complement * pull / y, pull)
    of_top = tl.sum(tl.where(is_top, at_top, 0.0), 1)[:, None]
    off_target = among_others * (pull * (top_complement / complement))
    own = tl.where(is_top, 0.0, tl.where(is_target, -pull, off_target))
    shifted = own - among_others * of_top
    return shifted - y * tl.sum(shifted, 1)[:, None]
