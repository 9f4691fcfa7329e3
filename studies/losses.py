"""The losses of the study, from logits to one number per image, and their gradients in closed form.

With y the softmax of the logits, t the one-hot target and, per class, the distance a = |y - t| and the
agreement u = 1 - a:

- `energy`: E* = -cos v ln sin v - sin v ln cos v with v = pi u / 4. This is eq. 24 at the angle d = pi/2 - v
  of eq. 23; E* is the same at d and pi/2 - d, so that it is a function of a alone.
- `dual-process`: L = sqrt 2 sigmoid((E* - E*(pi/4))/2), eq. 26; from 1/sqrt 2 at a = 0 to sqrt 2 at a = 1.
- `sse`: a^2, without a factor 1/2.
- `cross-entropy`: -ln y of the target.

The first three are per class and summed over the classes; a training averages over the images. The paper
gives no reduction: this one is our choice, that of the sum-of-squares layer in the paper's baseline.

Scale: near the target L - 1/sqrt 2 = 0.2817 (y - t)^2 and E* - E*(pi/4) = 1.594 (y - t)^2, so at one learning
rate eq. 26 steps 0.55 decades shorter than `sse` there, yet 3.3 times longer at a = 0.99. Eq. 25 with p =
1/sqrt 2 gives the exponent sqrt 2 (E* - E*(pi/4)) instead of the printed (E* - E*(pi/4))/2: we use the print.

Arithmetic: float64 inside, finite for all finite logits whose differences are finite in float64. The slope
dL/da diverges as u -> 0 while its product with the softmax's derivative does not, so the slope itself is
never formed: we form u times the slope, called the pull; u = 1 - y as the sum of the other classes; and y_i /
(1 - y_k) as a softmax of its own. A NaN or +inf among the logits makes the loss NaN, so that a diverged
training shows.

Bits: the result of an image does not depend on what stands beside it. On the CPU, torch's sigmoid, softplus,
exp2, sinh and atanh round differently in the last few elements of a tensor than elsewhere (seen in 2.15);
exp, log, log1p, sin, cos, sinc, asinh and rsqrt do not, and only these occur here.

Source: S. Jaeger, The Golden Ratio in Machine Learning, IEEE AIPR 2021, eq. 23-26.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EQUILIBRIUM_ENERGY = math.log(2) / math.sqrt(2)
"""E*(pi/4), the least value of eq. 24."""

_LOGIT_DTYPES = (torch.float32, torch.float64)
_TARGET_DTYPES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)

# Stands for u in the pull where u underflows: every term that it enters is proportional to a power of u and
# vanishes beside 1. Its square is still a normal number, so that no ratio of two of them is 0/0.
_SMALLEST_AGREEMENT = math.sqrt(torch.finfo(torch.float64).tiny)


def dual_process(logits: Tensor, targets: Tensor) -> Tensor:
    """The paper's loss, sum over the classes of sqrt 2 / (1 + exp(-(E* - E*(pi/4))/2)).

    Args:
        logits: [..., N, C], C >= 2, float32 or float64, finite.
        targets: class of each image, [N], integer, in [0, C).

    Returns:
        Loss per image, [..., N], dtype of the logits, in [C/sqrt 2, C sqrt 2].

    Raises:
        ValueError: a dtype, a shape or a class is outside what Args says.

    Source: eq. 26.
    """
    return _loss("dual-process", logits, targets)


def energy(logits: Tensor, targets: Tensor) -> Tensor:
    """The combined energy, sum over the classes of E*(d) = -sin d ln cos d - cos d ln sin d.

    Args:
        logits: [..., N, C], C >= 2, float32 or float64, finite.
        targets: class of each image, [N], integer, in [0, C).

    Returns:
        Loss per image in nats, [..., N], dtype of the logits, at least C ln 2 / sqrt 2.

    Raises:
        ValueError: a dtype, a shape or a class is outside what Args says.

    Source: eq. 23, 24.
    """
    return _loss("energy", logits, targets)


def sse(logits: Tensor, targets: Tensor) -> Tensor:
    """The sum of squared errors, sum over the classes of (y - t)^2.

    Args:
        logits: [..., N, C], C >= 2, float32 or float64, finite.
        targets: class of each image, [N], integer, in [0, C).

    Returns:
        Loss per image, [..., N], dtype of the logits, in [0, 2].

    Raises:
        ValueError: a dtype, a shape or a class is outside what Args says.

    Source: the baseline of Table I; the reduction is that of the MathWorks layer, without a factor 1/2.
    """
    return _loss("sse", logits, targets)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The cross-entropy, -ln y of the target class.

    Args:
        logits: [..., N, C], C >= 2, float32 or float64, finite.
        targets: class of each image, [N], integer, in [0, C).

    Returns:
        Loss per image in nats, [..., N], dtype of the logits, at least 0.

    Raises:
        ValueError: a dtype, a shape or a class is outside what Args says.

    Source: eq. 3 with p = t and q = y.
    """
    return _loss("cross-entropy", logits, targets)


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {"dual-process": dual_process, "energy": energy, "sse": sse, "cross-entropy": cross_entropy}
)
"""The losses by the name that a study gives them."""


