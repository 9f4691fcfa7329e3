import functools
import math
import random

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from studies import losses
from studies.losses import LOSSES, gradient

NAMES = tuple(LOSSES)
SUMMED = ("dual-process", "energy", "sse")
DTYPES = (torch.float32, torch.float64)

WORST_RELATIVE_ERROR = {torch.float32: 2e-7, torch.float64: 1e-9}
LEAST_MAGNITUDE = 1e-12
"""Below it no relative accuracy is promised."""


def per_element(name, y, t):
    """Loss of one class and its derivative by y, as the equations are printed."""
    if name == "sse":
        return (y - t) ** 2, 2 * (y - t)
    if name == "cross-entropy":
        return (-mp.log(y), -1 / y) if t else (mpf(0), mpf(0))
    d = (y - t + 1) * mp.pi / 4
    sine, cosine = mp.sin(d), mp.cos(d)
    energy = -sine * mp.log(cosine) - cosine * mp.log(sine)
    slope = -cosine * mp.log(cosine) + sine**2 / cosine + sine * mp.log(sine) - cosine**2 / sine
    slope *= mp.pi / 4
    if name == "energy":
        return energy, slope
    shrink = mp.exp(-(energy - mp.log(2) / mp.sqrt(2)) / 2)
    return mp.sqrt(2) / (1 + shrink), mp.sqrt(2) * shrink / (1 + shrink) ** 2 * slope / 2


@functools.cache
def literal(name, logits, target):
    """Loss and gradient of one image by the printed chain, with digits enough that 50 survive."""
    spread = max(logits) - min(logits)
    with mp.workdps(60 + int(2 * spread / math.log(10))):
        powers = [mp.exp(mpf(z) - mpf(max(logits))) for z in logits]
        total = mpmath.fsum(powers)
        y = [power / total for power in powers]
        elements = [per_element(name, value, int(k == target)) for k, value in enumerate(y)]
        mean = mpmath.fsum(value * slope for value, (_, slope) in zip(y, elements, strict=True))
        slopes = [value * (slope - mean) for value, (_, slope) in zip(y, elements, strict=True)]
        return mpmath.fsum(loss for loss, _ in elements), slopes


def relative_error(value, true):
    assert math.isfinite(value)
    return float(abs(value - true) / abs(true)) if abs(true) > LEAST_MAGNITUDE else 0.0


def worst_errors(name, images, dtype):
    """Greatest relative errors of loss and gradient over images of (logits, target)."""
    loss_error = gradient_error = 0.0
    for logits, target in images:
        z, t = torch.tensor([logits], dtype=dtype, requires_grad=True), torch.tensor([target])
        loss = LOSSES[name](z, t)
        loss.sum().backward()
        assert torch.equal(gradient(name, z, t), z.grad)
        true_loss, true_gradient = literal(name, tuple(z[0].tolist()), target)
        loss_error = max(loss_error, relative_error(loss.item(), true_loss))
        for value, true in zip(z.grad[0].tolist(), true_gradient, strict=True):
            gradient_error = max(gradient_error, relative_error(value, true))
    return loss_error, gradient_error


def ordinary(rng):
    classes = rng.choice([2, 3, 4, 7, 10, 12])
    scale = 10 ** rng.uniform(-1, 1.5)
    return [rng.gauss(0, scale) for _ in range(classes)], rng.randrange(classes)


def near_uniform(rng):
    classes = rng.choice([2, 3, 10])
    return [rng.gauss(0, 1e-6) for _ in range(classes)], rng.randrange(classes)


def near_target(rng):
    classes = rng.choice([2, 3, 10])
    logits = [rng.gauss(0, 1) for _ in range(classes)]
    target = rng.randrange(classes)
    logits[target] += rng.uniform(8, 16)
    return logits, target


def confidently_wrong(rng):
    classes = rng.choice([2, 3, 10])
    logits = [rng.gauss(0, 1) for _ in range(classes)]
    target = rng.randrange(classes)
    logits[(target + 1) % classes] += rng.uniform(8, 150)
    return logits, target


