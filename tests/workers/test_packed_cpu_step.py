"""Single steps of the packed CPU engine, held against float64 autograd and `studies.losses`."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from studies import losses
from studies.datasets.load import PreparedDataset, from_arrays
from studies.models.initial import decayed
from studies.models.paper_cnn import PaperCnn
from studies.training import TrainingConfig
from workers.bench_parity import WITHOUT_EFFECT, update_errors
from workers.evaluation import set_population_statistics
from workers.native import library
from workers.packed_cpu import WEIGHTS, Member, initial_model, patch_sums, replicate
from workers.reference import batch_order, fold_tensors

ISAS = library.usable_isas()
pytestmark = pytest.mark.skipif(not ISAS, reason="the native library was not built")

CONFIG = TrainingConfig(
    cell=0,
    fold=0,
    run=0,
    learning_rate=0.01,
    momentum=0.9,
    weight_decay=1e-2,
    model="paper-cnn",
    loss="dual-process",
    epochs=1,
    batch_size=128,
    bn_statistics="population",
    seed=0,
)
LOSSES = tuple(losses.LOSSES)
PARITY = 1e-5
"""Largest error of one update, relative to the largest entry of the same parameter's update."""


def digits(images: int, height: int, width: int, classes: int) -> PreparedDataset:
    """Noisy prototypes, one per class, in two folds."""
    generator = np.random.default_rng(7)
    prototypes = generator.integers(0, 128, (classes, height, width))
    labels = np.arange(images) // 2 % classes
    pixels = prototypes[labels] + generator.integers(0, 128, (images, height, width))
    return from_arrays("noisy prototypes", pixels, labels, np.arange(images) % 2)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Torch's threads only wait for each other on tensors this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def mnist_like() -> PreparedDataset:
    return digits(2 * 128, 28, 28, 10)


@pytest.fixture(scope="module")
def usps_like() -> PreparedDataset:
    return digits(2 * 103, 16, 16, 5)


def gradients(model: PaperCnn, config: TrainingConfig, dataset: PreparedDataset) -> dict[str, NDArray[np.float64]]:
    """Momentum of every parameter after one epoch by autograd, in the precision of `model`, which it trains."""
    data = fold_tensors(dataset, config.fold, "cpu")
    with_decay, without = decayed(model)
    groups = [{"params": with_decay, "weight_decay": config.weight_decay}, {"params": without}]
    optimizer = torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    for batch in batch_order(config, len(data.train_labels)):
        optimizer.zero_grad()
        images = data.train_images[batch].to(model.output.weight.dtype)
        losses.LOSSES[config.loss](model(images), data.train_labels[batch]).mean().backward()
        optimizer.step()
    return {
        name: optimizer.state[parameter]["momentum_buffer"].numpy().ravel()
        for name, parameter in model.named_parameters()
        if name != WITHOUT_EFFECT
    }


def member(config: TrainingConfig, dataset: PreparedDataset, isa: str) -> Member:
    variant = library.variant(isa)
    return Member(config, dataset, replicate(config, dataset, variant), variant)


def start_model(config: TrainingConfig, dataset: PreparedDataset, logit_scale: float) -> PaperCnn:
    """Initial weights with scales, offsets and biases that are neither zero nor one."""
    model = initial_model(config, *dataset.image_shape, dataset.classes)
    with torch.no_grad():
        model.output.weight.mul_(logit_scale)
        model.output.bias.copy_(torch.linspace(-0.1, 0.1, dataset.classes))
        model.norm.weight.copy_(torch.linspace(0.5, 1.5, 20))
        model.norm.bias.copy_(torch.linspace(-0.3, 0.3, 20))
    return model


def step_errors(config: TrainingConfig, dataset: PreparedDataset, isa: str, logit_scale: float = 1) -> dict[str, float]:
    """Error of the update of each parameter."""
    model = start_model(config, dataset, logit_scale)
    trained = member(config, dataset, isa)
    trained.assign(model)
    assert trained.train_epoch() is not None
    return update_errors(trained.velocity(), gradients(model.double(), config, dataset))


def assert_steps_agree(config: TrainingConfig, dataset: PreparedDataset, isa: str, logit_scale: float = 1) -> None:
    errors = step_errors(config, dataset, isa, logit_scale)
    assert max(errors.values()) <= PARITY, errors


