"""K networks in training: their state on the device, and the kernels that move it."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from studies.models.paper_cnn import FILTERS, PaperCnn
from studies.training import TrainingConfig
from workers.triton import convolution, normalisation, scoring
from workers.triton.data import Replicates
from workers.triton.history import Epoch
from workers.triton.losses import NUMBERS
from workers.triton.shapes import FILTER_LANES, TAP_LANES, TAPS, Tiles


class Networks:
    """K networks, each with its own rates, loss and (fold, run).

    Args:
        configs: K of them, with one batch size.
        rows: for each, which of the replicates is its.
        data: the replicates.
        tiles: how the work is cut.
    """

    def __init__(self, configs: Sequence[TrainingConfig], rows: Sequence[int], data: Replicates, tiles: Tiles) -> None:
        self._data, self._tiles, self._device = data, tiles, data.pixels.device
        self._splits = data.shape.splits(tiles)
        K, shape, lanes = len(configs), data.shape, data.shape.class_lanes
        self.alive = torch.ones(K, dtype=torch.int32, device=self._device)
        """[K], 0 from the first loss or folded filter that is not finite; its network is left as it is then. A
        weight that is not finite makes a logit so, whatever it is multiplied by, at the latest in the evaluation."""
        self.total = self._zeros(K, dtype=torch.float64)
        """[K], sum of the losses of this epoch's batches."""
        self.metrics = self._zeros(K, 3, dtype=torch.float64)
        """[K, 3]: test images classified rightly, sums of their losses and of their Brier scores."""
        self.correct = self._zeros(K, data.test_labels.shape[1], dtype=torch.uint8)
        """[K, N]: which test images were classified rightly."""
        self.parameters = self._parameters(K)
        self.velocity = self._parameters(K)
        self._rows = torch.tensor(rows, dtype=torch.int32, device=self._device)
        self._counts = data.test_counts[self._rows.long()]
        self._kinds = torch.tensor([NUMBERS[c.loss] for c in configs], dtype=torch.int32, device=self._device)
        rates = [[c.learning_rate, c.momentum, c.weight_decay] for c in configs]
        self._rates = torch.from_numpy(np.array(rates, np.float32)).to(self._device)
        self._folded = self._zeros(K, TAP_LANES, FILTER_LANES)
        self._covariance_w = self._zeros(K, TAPS, FILTER_LANES, dtype=torch.float64)
        self._deviation = self._zeros(K, FILTER_LANES, dtype=torch.float64)
        self._shares = self._zeros(K, self._splits, shape.batch, lanes)
        self._test_shares = self._zeros(K, self._splits, data.test_labels.shape[1], lanes)
        self._delta = self._zeros(K, shape.batch, lanes)
        self._slopes = self._zeros(K, self._splits, 2 * FILTER_LANES, TAP_LANES, dtype=torch.float64)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._trained = 0

    def assign(self, slots: Sequence[int], model: PaperCnn) -> None:
        """Give networks the parameters of a model."""
        shape = self._data.shape
        values = {name: parameter.detach().to(self._device) for name, parameter in model.named_parameters()}
        connected = values["output.weight"].view(shape.classes, FILTERS, shape.positions)
        values["output.weight"] = connected.permute(2, 1, 0)
        for name, place in self.parameters.items():
            place[list(slots)] = values[name].reshape(place.shape[1:])

    def flat(self, state: dict[str, torch.Tensor], slot: int) -> dict[str, NDArray[np.float32]]:
        """One network's `parameters` or `velocity`, flat and in the order of `PaperCnn`."""
        small = {name: values[slot].cpu().numpy().ravel() for name, values in state.items()}
        connected = state["output.weight"][slot].permute(2, 1, 0).cpu().numpy().ravel()
        return small | {"output.weight": connected}

    def train_epoch(self) -> None:
        """One pass over the batches, without waiting for it.

        On a GPU the second epoch's launches are captured in a graph, which later epochs replay; the first one compiles
        the kernels, which no capture allows.
        """
        if self._graph is not None:
            self._graph.replay()
        elif self._device.type == "cuda" and self._trained == 1:
            self._graph = torch.cuda.CUDAGraph()
            # Other threads, of the service, may talk to the device meanwhile.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._launch_epoch()
            self._graph.replay()
        else:
            self._launch_epoch()
        self._trained += 1

    def evaluate(self) -> None:
        """Score all networks on their test images with their training sets' statistics, without waiting for it."""
        data, tiles, K = self._data, self._tiles, len(self.alive)
        shape, padded = data.shape, data.test_labels.shape[1]
        self._fold(data.population, 0, 1, 1)
        self._forward(data.test_pixels, self._test_shares, 0, 1, padded)
        scoring.score[(K,)](
            self._test_shares, self.parameters["output.bias"], data.test_labels, data.test_counts, self._rows,
            self._kinds, self.alive, self.metrics, self.correct, padded, self._splits, shape.classes,
            shape.class_lanes, tiles.loss_images, **self._options(tiles.warps),
        )  # fmt: skip

    def epochs(self) -> list[Epoch | None]:
        """How the last epoch went for each network, None if it diverged; waits for the device."""
        columns = [self.metrics, self.total[:, None], self._counts[:, None].double(), self.alive[:, None].double()]
        read: list[list[float]] = torch.cat(columns, 1).tolist()
        return [
            Epoch(right / count, brier / count, loss / count, total / self._data.steps) if alive else None
            for right, loss, brier, total, count, alive in read
        ]

    def correctly_classified(self) -> list[NDArray[np.uint8]]:
        """For each network, 1 where a test image was classified rightly, [N_test]."""
        return [row[:count] for row, count in zip(self.correct.cpu().numpy(), self._counts.tolist(), strict=True)]

    def _launch_epoch(self) -> None:
        self.total.zero_()
        for step in range(self._data.steps):
            for launch in self.launches(step).values():
                launch()

    def launches(self, step: int) -> dict[str, Callable[[], object]]:
        """The launches of one training step, by their kernels' names, in their order."""
        data, shape = self._data, self._data.shape
        return {
            "fold": partial(self._fold, data.moments, step, data.steps, shape.batch * shape.positions),
            "forward": partial(self._forward, data.pixels, self._shares, step, data.steps, shape.batch),
            "train_loss": partial(self._train_loss, step),
            "backward": partial(self._backward, step),
            "unfold_and_move": partial(self._unfold_and_move, step),
        }

    def _fold(self, moments: torch.Tensor, step: int, steps: int, terms: int) -> None:
        p = self.parameters
        normalisation.fold[(len(self.alive),)](
            p["convolution.weight"], p["norm.weight"], p["norm.bias"], self.alive, self._rows, moments, self._folded,
            self._covariance_w, self._deviation, step, steps, terms, **self._options(self._tiles.warps),
        )  # fmt: skip

    def _forward(self, pixels: torch.Tensor, shares: torch.Tensor, step: int, steps: int, batch: int) -> None:
        data, tiles, shape = self._data, self._tiles, self._data.shape
        convolution.forward[(-(-batch // tiles.images), self._splits, len(self.alive))](
            pixels, data.centre, self._rows, self.alive, self._folded, self.parameters["output.weight"], shares, step,
            steps, batch, shape.height, shape.width, shape.classes, shape.class_lanes, tiles.images, tiles.pairs,
            tiles.dot, **self._options(tiles.forward_warps, tiles.stages),
        )  # fmt: skip

    def _train_loss(self, step: int) -> None:
        data, tiles, shape = self._data, self._tiles, self._data.shape
        scoring.train_loss[(len(self.alive),)](
            self._shares, self.parameters["output.bias"], self.velocity["output.bias"], data.labels, self._rows,
            self._kinds, self._rates, self.alive, self._delta, self.total, step, data.steps, shape.batch, self._splits,
            shape.classes, shape.class_lanes, tiles.loss_images, **self._options(tiles.warps),
        )  # fmt: skip

    def _backward(self, step: int) -> None:
        data, tiles, shape = self._data, self._tiles, self._data.shape
        convolution.backward[(self._splits, len(self.alive))](
            data.pixels, data.centre, self._rows, self.alive, self._folded, self.parameters["output.weight"],
            self.velocity["output.weight"], self._rates, self._delta, self._slopes, step, data.steps, shape.batch,
            shape.height, shape.width, shape.classes, shape.class_lanes, tiles.backward_images, tiles.pairs, tiles.dot,
            **self._options(tiles.backward_warps, tiles.stages),
        )  # fmt: skip

    def _unfold_and_move(self, step: int) -> None:
        data, p, v = self._data, self.parameters, self.velocity
        normalisation.unfold_and_move[(len(self.alive),)](
            p["convolution.weight"], p["norm.weight"], p["norm.bias"], v["convolution.weight"], v["norm.weight"],
            v["norm.bias"], self._rates, self.alive, self._rows, data.moments, self._slopes, self._covariance_w,
            self._deviation, step, data.steps, self._splits, **self._options(self._tiles.warps),
        )  # fmt: skip

    @staticmethod
    def _options(warps: int, stages: int = 1) -> dict[str, int]:
        """Fused multiply-adds are named because Triton 3.10 ends them as a default."""
        return {"num_warps": warps, "num_stages": stages, "enable_fp_fusion": True}

    def _parameters(self, K: int) -> dict[str, torch.Tensor]:
        """Zeros by the names of `PaperCnn`; the bias of the convolution has no effect and no entry."""
        shape = self._data.shape
        return {
            "convolution.weight": self._zeros(K, FILTERS, TAPS),
            "norm.weight": self._zeros(K, FILTERS),
            "norm.bias": self._zeros(K, FILTERS),
            "output.weight": self._zeros(K, shape.positions, FILTERS, shape.classes),
            "output.bias": self._zeros(K, shape.classes),
        }

    def _zeros(self, *sizes: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(sizes, dtype=dtype, device=self._device)