def two_at_the_top(rng):
    logits = [rng.gauss(0, 1) for _ in range(5)]
    logits[0] += rng.uniform(0, 60)
    logits[1] += rng.uniform(0, 60)
    return logits, rng.randrange(5)


def tied(rng):
    classes = rng.choice([3, 4, 10])
    return [rng.choice([0.0, 1.0, -30.0, 50.0, 17.3]) for _ in range(classes)], rng.randrange(classes)


def far_from_zero(rng):
    logits, target = ordinary(rng)
    return [1e4 - abs(z) for z in logits], target


@pytest.mark.parametrize(
    "kind",
    [ordinary, near_uniform, near_target, confidently_wrong, two_at_the_top, tied, far_from_zero],
)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_when_compared_with_fifty_digits(name, dtype, kind):
    rng = random.Random(f"{name} {kind.__name__}")
    errors = worst_errors(name, [kind(rng) for _ in range(25)], dtype)
    assert max(errors) <= WORST_RELATIVE_ERROR[dtype], errors


SATURATED = [
    ([0.0, 1e4, -1e4], 2),
    ([1e4, 1e4, -1e4], 2),
    ([-3e3, 3e3], 0),
    ([3e3, -3e3, 0.0], 0),
    ([2e3, 0.0, 2e3 - 1, 2.0], 1),
    ([400.0, 0.0, 400.0, 398.0, 2.0, 1.0, 0.0, 3.0, 1.0, -40.0], 4),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_when_probabilities_round_to_zero_and_one(name, dtype):
    errors = worst_errors(name, SATURATED, dtype)
    assert max(errors) <= WORST_RELATIVE_ERROR[dtype], errors


@pytest.mark.parametrize("name", NAMES)
def test_reference_when_its_gradient_is_differentiated_numerically(name):
    logits, target, step = (0.3, -1.2, 2.0, 0.0), 1, mpf(10) ** -15
    _, slopes = literal(name, logits, target)
    with mp.workdps(60):
        for j, slope in enumerate(slopes):
            low, high = (
                literal(name, (*logits[:j], mpf(logits[j]) + side * step, *logits[j + 1 :]), target)[0]
                for side in (-1, 1)
            )
            assert mp.almosteq((high - low) / (2 * step), slope, rel_eps=1e-25)


@pytest.mark.parametrize("name", NAMES)
def test_autograd_when_checked_by_finite_differences(name):
    z = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: LOSSES[name](z, torch.tensor([0, 3, 1])), z)