def gradient(name: str, logits: Tensor, targets: Tensor) -> Tensor:
    """The derivative of a loss per image with respect to its logits, in closed form.

    Autograd returns the same for the functions of `LOSSES`. There is no second derivative: to autograd the
    gradient is a constant.

    Args:
        name: a key of `LOSSES`.
        logits: [..., N, C], C >= 2, float32 or float64, finite.
        targets: class of each image, [N], integer, in [0, C).

    Returns:
        dL/dz of the image's own loss (not averaged), [..., N, C], dtype of the logits; sums to 0 over the
        classes.

    Raises:
        ValueError: no loss has that name, or a dtype, a shape or a class is outside what Args says.

    Source: chain rule through eq. 23-26 and the softmax.
    """
    if name not in _CLOSED_FORMS:
        raise ValueError(f"a loss must be one of {', '.join(_CLOSED_FORMS)}, got {name!r}")
    _check(logits, targets)
    with torch.no_grad():
        return _CLOSED_FORMS[name].gradient(_softmax(logits, targets)).to(logits.dtype)


@dataclass(frozen=True)
class _Distances:
    """How far each class is from its target.

    Args:
        distance: a = |y - t|, [..., N, C], in [0, 1].
        agreement: u = 1 - a, [..., N, C], in [0, 1].
        log_agreement: ln u, [..., N, C], finite also where u underflows.
    """

    distance: Tensor
    agreement: Tensor
    log_agreement: Tensor

    @cached_property
    def energy(self) -> Tensor:
        """E* of eq. 24 per class, [..., N, C]."""
        angle = self.agreement * (math.pi / 4)
        # torch.sinc(x) is sin(pi x)/(pi x), so sin(angle) = angle sinc(u/4): its logarithm is finite as u ->
        # 0.
        log_sine = self.log_agreement + (torch.sinc(self.agreement / 4) * (math.pi / 4)).log()
        cosine = angle.cos()
        return -cosine * log_sine - angle.sin() * cosine.log()

    @cached_property
    def shrinkage(self) -> Tensor:
        """exp(-(E* - E*(pi/4))/2) of eq. 26 per class, [..., N, C]: 1 at a = 0, 1.28 sqrt(v) as u -> 0."""
        return ((EQUILIBRIUM_ENERGY - self.energy) / 2).exp()


