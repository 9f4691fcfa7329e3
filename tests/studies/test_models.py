"""Networks and their initial values."""

import math
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from studies import seeds
from studies.models import registry
from studies.models.initial import decayed, initialise
from studies.models.paper_cnn import PaperCnn


def paper_cnn(height: int = 28, width: int = 28, classes: int = 10, run: int = 0) -> PaperCnn:
    model = registry.build("paper-cnn", height, width, classes)
    assert isinstance(model, PaperCnn)
    initialise(model, seeds.stream(0, 0, run, "weights"))
    return model


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_the_papers_network_has_its_number_of_learnables() -> None:
    count = sum(parameter.numel() for parameter in paper_cnn().parameters())
    assert count == 115_770 == registry.get("paper-cnn").learnables_28x28x10


@pytest.mark.parametrize(("height", "width", "classes"), [(28, 28, 10), (5, 5, 2), (5, 9, 3), (12, 7, 11)])
def test_logits_have_one_row_per_image(height: int, width: int, classes: int) -> None:
    logits = paper_cnn(height, width, classes)(torch.rand(4, 1, height, width))
    assert logits.shape == (4, classes)
    assert logits.isfinite().all()


@pytest.mark.parametrize(("height", "width"), [(4, 28), (28, 4), (1, 1)])
def test_images_smaller_than_the_filter_are_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=f"at least 5 x 5 pixels, not {height} x {width}"):
        registry.build("paper-cnn", height, width, 10)


def test_forward_is_convolution_norm_relu_and_a_linear_map() -> None:
    model = paper_cnn(7, 6, 3).eval()
    images = torch.rand(2, 1, 7, 6)
    patches = images.unfold(2, 5, 1).unfold(3, 5, 1)[:, 0].double()  # [N, 3, 2, 5, 5]
    features = torch.einsum("nyxab,fab->nfyx", patches, model.convolution.weight.detach()[:, 0].double())
    features = (features / math.sqrt(1 + 1e-5)).clamp_min(0).flatten(1)
    wanted = features @ model.output.weight.detach().double().T
    torch.testing.assert_close(model(images).detach().double(), wanted, rtol=1e-5, atol=1e-5)


def test_weights_are_glorot_uniform_and_biases_zero() -> None:
    model = paper_cnn()
    bounds = {model.convolution: math.sqrt(6 / (25 + 500)), model.output: math.sqrt(6 / (11_520 + 10))}
    for layer, bound in bounds.items():
        largest = layer.weight.detach().abs().max().item()
        assert 0.98 * bound < largest <= bound
        assert layer.weight.detach().double().mean().abs().item() < 4 * bound / math.sqrt(3 * layer.weight.numel())
        spread = layer.weight.detach().double().std().item()
        assert spread == pytest.approx(bound / math.sqrt(3), rel=0.1)
        assert layer.bias is not None
        assert not layer.bias.any()
    assert (model.norm.weight == 1).all()
    assert not model.norm.bias.any()
    assert (model.norm.eps, model.norm.momentum) == (1e-5, 0.1)
    assert model.convolution.padding == (0, 0)


def test_initial_values_come_from_the_generator_alone() -> None:
    expected = flat(paper_cnn())
    torch.manual_seed(99)
    np.random.seed(99)
    random.seed(99)
    assert torch.equal(flat(paper_cnn()), expected)
    assert not torch.equal(flat(paper_cnn(run=1)), expected)
    first = seeds.stream(0, 0, 0, "weights").uniform(-1, 1, 25) * math.sqrt(6 / 525)
    np.testing.assert_allclose(expected[:25].numpy(), first, rtol=1e-6)


def test_initialise_undoes_training() -> None:
    model = paper_cnn(8, 8, 3)
    expected = flat(model).clone()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    initialise(model, seeds.stream(0, 0, 0, "weights"))
    assert torch.equal(flat(model), expected)
    assert not model.norm.running_mean.any()  # type: ignore[union-attr]


def test_a_layer_without_a_rule_is_refused() -> None:
    with pytest.raises(TypeError, match=r"no rule for the initial values of PReLU \(weight\)"):
        initialise(nn.Sequential(nn.Linear(2, 2), nn.PReLU()), np.random.default_rng(0))


def test_a_linear_layer_without_bias_is_initialised() -> None:
    layer = nn.Linear(3, 2, bias=False)
    initialise(layer, np.random.default_rng(0))
    assert layer.weight.detach().abs().max() <= math.sqrt(6 / 5)


def test_all_but_biases_of_linear_maps_decay() -> None:
    model = paper_cnn(8, 8, 3)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    with_decay, without = decayed(model)
    assert {names[id(p)] for p in with_decay} == {"convolution.weight", "norm.weight", "norm.bias", "output.weight"}
    assert {names[id(p)] for p in without} == {"convolution.bias", "output.bias"}


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="model must be one of paper-cnn, not 'resnet'"):
        registry.build("resnet", 28, 28, 10)


def test_models_of_another_process_start_equal() -> None:
    code = """
import torch
from studies import seeds
from studies.models import registry
from studies.models.initial import initialise
torch.manual_seed(4)
model = registry.build("paper-cnn", 8, 8, 3)
initialise(model, seeds.stream(0, 0, 0, "weights"))
print(sum(p.detach().double().abs().sum().item() for p in model.parameters()).hex())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        done.stdout.strip()
        == sum(p.detach().double().abs().sum().item() for p in paper_cnn(8, 8, 3).parameters()).hex()
    )
