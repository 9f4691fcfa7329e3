"""What the benchmark makes of its times, from rounds made by hand, and what its plain loop does in a step."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from studies.models.paper_cnn import FILTERS, KERNEL, PaperCnn
from workers import bench, bench_product
from workers.bench_eager import LAYOUTS, EagerData, EagerLoop, EagerSeconds
from workers.reference import batch_order


class Clock:
    """Stands still but for what is done with it."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


def test_a_training_counts_the_images_that_it_trains() -> None:
    assert bench.TRAINING_IMAGES == 30 * batch_order(bench.CONFIG, 9_000).size == 268_800


def test_multiply_adds_are_those_of_the_layers() -> None:
    positions = (28 - KERNEL + 1) ** 2
    convolution, connected = positions * FILTERS * KERNEL**2, positions * FILTERS * 10
    assert sum(p.numel() for p in PaperCnn(28, 28, 10).output.parameters()) == connected + 10
    # Images have no gradient: the convolution goes forward and to its weights, the connected layer to features, too.
    assert 2 * convolution + 3 * connected == bench.MULTIPLY_ADDS


def test_figures_are_medians_over_rounds_and_ratios_those_within_one() -> None:
    rounds = [
        bench._Round(pack=1000.0, eager=(100.0, 125.0), eager_moving=(150.0, 200.0), gemm=4.0),
        bench._Round(pack=3000.0, eager=(200.0, 100.0), eager_moving=(300.0, 150.0), gemm=6.0),
        bench._Round(pack=2000.0, eager=(100.0, 500.0), eager_moving=(250.0, 500.0), gemm=5.0),
    ]
    found = bench._summarise(rounds, "packed-cpu", "cpu", 2, [bench.CONFIG] * 4, 1e-7, "class")
    work = 2 * 921_600 / 1e9
    assert (found.rounds, found.members, found.threads, found.parity) == (3, 4, 2, 1e-7)
    assert found.images_per_second == 2000
    assert found.trainings_per_second == pytest.approx(2000 / 268_800)
    assert found.microseconds_per_image == pytest.approx(1000)
    assert found.gflops == pytest.approx(2000 * work)
    assert found.gemm_gflops == 5
    assert found.utilisation == pytest.approx(400 * work)  # of 250, 500 and 400
    # The second layout has the better median, 125 against 100, and counts in every round.
    assert LAYOUTS[1] is torch.channels_last
    assert (found.eager_layout, found.eager_images_per_second) == ("channels_last", 125)
    assert found.ratio_to_eager == 8  # of 8, 30 and 4
    assert found.ratio_to_eager_moving == 5  # of 5, 10 and 4, against the better one of each round
    assert found.spreads["ratio_to_eager"] == bench.Spread(8, 4, 30)
    assert found.spreads["images_per_second"] == bench.Spread(2000, 1000, 3000)


class _Loop:
    def __init__(self, seconds: EagerSeconds) -> None:
        self.seconds = seconds
        self.batches: list[int] = []

    def run(self, batches: int) -> EagerSeconds:
        self.batches.append(batches)
        return self.seconds


def test_a_round_counts_every_training_image_of_the_pack_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(bench, "time", clock)
    monkeypatch.setattr(bench, "product_gflops", lambda device, precision: 7.0)

    def pack() -> str:
        clock.passes(4)
        return "class"

    loops = [_Loop(EagerSeconds(training=2, statistics=3)), _Loop(EagerSeconds(training=0.5, statistics=0))]
    configs = [replace(bench.CONFIG, cell=cell) for cell in range(3)]
    found = bench._measure_round(pack, loops, configs, "cpu")  # type: ignore[arg-type]
    assert found.pack == 3 * bench.EPOCHS * 8_960 / 4
    assert [loop.batches for loop in loops] == [[11], [11]]
    assert found.eager == (11 * 128 / 5, 11 * 128 / 0.5)
    assert found.eager_moving == (11 * 128 / 2, 11 * 128 / 0.5)
    assert found.gemm == 7


def test_a_products_rate_is_that_of_its_best_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, seconds = Clock(), iter([0.5, 0.25, 1.0])
    monkeypatch.setattr(bench_product, "time", clock)
    monkeypatch.setitem(bench_product.SIZES, "cpu", 4)
    sizes = []

    def product(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> None:
        sizes.append((left.shape, right.shape))
        clock.passes(next(seconds))

    monkeypatch.setattr(bench_product.torch, "mm", product)
    assert bench_product.product_gflops("cpu", "fp32") == pytest.approx(2 * 4 * 4 * 4 / 0.25 / 1e9)
    assert sizes == [((4, 4), (4, 4))] * 3


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _data(images: int) -> EagerData:
    generator = torch.Generator().manual_seed(3)
    pixels = torch.rand(images, 1, 7, 8, generator=generator) - 0.5
    labels = torch.randint(0, 3, (images,), generator=generator)
    return EagerData(pixels, labels, pixels[:6], labels[:6])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.usefixtures("one_thread")
def test_the_plain_loop_trains(layout: torch.memory_format) -> None:
    data = _data(16)
    loop = EagerLoop(data, 3, 8, layout)
    model = PaperCnn(7, 8, 3)
    model.load_state_dict(loop._model.state_dict())
    velocity = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}
    for batch in loop._order.split(8):
        model.zero_grad()
        nn.functional.cross_entropy(model(data.train_images[batch]), data.train_labels[batch]).backward()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None
                velocity[name].mul_(0.9).add_(parameter.grad + 1e-4 * parameter)
                parameter.sub_(0.01 * velocity[name])
    assert loop._order.sort().values.tolist() == list(range(16))
    loop.run(2)
    for (name, found), wanted in zip(loop._model.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.usefixtures("one_thread")
def test_the_plain_loops_statistics_are_those_of_the_images_that_belong_to_its_batches() -> None:
    data = _data(16)
    loop = EagerLoop(data, 3, 8, torch.contiguous_format)
    loop.run(1)
    with torch.no_grad():
        maps = loop._model.convolution(data.train_images[:8])
    torch.testing.assert_close(loop._model.norm.running_mean, maps.mean((0, 2, 3)))
    torch.testing.assert_close(loop._model.norm.running_var, maps.var((0, 2, 3)))