@dataclass(frozen=True)
class _Softmax:
    """Softmax probabilities and what their complements need, without cancellation, in float64.

    Only the most probable class, the top, can exceed 1/2; so only its complement would cancel as 1 - y. The
    others are formed from it, so that equal probabilities have equal complements to the last bit.

    Args:
        probability: y, [..., N, C].
        complement: 1 - y, [..., N, C].
        log_probability: ln y, [..., N, C].
        top_complement: 1 - y of the top, [..., N, 1].
        log_top_complement: its logarithm, [..., N, 1].
        among_others: y_i / (1 - y_top), [..., N, C], 0 at the top.
        top: the most probable class, the first of equals, [..., N, 1], int64.
        target: [..., N, 1], int64.
        is_top: [..., N, C].
        is_target: [..., N, C].
    """

    probability: Tensor
    complement: Tensor
    log_probability: Tensor
    top_complement: Tensor
    log_top_complement: Tensor
    among_others: Tensor
    top: Tensor
    target: Tensor
    is_top: Tensor
    is_target: Tensor

    @cached_property
    def distances(self) -> _Distances:
        """How far each class is from its target."""
        # Only the top underflows. Above 1/4 it may have equals, which must take the same path.
        log_complement = torch.where(self.complement < 1 / 4, self.log_top_complement, self.complement.log())
        return _Distances(
            distance=torch.where(self.is_target, self.complement, self.probability),
            agreement=torch.where(self.is_target, self.probability, self.complement),
            log_agreement=torch.where(self.is_target, self.log_probability, log_complement),
        )


def _softmax(logits: Tensor, targets: Tensor) -> _Softmax:
    greatest, top = logits.double().max(-1, keepdim=True)
    below = logits - greatest
    is_top = torch.arange(logits.shape[-1], device=logits.device) == top
    target = targets.long().unsqueeze(-1).expand_as(top)
    is_target = torch.zeros_like(is_top).scatter(-1, target, True)
    others = below.masked_fill(is_top, -math.inf)
    log_odds = others.logsumexp(-1, keepdim=True)
    odds = log_odds.exp()
    log_total = odds.log1p()
    log_probability = below - log_total
    probability = log_probability.exp()
    top_complement = odds / (1 + odds)
    return _Softmax(
        probability=probability,
        complement=top_complement + (probability.amax(-1, keepdim=True) - probability),
        log_probability=log_probability,
        top_complement=top_complement,
        log_top_complement=log_odds - log_total,
        among_others=(others - log_odds).exp(),
        top=top,
        target=target,
        is_top=is_top,
        is_target=is_target,
    )


def _energy_pull(at: _Distances) -> Tensor:
    """u dE*/da per class, [..., N, C], from 0 at a = 0 to 1 at a = 1.

    With x = pi a / 4, v = pi u / 4, p = ln(sin v cos v) and r = ln(cot v), E* is (r sin x - p cos x)/sqrt 2.
    Its derivative by x, sqrt 2 (sin x (p/2 + 1 + 2/sin 2v) + (r/2) cos x), is a sum without cancellation, and
    so is r/2 = asinh(sin x / sqrt(sin 2v)).
    """
    x = at.distance * (math.pi / 4)
    v = at.agreement.clamp_min(_SMALLEST_AGREEMENT) * (math.pi / 4)
    sine = x.sin()
    double_sine = (2 * v).sin()
    half_log_ratio = (sine * double_sine.rsqrt()).asinh()
    half_log_product = (double_sine / 2).log() / 2
    along = sine * (v * (half_log_product + 1) + 2 * v / double_sine)
    return math.sqrt(2) * (along + x.cos() * v * half_log_ratio)


def _dual_process(at: _Distances) -> Tensor:
    """L of eq. 26 per class, [..., N, C]."""
    return math.sqrt(2) / (1 + at.shrinkage)


def _dual_process_pull(at: _Distances) -> Tensor:
    """u dL/da per class, [..., N, C]: 0.80 sqrt u as u -> 0."""
    return at.shrinkage / (1 + at.shrinkage).square() * _energy_pull(at) / math.sqrt(2)


def _squared_distance(at: _Distances) -> Tensor:
    return at.distance.square()


def _squared_distance_pull(at: _Distances) -> Tensor:
    return 2 * at.distance * at.agreement


