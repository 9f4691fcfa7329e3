"""Single steps of the packed CUDA kernels in Triton's interpreter, against float64 autograd and `studies.losses`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from test_packed_cpu_step import PARITY, digits, gradients, start_model
from test_packed_cuda import CONFIG, TINY, interpreted, needs_triton

from studies import losses
from studies.datasets.load import PreparedDataset
from studies.models.paper_cnn import PaperCnn
from studies.training import TrainingConfig
from workers.bench_parity import update_errors
from workers.triton.data import DeviceImages, Replicates, patch_table
from workers.triton.shapes import TILES, Tiles

pytestmark = needs_triton

STEP = replace(CONFIG, weight_decay=1e-2, batch_size=24)
LOSSES = tuple(losses.LOSSES)
Values = dict[str, NDArray[np.float32]]


def _stepped(
    configs: list[TrainingConfig], dataset: PreparedDataset, models: list[PaperCnn], tiles: Tiles
) -> list[tuple[Values, Values, bool]]:
    """Parameters, momentum and life of one network per model after one epoch, all in one pack."""
    from workers.triton.networks import Networks

    data = Replicates.of(configs[:1], DeviceImages.of(dataset, "cpu"), tiles)
    networks = Networks(configs, [0] * len(configs), data, tiles)
    for slot, model in enumerate(models):
        networks.assign([slot], model)
    networks.train_epoch()
    return [
        (networks.flat(networks.parameters, slot), networks.flat(networks.velocity, slot), bool(networks.alive[slot]))
        for slot in range(len(configs))
    ]


def step_errors(
    configs: list[TrainingConfig], dataset: PreparedDataset, tiles: Tiles = TINY["fp32"], logit_scale: float = 1
) -> list[dict[str, float]]:
    """For each configuration, the error of the update of each parameter, relative to its largest."""
    models = [start_model(config, dataset, logit_scale) for config in configs]
    return errors_of(interpreted(_stepped, configs, dataset, models, tiles), configs, dataset, models)


def errors_of(
    found: list[tuple[Values, Values, bool]],
    configs: list[TrainingConfig],
    dataset: PreparedDataset,
    models: list[PaperCnn],
) -> list[dict[str, float]]:
    """Errors of what `_stepped` made of the models."""
    errors = []
    for config, model, (parameters, velocity, alive) in zip(configs, models, found, strict=True):
        before = {name: value.detach().numpy().ravel().copy() for name, value in model.named_parameters()}
        truth = gradients(model.double(), config, dataset)
        assert alive
        errors.append(update_errors(velocity, truth))
        for name in truth:
            moved = before[name] - np.float32(config.learning_rate) * velocity[name]
            if len(dataset.split(config.fold).train_index) < 2 * config.batch_size:
                np.testing.assert_allclose(parameters[name], moved, rtol=0, atol=1e-6 * max(1, np.abs(moved).max()))
    return errors


def of_each_loss(config: TrainingConfig) -> list[TrainingConfig]:
    return [replace(config, cell=i, loss=loss) for i, loss in enumerate(LOSSES)]


def worst(errors: list[dict[str, float]]) -> float:
    return max(max(each.values()) for each in errors)


@pytest.mark.parametrize("precision", TINY)
def test_one_step_of_every_parameter_equals_float64_autograd(precision: str) -> None:
    # The second tile of images is half empty, and so is the second pair of positions in a row.
    errors = step_errors(of_each_loss(STEP), digits(2 * 24, 8, 7, 5), TINY[precision])
    assert worst(errors) <= PARITY, errors


@pytest.mark.parametrize("precision", TINY)
def test_one_step_equals_float64_autograd_when_probabilities_saturate(precision: str) -> None:
    errors = step_errors(of_each_loss(STEP), digits(2 * 24, 7, 7, 5), TINY[precision], logit_scale=10)
    assert worst(errors) <= PARITY, errors


@pytest.mark.parametrize("precision", TILES)
def test_one_step_equals_float64_autograd_with_the_tiles_of_the_engine(precision: str) -> None:
    config = replace(STEP, batch_size=130, loss="cross-entropy")
    errors = step_errors([config], digits(2 * 130, 10, 13, 10), TILES[precision])
    assert worst(errors) <= PARITY, errors


@pytest.mark.parametrize("classes", [2, 20])
def test_steps_are_right_for_any_number_of_classes_and_in_the_last_batch(classes: int) -> None:
    # Two batches of 24 and seven images that no batch has.
    config = replace(STEP, loss="energy", learning_rate=1e-3)
    errors = step_errors([config], digits(2 * 55, 5, 6, classes))
    assert worst(errors) <= PARITY, errors


def test_the_step_check_sees_two_swapped_networks() -> None:
    dataset = digits(2 * 24, 5, 6, 3)
    one, other = replace(STEP, loss="sse"), replace(STEP, weight_decay=0.0, loss="sse", cell=1)
    models = [start_model(config, dataset, 1) for config in (one, other)]
    (_, found, _), _ = interpreted(_stepped, [other, one], dataset, models, TINY["fp32"])
    truth = gradients(models[0].double(), one, dataset)
    assert update_errors(found, truth)["output.weight"] > 100 * PARITY


def _losses(logits: NDArray[np.float32], targets: NDArray[np.int32], kind: int) -> list[NDArray[np.generic]]:
    """Loss and gradient of each row, as a network of its own with a batch of one image."""
    from workers.triton import scoring

    (n, classes), lanes = logits.shape, 16
    shares = torch.zeros(n, 1, 1, lanes)
    shares[:, 0, 0, :classes] = torch.from_numpy(logits)
    bias, velocity, delta = torch.zeros(n, classes), torch.zeros(n, classes), torch.full((n, lanes), -1.0)
    alive, kinds = torch.ones(n, dtype=torch.int32), torch.full((n,), kind, dtype=torch.int32)
    total, rows, rates = torch.zeros(n, dtype=torch.float64), torch.arange(n, dtype=torch.int32), torch.zeros(n, 3)
    scoring.train_loss[(n,)](
        shares, bias, velocity, torch.from_numpy(targets), rows, kinds, rates, alive, delta, total, 0, 1, 1, 1, classes,
        lanes, 8,
    )  # fmt: skip
    assert not delta[:, classes:].any()
    return [found.numpy() for found in (total, delta[:, :classes], velocity, alive)]


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_gradients_equal_those_of_studies(loss: str) -> None:
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(61, 10)) * 10.0 ** generator.uniform(-4, 4, (61, 1))
    logits[:3] = 0
    logits[3:9, 0] = [1e4, -1e4, 30, -30, 100, -100]
    logits = logits.clip(-1e4, 1e4).astype(np.float32)
    targets = generator.integers(0, 10, 61, dtype=np.int32)
    values, slopes, of_bias, alive = interpreted(_losses, logits, targets, LOSSES.index(loss))
    exact, target = torch.from_numpy(logits).double(), torch.from_numpy(targets)
    np.testing.assert_allclose(values, losses.LOSSES[loss](exact, target), rtol=1e-12, atol=1e-12)
    truth = losses.gradient(loss, exact, target).numpy()
    representable = np.abs(truth) > np.finfo(np.float32).tiny
    np.testing.assert_allclose(slopes[representable], truth[representable], rtol=2e-7)
    np.testing.assert_array_equal(of_bias, slopes)
    assert np.isfinite(slopes).all()
    assert alive.all()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_logit_that_is_not_finite_ends_the_network(loss: str) -> None:
    logits = np.array([[0, bad, 1] for bad in (np.nan, np.inf, -np.inf, 0)], np.float32)
    _, _, _, alive = interpreted(_losses, logits, np.zeros(4, np.int32), LOSSES.index(loss))
    assert alive.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("shape", [(5, 5), (7, 13), (28, 28), (5, 9_000)])
def test_patch_sums_are_exact(shape: tuple[int, int]) -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, *shape)).astype(np.uint8)
    images[0] = 255
    windows = np.lib.stride_tricks.sliding_window_view(images.astype(np.int64), (5, 5), (1, 2))
    patches = windows.reshape(2, -1, 25)
    table = patch_table(torch.from_numpy(images)).numpy()
    np.testing.assert_array_equal(table[:, :25], patches.sum(1))
    np.testing.assert_array_equal(table[:, 25:].reshape(2, 25, 25), patches.transpose(0, 2, 1) @ patches)
