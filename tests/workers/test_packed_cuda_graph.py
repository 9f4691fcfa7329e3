"""What the packed CUDA engine captures in a graph and replays; kernels and graph are stand-ins, as no GPU is here."""

from contextlib import contextmanager
from typing import Any

import pytest
import torch
from test_packed_cuda import PACK, TINY, interpreted, needs_triton, noisy_prototypes
from torch.utils._python_dispatch import TorchDispatchMode

pytestmark = needs_triton


class _Silent:
    """A kernel that counts its launches and does nothing."""

    def __init__(self) -> None:
        self.launches = 0

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*arguments: object, **options: object) -> None:
            self.launches += 1

        return launch


class _Recorder(TorchDispatchMode):
    """Notes what PyTorch is asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations.append(str(function))
        return function(*args, **(kwargs or {}))


class _Graph:
    def __init__(self) -> None:
        self.replays = 0

    def replay(self) -> None:
        self.replays += 1


@contextmanager
def _silent_kernels() -> Any:
    from workers.triton import convolution, normalisation, scoring

    with pytest.MonkeyPatch.context() as patch:
        kernels = {}
        for module, names in (
            (normalisation, ("fold", "unfold_and_move")),
            (convolution, ("forward", "backward")),
            (scoring, ("train_loss", "score")),
        ):
            for name in names:
                kernels[name] = _Silent()
                patch.setattr(module, name, kernels[name])
        yield patch, kernels


def _three_epochs() -> tuple[list[str], list[dict[str, int]], int, list[str]]:
    """Operations of an epoch's launches; launches of each kernel after each of three epochs; replays; order."""
    from workers.triton.data import DeviceImages, Replicates
    from workers.triton.networks import Networks

    tiles = TINY["tf32x3"]
    data = Replicates.of(PACK[:1], DeviceImages.of(noisy_prototypes(), "cpu"), tiles)
    networks = Networks(PACK[:1], [0], data, tiles)
    with _silent_kernels() as (patch, kernels):
        with _Recorder() as recorder:
            networks._launch_epoch()
        before = {name: kernel.launches for name, kernel in kernels.items()}
        graph = _Graph()
        modes: list[str] = []

        @contextmanager
        def capture(captured: _Graph, capture_error_mode: str) -> Any:
            assert captured is graph
            modes.append(capture_error_mode)
            yield

        patch.setattr(torch.cuda, "CUDAGraph", lambda: graph)
        patch.setattr(torch.cuda, "graph", capture)
        networks._device = torch.device("cuda")
        seen = []
        for _ in range(3):
            networks.train_epoch()
            seen.append({name: kernel.launches - before[name] for name, kernel in kernels.items()})
    return recorder.operations, seen, graph.replays, modes


def test_an_epoch_is_launched_then_captured_then_replayed_without_allocating_or_waiting() -> None:
    operations, seen, replays, modes = interpreted(_three_epochs)
    # Nothing else: an allocation, a copy or a read would end the capture, or be replayed with stale values.
    assert operations == ["aten.zero_.default"]
    one = {"fold": 2, "unfold_and_move": 2, "forward": 2, "backward": 2, "train_loss": 2, "score": 0}
    two = {name: 2 * launches for name, launches in one.items()}
    assert seen == [one, two, two]
    assert (replays, modes) == (2, ["thread_local"])