def _through_softmax(softmax: _Softmax, pull: Tensor) -> Tensor:
    """dL/dz of a loss that is a sum over the classes, from its pull u dL/da.

    With g = dL/dy, which is pull / (1 - y) off the target and -pull / y at it, dz_j = y_j (g_j - sum_k y_k
    g_k). A shift of all g changes nothing; so with f_k = y_k (g_k - g_top), dz = f - y sum_k f_k. The top has
    f = 0, which frees its dz from the cancellation in a class that holds all the probability, and so have its
    equals, to the last bit. y_k g_top is formed as y_k / (1 - y_top) times (1 - y_top) g_top: 1 - y_top may
    underflow, these do not.

    Args:
        softmax: of the logits.
        pull: u times the derivative of the loss with respect to the distance, [..., N, C].

    Returns:
        Gradient with respect to the logits, [..., N, C].
    """
    y, others = softmax.probability, softmax.among_others
    of_top = torch.where(softmax.is_target, -softmax.complement * pull / y, pull).gather(-1, softmax.top)
    off_target = others * (pull * (softmax.top_complement / softmax.complement))
    own = torch.where(softmax.is_target, -pull, off_target).masked_fill(softmax.is_top, 0)
    shifted = own - others * of_top
    return shifted - y * shifted.sum(-1, keepdim=True)


@dataclass(frozen=True)
class _ClosedForm:
    """A loss per image and its gradient, both in float64.

    Args:
        value: softmax to [..., N].
        gradient: softmax to [..., N, C].
    """

    value: Callable[[_Softmax], Tensor]
    gradient: Callable[[_Softmax], Tensor]


def _summed(value: Callable[[_Distances], Tensor], pull: Callable[[_Distances], Tensor]) -> _ClosedForm:
    """The closed form of a loss that is a sum over the classes of a function of the distance."""
    return _ClosedForm(
        value=lambda softmax: value(softmax.distances).sum(-1),
        gradient=lambda softmax: _through_softmax(softmax, pull(softmax.distances)),
    )


_CLOSED_FORMS: Mapping[str, _ClosedForm] = MappingProxyType(
    {
        "dual-process": _summed(_dual_process, _dual_process_pull),
        "energy": _summed(lambda at: at.energy, _energy_pull),
        "sse": _summed(_squared_distance, _squared_distance_pull),
        "cross-entropy": _ClosedForm(
            value=lambda softmax: -softmax.log_probability.gather(-1, softmax.target).squeeze(-1),
            gradient=lambda softmax: torch.where(softmax.is_target, -softmax.complement, softmax.probability),
        ),
    }
)


class _PerImage(torch.autograd.Function):
    """A loss per image whose derivative is the closed form, so that there is one gradient and it is finite.

    The gradient is formed beside the loss, which shares the softmax and the energy between the two.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(name: str, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        form, softmax = _CLOSED_FORMS[name], _softmax(logits, targets)
        return form.value(softmax).to(logits.dtype), form.gradient(softmax).to(logits.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[str, Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_loss: Tensor, of_gradient: Tensor) -> tuple[None, Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return None, of_loss.unsqueeze(-1) * gradient, None


def _loss(name: str, logits: Tensor, targets: Tensor) -> Tensor:
    _check(logits, targets)
    if not (logits.requires_grad and torch.is_grad_enabled()):
        return _CLOSED_FORMS[name].value(_softmax(logits, targets)).to(logits.dtype)
    loss, _ = cast(tuple[Tensor, Tensor], _PerImage.apply(name, logits, targets))
    return loss


def _check(logits: Tensor, targets: Tensor) -> None:
    if logits.dtype not in _LOGIT_DTYPES:
        raise ValueError(f"logits must be float32 or float64, got {logits.dtype}")
    if logits.ndim < 2 or logits.shape[-1] < 2:
        raise ValueError(f"logits must have shape [..., N, C] with C >= 2, got {list(logits.shape)}")
    if targets.dtype not in _TARGET_DTYPES:
        raise ValueError(f"targets must be integers, got {targets.dtype}")
    if targets.shape != logits.shape[-2:-1]:
        raise ValueError(
            f"targets must have shape [N] for logits [..., N, C], got {list(targets.shape)} for {list(logits.shape)}"
        )
    # Only in host memory: reading the range from a GPU would stall it at every step and cannot be captured in
    # a CUDA graph. There the scatter that marks the target trips the device's own assertion.
    if targets.device.type == "cpu" and targets.numel() > 0:
        least, greatest = (int(bound) for bound in targets.aminmax())
        if least < 0 or greatest >= logits.shape[-1]:
            raise ValueError(f"targets must lie in [0, {logits.shape[-1]}), got {least} to {greatest}")