def assert_logits_agree(config: TrainingConfig, dataset: PreparedDataset, isa: str) -> None:
    model = start_model(config, dataset, 1).eval()
    trained = member(config, dataset, isa)
    trained.assign(model)
    data = fold_tensors(dataset, config.fold, "cpu")
    set_population_statistics(model, data.train_images)
    with torch.no_grad():
        truth = model(data.test_images)
    found = trained.logits(dataset.split(config.fold).test_index)
    torch.testing.assert_close(found, truth, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("loss", LOSSES)
def test_one_step_of_every_parameter_equals_float64_autograd(mnist_like: PreparedDataset, loss: str, isa: str) -> None:
    assert_steps_agree(replace(CONFIG, loss=loss), mnist_like, isa)


@pytest.mark.parametrize("loss", LOSSES)
def test_one_step_equals_float64_autograd_when_probabilities_saturate(mnist_like: PreparedDataset, loss: str) -> None:
    assert_steps_agree(replace(CONFIG, loss=loss), mnist_like, ISAS[0], logit_scale=10)


@pytest.mark.parametrize("loss", LOSSES)
def test_one_step_is_as_exact_as_float32_autograd_when_logits_are_huge(mnist_like: PreparedDataset, loss: str) -> None:
    # Logits of several hundred carry an absolute error of about 1e-5 in float32, whoever computes them.
    config = replace(CONFIG, loss=loss)
    errors = step_errors(config, mnist_like, ISAS[0], logit_scale=300)
    model = start_model(config, mnist_like, 300)
    truth = gradients(start_model(config, mnist_like, 300).double(), config, mnist_like)
    plain = update_errors(gradients(model, config, mnist_like), truth)
    assert max(errors.values()) <= max(PARITY, 4 * max(plain.values())), (errors, plain)


@pytest.mark.parametrize("isa", ISAS)
def test_one_step_equals_float64_autograd_on_small_images_and_odd_batches(usps_like: PreparedDataset, isa: str) -> None:
    assert_steps_agree(replace(CONFIG, batch_size=103), usps_like, isa)


@pytest.mark.parametrize("shape", [(5, 5), (5, 8), (6, 7), (13, 19), (28, 32), (40, 33)])
@pytest.mark.parametrize("isa", ISAS)
def test_steps_and_logits_are_right_for_any_image_size(shape: tuple[int, int], isa: str) -> None:
    dataset = digits(2 * 21, *shape, 3)
    # Three steps: what lies behind the last position must not start to learn.
    config = replace(CONFIG, batch_size=7, loss="cross-entropy", learning_rate=1e-3)
    assert_steps_agree(config, dataset, isa)
    assert_logits_agree(config, dataset, isa)


@pytest.mark.parametrize("classes", [2, 3, 11, 64])
def test_steps_and_logits_are_right_for_any_number_of_classes(classes: int) -> None:
    dataset = digits(2 * 130, 8, 9, classes)
    config = replace(CONFIG, loss="energy")
    assert_steps_agree(config, dataset, ISAS[0])
    assert_logits_agree(config, dataset, ISAS[0])


def test_the_last_batch_steps_too_and_the_incomplete_one_does_not(usps_like: PreparedDataset) -> None:
    config = replace(CONFIG, batch_size=25, loss="sse", learning_rate=1e-3)
    assert_steps_agree(config, usps_like, ISAS[0])


def test_the_step_check_sees_a_wrong_learning_rate_or_batch(usps_like: PreparedDataset) -> None:
    config = replace(CONFIG, batch_size=25, loss="sse", learning_rate=1e-3)
    trained = member(replace(config, run=1), usps_like, ISAS[0])
    model = initial_model(config, 16, 16, 5)
    trained.assign(model)
    trained.train_epoch()
    assert update_errors(trained.velocity(), gradients(model.double(), config, usps_like))["output.weight"] > 1e-3


def test_the_weights_move_by_learning_rate_times_velocity(usps_like: PreparedDataset) -> None:
    config = replace(CONFIG, batch_size=103, learning_rate=0.5)
    trained = member(config, usps_like, ISAS[0])
    before = trained.parameters()
    trained.train_epoch()
    after, velocity = trained.parameters(), trained.velocity()
    for name in before:
        np.testing.assert_allclose(after[name], before[name] - np.float32(0.5) * velocity[name], atol=1e-6)


DERIVED = 0.8740320488976421
"""Momentum of the derived point, which takes all digits of float32."""


@pytest.mark.parametrize("isa", ISAS)
def test_momentum_keeps_the_digits_of_float32(usps_like: PreparedDataset, isa: str) -> None:
    # Weights that do not move have the same gradient at each step, and momentum adds up its powers.
    config = replace(CONFIG, batch_size=103, learning_rate=1e-30, momentum=DERIVED)
    trained = member(config, usps_like, isa)
    trained.train_epoch()
    first = trained.velocity()
    for _ in range(29):
        trained.train_epoch()
    for name, last in trained.velocity().items():
        wanted = (1 - DERIVED**30) / (1 - DERIVED) * first[name]
        np.testing.assert_allclose(last, wanted, rtol=0, atol=3e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("isa", ISAS)
def test_learning_rate_and_decay_keep_the_digits_of_float32(usps_like: PreparedDataset, isa: str) -> None:
    # So large that what they multiply is all that is left.
    config = replace(CONFIG, batch_size=103, learning_rate=1.2345678e12, weight_decay=1.2345678e12)
    trained = member(config, usps_like, isa)
    before = trained.parameters()
    trained.train_epoch()
    after, velocity = trained.parameters(), trained.velocity()
    for name in ("convolution.weight", "norm.weight", WEIGHTS):
        np.testing.assert_allclose(velocity[name], 1.2345678e12 * before[name], rtol=0, atol=1e6)
        np.testing.assert_allclose(after[name], -1.2345678e12 * velocity[name], rtol=5e-7)


@pytest.mark.parametrize("isa", ISAS)
def test_the_thread_counts_in_subnormals_as_before(usps_like: PreparedDataset, isa: str) -> None:
    trained = member(replace(CONFIG, batch_size=103), usps_like, isa)
    logits, targets = np.zeros((1, 3), np.float32), np.zeros(1, np.int64)
    values, slopes = np.empty(1), np.empty((1, 3))
    arrays = [array.ctypes.data for array in (logits, targets, values, slopes)]
    for call in (
        trained.train_epoch,
        lambda: trained.logits(np.arange(3)),
        lambda: library.variant(isa).losses(0, 3, 1, *arrays),
    ):
        call()
        assert (np.full(16, 1e-30, np.float32) * np.float32(1e-10)).min() > 0


def test_logits_are_those_of_the_network_with_population_statistics(usps_like: PreparedDataset) -> None:
    # 103 training images in batches of 25: three images enter the statistics alone.
    assert_logits_agree(replace(CONFIG, batch_size=25), usps_like, ISAS[0])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("classes", [2, 10, 64])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_gradients_equal_those_of_studies(loss: str, classes: int, isa: str) -> None:
    generator = np.random.default_rng(3)
    scales = 10.0 ** generator.uniform(-4, 4, (331, 1))
    logits = (generator.normal(size=(331, classes)) * scales).clip(-1e4, 1e4).astype(np.float32)
    logits[:3] = 0
    logits[3:9, 0] = [1e4, -1e4, 30, -30, 100, -100]
    targets = generator.integers(0, classes, 331)
    values, slopes = np.empty(331), np.empty((331, classes))
    arrays = [array.ctypes.data for array in (logits, targets, values, slopes)]
    library.variant(isa).losses(library.LOSS_NUMBERS[loss], classes, 331, *arrays)
    exact, target = torch.from_numpy(logits).double(), torch.from_numpy(targets)
    np.testing.assert_allclose(values, losses.LOSSES[loss](exact, target).numpy(), rtol=1e-12, atol=1e-12)
    truth = losses.gradient(loss, exact, target).numpy()
    representable = np.abs(truth) > np.finfo(np.float32).tiny
    assert np.isfinite(slopes).all()
    np.testing.assert_allclose(slopes[representable], truth[representable], rtol=1e-10)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_logit_that_is_not_finite_makes_the_loss_nan(loss: str, bad: float) -> None:
    logits, targets = np.array([[0, bad, 1]], np.float32), np.array([0])
    values, slopes = np.empty(1), np.empty((1, 3))
    arrays = [array.ctypes.data for array in (logits, targets, values, slopes)]
    library.variant(ISAS[0]).losses(library.LOSS_NUMBERS[loss], 3, 1, *arrays)
    assert np.isnan(values[0])


@pytest.mark.parametrize("shape", [(5, 5), (7, 13), (28, 28), (5, 33_000), (300, 301)])
@pytest.mark.parametrize("isa", ISAS)
def test_patch_sums_are_exact(shape: tuple[int, int], isa: str) -> None:
    height, width = shape
    images = np.random.default_rng(1).integers(0, 256, (4, height, width)).astype(np.uint8)
    images[0] = 255
    dataset = from_arrays("noise", images, [0, 1, 0, 1], [0, 0, 1, 1])
    sums = patch_sums(dataset, np.array([0, 3]), library.variant(isa))
    windows = np.lib.stride_tricks.sliding_window_view(images[[0, 3]].astype(np.int64), (5, 5), (1, 2))
    patches = windows.reshape(-1, 25)
    assert sums.count == len(patches)
    np.testing.assert_array_equal(sums.first, patches.sum(0))
    np.testing.assert_array_equal(sums.second, patches.T @ patches)


@pytest.mark.parametrize("isa", ISAS)
def test_patch_sums_of_many_bright_images_are_exact(isa: str) -> None:
    # 150 images of 256 vectors of positions: a lane would pass 2^31 if it were not emptied in between.
    dataset = from_arrays("bright", np.full((150, 68, 68), 255), np.arange(150) % 2, np.arange(150) // 2 % 2)
    sums = patch_sums(dataset, np.arange(150), library.variant(isa))
    assert sums.count == 150 * 64 * 64
    assert (sums.first == sums.count * 255).all()
    assert (sums.second == sums.count * 255**2).all()
