"""Test metrics by hand, and batch-norm statistics against numpy."""

import copy
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from studies import losses, seeds
from studies.models import registry
from studies.models.initial import initialise
from workers import evaluation
from workers.evaluation import Metrics, evaluate, set_population_statistics

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5], [3.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
LABELS = torch.tensor([0, 2, 1, 2])


class Passing(nn.Module):
    """Takes images for logits, and notes how many it got at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(images))
        return images.flatten(1)


def test_metrics_equal_those_by_hand() -> None:
    found = evaluate(Passing(), LOGITS[:, None, None], LABELS, "cross-entropy")
    shares = [[math.exp(z) / sum(map(math.exp, row)) for z in row] for row in LOGITS.tolist()]
    truth = [[float(k == label) for k in range(3)] for label in LABELS.tolist()]
    squares = [sum((p - t) ** 2 for p, t in zip(*rows, strict=True)) for rows in zip(shares, truth, strict=True)]
    surprise = [-math.log(row[label]) for row, label in zip(shares, LABELS.tolist(), strict=True)]
    assert found.correct.tolist() == [True, False, False, True]
    assert found.accuracy == 0.5
    assert found.brier == pytest.approx(sum(squares) / 4, rel=1e-12)
    assert found.loss == pytest.approx(sum(surprise) / 4, rel=1e-6)
    assert found.finite


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_the_loss_is_the_named_one_averaged_over_the_images(loss: str) -> None:
    found = evaluate(Passing(), LOGITS[:, None, None], LABELS, loss)
    assert found.loss == pytest.approx(losses.LOSSES[loss](LOGITS, LABELS).double().mean().item(), rel=1e-12)


def test_a_uniform_guess_has_the_brier_score_of_divergence() -> None:
    assert evaluate(Passing(), torch.zeros(4, 1, 1, 10), LABELS, "sse").brier == pytest.approx(1 - 1 / 10)


def test_confident_errors_have_the_worst_brier_score() -> None:
    wrong = torch.tensor([[[[100.0, -100.0]]]])
    assert evaluate(Passing(), wrong, torch.tensor([1]), "cross-entropy").brier == pytest.approx(2)


def test_metrics_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    images, whole = LOGITS[:, None, None], Passing()
    expected = evaluate(whole, images, LABELS, "energy")
    monkeypatch.setattr(evaluation, "CHUNK", 3)
    model = Passing()
    found = evaluate(model, images, LABELS, "energy")
    assert (whole.sizes, model.sizes) == ([4], [3, 1])
    assert (found.accuracy, found.brier, found.loss) == (expected.accuracy, expected.brier, expected.loss)
    assert torch.equal(found.correct, expected.correct)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_overflowed_logits_are_not_finite_metrics(bad: float) -> None:
    logits = LOGITS.clone()
    logits[1, 1] = bad
    assert not evaluate(Passing(), logits[:, None, None], LABELS, "dual-process").finite


def test_metrics_are_finite_only_if_loss_and_brier_are() -> None:
    nothing = torch.zeros(1, dtype=torch.bool)
    assert Metrics(0.5, 0.5, 1.0, nothing).finite
    assert not Metrics(0.5, math.nan, 1.0, nothing).finite
    assert not Metrics(0.5, 0.5, math.inf, nothing).finite


# --- population statistics


def network() -> nn.Module:
    model = registry.build("paper-cnn", 9, 8, 3)
    initialise(model, seeds.stream(0, 0, 0, "weights"))
    with torch.no_grad():
        model.convolution.bias.copy_(torch.linspace(-3, 3, 20))
    return model.eval()


def pixels(count: int = 53) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(2).random((count, 1, 9, 8), dtype=np.float32))


def convolved(model: nn.Module, images: torch.Tensor) -> NDArray[np.float64]:
    """What enters the batch norm, `[20, N * 5 * 4]`, in float64 by numpy alone."""
    windows = np.lib.stride_tricks.sliding_window_view(images.numpy()[:, 0].astype(np.float64), (5, 5), axis=(1, 2))
    weight = model.convolution.weight.detach().numpy()[:, 0].astype(np.float64)
    out = np.einsum("nyxab,fab->fnyx", windows, weight)
    return (out + model.convolution.bias.detach().numpy()[:, None, None, None]).reshape(20, -1)


@pytest.mark.parametrize("chunk", [1, 7, 53, 1_000])
def test_population_statistics_are_those_of_the_whole_set(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "CHUNK", chunk)
    model, images = network(), pixels()
    set_population_statistics(model, images)
    values = convolved(model, images)
    np.testing.assert_allclose(model.norm.running_mean.numpy(), values.mean(1), atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(model.norm.running_var.numpy(), values.var(1), rtol=1e-6)


def test_the_variance_is_the_biased_one() -> None:
    model, images = network(), pixels(1)  # 20 values a channel: the two differ by a twentieth
    set_population_statistics(model, images)
    np.testing.assert_allclose(model.norm.running_var.numpy(), convolved(model, images).var(1), rtol=1e-5)


def test_a_large_mean_costs_the_variance_no_digits() -> None:
    model, images = network(), pixels()
    expected = convolved(model, images).var(1)
    with torch.no_grad():
        model.convolution.bias.fill_(30)
    set_population_statistics(model, images)
    np.testing.assert_allclose(model.norm.running_var.numpy(), expected, rtol=1e-4)


def test_a_later_norm_sees_the_earlier_ones_statistics() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten()
    ).eval()
    images = pixels()
    set_population_statistics(model, images)
    exact = copy.deepcopy(model).double()
    first = exact[0](images.double()).detach()
    moments = first.mean((0, 2, 3)), first.var((0, 2, 3), correction=0)
    normal = (first - moments[0][:, None, None]) / (moments[1][:, None, None] + 1e-5).sqrt()
    second = exact[3](normal.relu()).detach()
    torch.testing.assert_close(model[1].running_mean.double(), moments[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model[4].running_mean.double(), second.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model[4].running_var.double(), second.var((0, 2, 3), correction=0), rtol=1e-5, atol=1e-6)


def test_no_hook_stays_behind_and_no_weight_moves() -> None:
    model, images = network(), pixels()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    set_population_statistics(model, images)
    assert not model.norm._forward_pre_hooks
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert model(images).shape == (53, 3)


def test_a_norm_without_running_statistics_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)).eval()
    with pytest.raises(TypeError, match="no inference statistics to set"):
        set_population_statistics(model, pixels(2))
