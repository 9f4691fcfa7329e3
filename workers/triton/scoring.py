# mypy: ignore-errors
# Triton gives these functions their types when it compiles them.
"""From the splits' shares of the logits to losses: in training with gradients, in evaluation with metrics."""

import triton
import triton.language as tl

from workers.triton.losses import INFINITY, loss_and_gradient
from workers.triton.normalisation import move


@triton.jit
def logits_of(
    partial, bias, k, image,
    batch: tl.constexpr, splits: tl.constexpr, classes: tl.constexpr, lanes: tl.constexpr,
):  # fmt: skip
    """Logits of some images, [images, lanes] float64; zeros where there is no class or no image."""
    lane = tl.arange(0, lanes)
    there = (image < batch)[:, None] & (lane < classes)[None, :]
    added = tl.load(bias + k * classes + lane, mask=lane < classes, other=0.0).to(tl.float64)
    logits = tl.where(there, added[None, :], 0.0)
    for split in range(splits):
        place = ((k * splits + split) * batch + image[:, None]) * lanes + lane[None, :]
        logits += tl.load(partial + place, mask=there, other=0.0).to(tl.float64)
    # The reference's logits are float32, and an overflow has to show.
    return logits.to(tl.float32).to(tl.float64)


@triton.jit(do_not_specialize=["step", "steps"])
def train_loss(
    partial, bias, bias_velocity, labels, replicate, kinds, rates, alive, delta, total, step, steps,
    batch: tl.constexpr, splits: tl.constexpr, classes: tl.constexpr, lanes: tl.constexpr,
    images: tl.constexpr,
):  # fmt: skip
    """Loss of a batch and its gradient by the logits, and the update of the bias; grid (K,).

    Args:
        partial: [K, S, batch, lanes] float32, from `forward`.
        bias, bias_velocity: [K, classes] float32, updated; the bias has no weight decay.
        labels: [R, steps, batch] int32.
        replicate, kinds: [K] int32; kinds are those of `losses.NUMBERS`.
        rates: [K, 3] float32, learning rate, momentum and weight decay.
        alive: [K] int32, set to 0 if the loss is not finite.
        delta: [K, batch, lanes] float32, out: gradient of the batch's mean loss by the logits.
        total: [K] float64, the batch's mean loss is added.
        step, steps: which of how many batches.
    """
    k = tl.program_id(0).to(tl.int64)
    if tl.load(alive + k) == 0:
        return
    lane = tl.arange(0, lanes)
    kind = tl.load(kinds + k)
    targets = labels + (tl.load(replicate + k).to(tl.int64) * steps + step) * batch
    loss = tl.zeros([images], tl.float64)
    of_bias = tl.zeros([images, lanes], tl.float64)
    for first in range(0, batch, images):
        image = first + tl.arange(0, images)
        there = image < batch
        target = tl.load(targets + image, mask=there, other=0)
        logits = logits_of(partial, bias, k, image, batch, splits, classes, lanes)
        value, gradient, _, _ = loss_and_gradient(logits, target, kind, classes, lanes)
        share = tl.where(there[:, None], gradient / batch, 0.0)
        loss += tl.where(there, value, 0.0)
        of_bias += share
        place = (k * batch + image[:, None]) * lanes + lane[None, :]
        tl.store(delta + place, share.to(tl.float32), mask=there[:, None])
    mean = tl.sum(loss, 0) / batch
    tl.store(total + k, tl.load(total + k) + mean)
    if not (tl.abs(mean) < INFINITY):
        tl.store(alive + k, 0)
    rate, momentum = tl.load(rates + k * 3), tl.load(rates + k * 3 + 1)
    move(bias, bias_velocity, k * classes + lane, lane < classes, tl.sum(of_bias, 0), rate, momentum, 0.0)


@triton.jit
def score(
    partial, bias, labels, counts, replicate, kinds, alive, metrics, correct,
    batch: tl.constexpr, splits: tl.constexpr, classes: tl.constexpr, lanes: tl.constexpr, images: tl.constexpr,
):  # fmt: skip
    """Metrics of one network on its test images; grid (K,).

    Args:
        partial: [K, S, batch, lanes] float32, from `forward` with all test images as one batch.
        bias: [K, classes] float32.
        labels: [R, batch] int32.
        counts: [R] int32, how many of the images are there.
        replicate, kinds: [K] int32.
        alive: [K] int32, set to 0 if the loss is not finite.
        metrics: [K, 3] float64, out: images classified rightly, sum of the losses, sum of the Brier scores.
        correct: [K, batch] uint8, out.
    """
    k = tl.program_id(0).to(tl.int64)
    if tl.load(alive + k) == 0:
        return
    lane = tl.arange(0, lanes)[None, :]
    kind, row = tl.load(kinds + k), tl.load(replicate + k).to(tl.int64)
    count = tl.load(counts + row)
    loss, brier = tl.zeros([images], tl.float64), tl.zeros([images], tl.float64)
    rightly = tl.zeros([images], tl.int32)
    for first in range(0, batch, images):
        image = first + tl.arange(0, images)
        there = image < count
        target = tl.load(labels + row * batch + image, mask=there, other=0)
        logits = logits_of(partial, bias, k, image, batch, splits, classes, lanes)
        value, _, y, right = loss_and_gradient(logits, target, kind, classes, lanes)
        miss = y - tl.where(lane == target[:, None], 1.0, 0.0)
        loss += tl.where(there, value, 0.0)
        brier += tl.where(there, tl.sum(miss * miss, 1), 0.0)
        rightly += tl.where(there, right, 0)
        tl.store(correct + k * batch + image, right.to(tl.uint8), mask=there)
    mean = tl.sum(loss, 0)
    tl.store(metrics + k * 3, tl.sum(rightly, 0).to(tl.float64))
    tl.store(metrics + k * 3 + 1, mean)
    tl.store(metrics + k * 3 + 2, tl.sum(brier, 0))
    if not (tl.abs(mean) < INFINITY):
        tl.store(alive + k, 0)