@pytest.mark.parametrize("name", NAMES)
def test_autograd_when_images_are_weighted(name):
    z = torch.randn(3, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    t = torch.tensor([4, 0, 2])
    weights = torch.tensor([2.0, 0.0, -0.5])
    (weights * LOSSES[name](z, t)).sum().backward()
    assert torch.equal(z.grad, weights.unsqueeze(-1) * gradient(name, z, t))


def test_losses_when_every_image_is_right():
    z, t = torch.tensor([[-1e4, 1e4, -1e4]]), torch.tensor([1])
    least = {
        "dual-process": 3 / math.sqrt(2),
        "energy": 3 * math.log(2) / math.sqrt(2),
        "sse": 0,
        "cross-entropy": 0,
    }
    for name, value in least.items():
        assert LOSSES[name](z, t).item() == pytest.approx(value, rel=1e-7)
        assert gradient(name, z, t).tolist() == [[0, 0, 0]]


def test_losses_when_every_image_is_wrong():
    z, t = torch.tensor([[-1e4, 1e4, -1e4]]), torch.tensor([0])
    assert LOSSES["dual-process"](z, t).item() == pytest.approx(2 * math.sqrt(2) + 1 / math.sqrt(2), rel=1e-7)
    assert LOSSES["sse"](z, t).item() == 2
    assert LOSSES["cross-entropy"](z, t).item() == 2e4
    # Each of the two wrong classes has -ln sin(pi u / 4), with u = exp(-2e4) for one and 2 exp(-2e4) for the
    # other.
    energy = 2 * (2e4 + math.log(4 / math.pi)) - math.log(2) + losses.EQUILIBRIUM_ENERGY
    assert LOSSES["energy"](z.double(), t).item() == pytest.approx(energy, rel=1e-12)
    assert gradient("energy", z, t).tolist() == [[-1.5, 2, -0.5]]
    assert gradient("dual-process", z, t).tolist() == [[0, 0, 0]]


def test_losses_when_two_classes_are_equally_probable():
    z, t = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([0])
    sine, cosine = math.sin(math.pi / 8), math.cos(math.pi / 8)
    energy = -sine * math.log(cosine) - cosine * math.log(sine)
    without_logarithms = 2 ** (1 / (2 * math.sqrt(2))) * cosine ** (sine / 2) * sine ** (cosine / 2)
    assert LOSSES["energy"](z, t).item() == pytest.approx(2 * energy, rel=1e-14)
    dual_process = 2 * math.sqrt(2) / (1 + without_logarithms)
    assert LOSSES["dual-process"](z, t).item() == pytest.approx(dual_process, rel=1e-14)
    assert LOSSES["sse"](z, t).item() == pytest.approx(0.5, rel=1e-14)
    assert LOSSES["cross-entropy"](z, t).item() == pytest.approx(math.log(2), rel=1e-14)


def two_classes_at(distance):
    """Logits and target of one image of two classes, both at that distance from their target."""
    return torch.tensor([[0.0, math.log(distance / (1 - distance))]], dtype=torch.float64), torch.tensor([0])


def test_scale_when_near_the_target():
    z, t = two_classes_at(1e-3)
    dual_process = (LOSSES["dual-process"](z, t).item() - math.sqrt(2)) / LOSSES["sse"](z, t).item()
    energy = (LOSSES["energy"](z, t).item() - 2 * losses.EQUILIBRIUM_ENERGY) / LOSSES["sse"](z, t).item()
    assert round(dual_process, 4) == 0.2817
    assert round(energy, 3) == 1.594
    assert round(-math.log10(dual_process), 2) == 0.55


def test_scale_when_far_from_the_target():
    z, t = two_classes_at(0.99)
    ratio = gradient("dual-process", z, t) / gradient("sse", z, t)
    assert torch.allclose(ratio, torch.full_like(ratio, 3.3), atol=0.05)


def test_gradient_when_the_agreement_vanishes():
    z, t = torch.tensor([[0.0, 40.0]], dtype=torch.float64), torch.tensor([0])
    constant = 2 ** (1 / (2 * math.sqrt(2))) * math.sqrt(math.pi / 4) / math.sqrt(2)
    assert round(constant, 2) == 0.80
    assert gradient("dual-process", z, t)[0, 1].item() == pytest.approx(2 * constant * math.exp(-20), rel=1e-6)
    assert gradient("energy", z, t)[0, 1].item() == pytest.approx(2, rel=1e-12)


logit = st.floats(-1e4, 1e4, width=32)


@st.composite
def batches(draw):
    """Logits [N, C] and targets [N]; ties are frequent."""
    classes = draw(st.integers(2, 12))
    images = draw(st.integers(1, 3))
    values = st.one_of(logit, st.sampled_from([-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4]))
    rows = [draw(st.lists(values, min_size=classes, max_size=classes)) for _ in range(images)]
    targets = [draw(st.integers(0, classes - 1)) for _ in range(images)]
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(targets)


@settings(deadline=None)
@pytest.mark.parametrize("name", NAMES)
@given(batch=batches(), dtype=st.sampled_from(DTYPES))
def test_loss_and_gradient_when_logits_are_anything_finite(name, batch, dtype):
    z, t = batch[0].to(dtype).requires_grad_(), batch[1]
    loss = LOSSES[name](z, t)
    loss.sum().backward()
    assert loss.dtype == z.grad.dtype == dtype
    assert loss.isfinite().all()
    assert z.grad.isfinite().all()
    assert torch.equal(z.grad, gradient(name, z, t))


@settings(deadline=None)
@pytest.mark.parametrize("name", NAMES)
@given(batch=batches())
def test_gradient_when_summed_over_the_classes(name, batch):
    slopes = gradient(name, *batch)
    assert torch.all(slopes.sum(-1).abs() <= 1e-14 * slopes.abs().sum(-1) + 1e-15)


@settings(deadline=None)
@pytest.mark.parametrize("name", NAMES)
@given(batch=batches())
def test_gradient_when_the_top_class_is_wrong(name, batch):
    z, t = batch
    slopes, top = gradient(name, z, t), z.argmax(-1, keepdim=True)
    assert torch.all(slopes.gather(-1, t.unsqueeze(-1)) <= 0)
    assert torch.all((slopes.gather(-1, top) >= -1e-15) | (top == t.unsqueeze(-1)))


@settings(deadline=None)
@pytest.mark.parametrize("name", NAMES)
@given(batch=batches(), shift=st.integers(-1000, 1000))
def test_loss_when_logits_are_shifted(name, batch, shift):
    z, t = batch
    z = z.round()
    assert torch.equal(LOSSES[name](z, t), LOSSES[name](z + shift, t))
    assert torch.equal(gradient(name, z, t), gradient(name, z + shift, t))


@settings(deadline=None)
@pytest.mark.parametrize("name", NAMES)
@given(batch=batches(), seed=st.integers(0, 1000))
def test_loss_when_classes_are_renamed(name, batch, seed):
    z, t = batch
    order = torch.randperm(z.shape[-1], generator=torch.Generator().manual_seed(seed))
    renamed = order.argsort()[t]
    torch.testing.assert_close(LOSSES[name](z[:, order], renamed), LOSSES[name](z, t), rtol=1e-12, atol=0)
    expected = gradient(name, z, t)[:, order]
    torch.testing.assert_close(gradient(name, z[:, order], renamed), expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("classes", [3, 10])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_loss_when_slots_are_stacked(name, dtype, classes):
    """To the last bit; float64 shows what the rounding to float32 hides nearly always, but not always."""
    generator = torch.Generator().manual_seed(classes)
    slots = 3
    for images in range(1, 40, 3):
        z = 3 * torch.randn(slots, images, classes, generator=generator, dtype=dtype)
        t = torch.randint(0, classes, (images,), generator=generator)
        loss, slopes = LOSSES[name](z, t), gradient(name, z, t)
        assert loss.shape == (slots, images)
        assert slopes.shape == z.shape
        for k in range(slots):
            assert torch.equal(loss[k], LOSSES[name](z[k], t))
            assert torch.equal(slopes[k], gradient(name, z[k], t))


@pytest.mark.parametrize("name", NAMES)
def test_loss_when_there_are_two_leading_axes(name):
    z = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(2))
    t = torch.tensor([0, 1, 2, 3, 0])
    assert LOSSES[name](z, t).shape == (2, 3, 5)
    assert torch.equal(LOSSES[name](z, t)[1, 2], LOSSES[name](z[1, 2], t))
    assert torch.equal(gradient(name, z, t)[1, 2], gradient(name, z[1, 2], t))


@pytest.mark.parametrize("name", NAMES)
def test_loss_when_logits_are_not_contiguous(name):
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(3)).T
    t = torch.tensor([0, 1, 2, 3, 0, 1])
    torch.testing.assert_close(LOSSES[name](z, t), LOSSES[name](z.contiguous(), t), rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient(name, z, t), gradient(name, z.contiguous(), t), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_loss_when_gradients_are_switched_off(name):
    z = torch.randn(3, 5, generator=torch.Generator().manual_seed(4)).requires_grad_()
    t = torch.tensor([4, 0, 2])
    with torch.no_grad():
        loss = LOSSES[name](z, t)
    assert not loss.requires_grad
    assert not gradient(name, z, t).requires_grad
    assert torch.equal(loss, LOSSES[name](z, t))


@pytest.mark.parametrize("name", NAMES)
def test_gradient_when_batched_by_vmap(name):
    z = torch.randn(3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    t = torch.tensor([0, 1, 2, 3, 0])
    slopes = torch.func.vmap(torch.func.grad(lambda z: LOSSES[name](z, t).sum()))(z)
    torch.testing.assert_close(slopes, gradient(name, z, t), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_loss_when_targets_are_narrow_integers(dtype):
    z, t = torch.randn(3, 5, generator=torch.Generator().manual_seed(6)), torch.tensor([4, 0, 2])
    assert torch.equal(losses.dual_process(z, t.to(dtype)), losses.dual_process(z, t))


@pytest.mark.parametrize("name", NAMES)
def test_loss_when_there_are_no_images(name):
    z, t = torch.zeros(0, 5, requires_grad=True), torch.zeros(0, dtype=torch.int64)
    LOSSES[name](z, t).sum().backward()
    assert z.grad.shape == (0, 5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", NAMES)
def test_loss_when_a_logit_is_not_finite(name, bad):
    """A diverged network must not look finished."""
    z = torch.tensor([[0.0, bad, 1.0], [0.0, 1.0, 2.0]], requires_grad=True)
    loss = LOSSES[name](z, torch.tensor([0, 2]))
    loss.sum().backward()
    assert loss.isfinite().tolist() == [False, True]
    assert z.grad.isfinite().all(-1).tolist() == [False, True]


@pytest.mark.parametrize("name", ["dual-process", "sse"])
def test_loss_when_logits_are_the_greatest_float32(name):
    greatest = torch.finfo(torch.float32).max
    z, t = torch.tensor([[greatest, -greatest, 0.0]] * 3), torch.tensor([0, 1, 2])
    assert LOSSES[name](z, t).isfinite().all()
    assert gradient(name, z, t).isfinite().all()


def test_energy_and_cross_entropy_when_differentiated_at_the_greatest_float32():
    greatest = torch.finfo(torch.float32).max
    z, t = torch.tensor([[greatest, -greatest, 0.0]] * 3), torch.tensor([0, 1, 2])
    assert gradient("energy", z, t).isfinite().all()
    assert gradient("cross-entropy", z, t).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_loss_when_global_randomness_is_watched(name):
    before = torch.get_rng_state()
    z = torch.ones(2, 3, requires_grad=True)
    LOSSES[name](z, torch.tensor([0, 1])).sum().backward()
    assert torch.equal(before, torch.get_rng_state())


def test_gradient_when_the_name_is_unknown():
    with pytest.raises(ValueError, match=r"must be one of dual-process, energy, sse, cross-entropy, got 'mse'"):
        gradient("mse", torch.zeros(1, 2), torch.tensor([0]))


def test_registry_when_changed():
    with pytest.raises(TypeError):
        LOSSES["mse"] = losses.sse  # type: ignore[index]


BAD = [
    (torch.zeros(2, 3, dtype=torch.bfloat16), torch.tensor([0, 1]), "float32 or float64, got torch.bfloat16"),
    (torch.zeros(2, 3, dtype=torch.int64), torch.tensor([0, 1]), "float32 or float64, got torch.int64"),
    (torch.zeros(3), torch.tensor([0]), r"shape \[\.\.\., N, C\] with C >= 2, got \[3\]"),
    (torch.zeros(2, 1), torch.tensor([0, 0]), r"with C >= 2, got \[2, 1\]"),
    (torch.zeros(2, 3), torch.tensor([0.0, 1.0]), "targets must be integers, got torch.float32"),
    (torch.zeros(2, 3), torch.tensor([True, False]), "targets must be integers, got torch.bool"),
    (torch.zeros(2, 3), torch.tensor([0, 1, 2]), r"shape \[N\] .* got \[3\] for \[2, 3\]"),
    (torch.zeros(2, 3), torch.tensor([[0], [1]]), r"shape \[N\] .* got \[2, 1\] for \[2, 3\]"),
    (torch.zeros(4, 2, 3), torch.zeros(4, 2, dtype=torch.int64), r"got \[4, 2\] for \[4, 2, 3\]"),
    (torch.zeros(2, 3), torch.tensor([0, 3]), r"must lie in \[0, 3\), got 0 to 3"),
    (torch.zeros(2, 3), torch.tensor([-1, 1]), r"must lie in \[0, 3\), got -1 to 1"),
]


@pytest.mark.parametrize(("logits", "targets", "rule"), BAD)
@pytest.mark.parametrize("name", NAMES)
def test_input_when_it_breaks_a_rule(name, logits, targets, rule):
    with pytest.raises(ValueError, match=rule):
        LOSSES[name](logits, targets)
    with pytest.raises(ValueError, match=rule):
        gradient(name, logits, targets)
