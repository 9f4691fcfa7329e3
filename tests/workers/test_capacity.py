"""How many networks a device takes, as a worker announces it."""

from dataclasses import dataclass

import pytest
import torch

from workers.capacity import MOST_MEMBERS, RATES, Offer, offer
from workers.engine import Engine
from workers.packed_cpu import PackedCpu
from workers.packed_cuda import PackedCuda
from workers.reference import Reference
from workers.train import ENGINES

THREADS = 64
MULTIPROCESSORS = 132
GIGABYTE = 10**9


@dataclass(frozen=True)
class Gpu:
    """What torch tells of a GPU."""

    multi_processor_count: int
    total_memory: int


def offered(monkeypatch: pytest.MonkeyPatch, engine: Engine, device: str, gigabytes: int = 139) -> Offer:
    """As a worker with 64 threads, and the GPU of a machine with them, announces it."""
    gpu = Gpu(MULTIPROCESSORS, gigabytes * GIGABYTE)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: gpu)
    return offer(engine, "class", device, THREADS)


@pytest.mark.parametrize(
    ("engine", "device", "at_once"),
    [
        (Reference(), "cpu", THREADS),
        (PackedCpu(), "cpu", THREADS),
        (Reference(), "cuda", 1),
        (PackedCuda(), "cuda", MULTIPROCESSORS),
    ],
)
def test_what_trains_at_once_is_the_engines_and_not_the_hosts_cores(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, device: str, at_once: int
) -> None:
    found = offered(monkeypatch, engine, device)
    assert found.at_once == at_once
    assert found.networks >= 8 * at_once
    assert found.networks <= MOST_MEMBERS


def test_a_small_gpu_takes_smaller_packs_and_never_less_than_it_trains_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(monkeypatch, PackedCuda(), "cuda", 8).networks == 4 * GIGABYTE // (16 << 20)
    assert offered(monkeypatch, PackedCuda(), "cuda", 1).networks == MULTIPROCESSORS


def test_every_engine_has_a_rate_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name for name, _ in RATES} == {engine.name for engine in ENGINES}
    rates = [offered(monkeypatch, engine, "cpu").rate for engine in (PackedCpu(), Reference())]
    assert rates == sorted(rates, reverse=True)
