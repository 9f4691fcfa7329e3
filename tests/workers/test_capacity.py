"""How many networks a device takes, as a worker announces it."""

from dataclasses import dataclass

import pytest
import torch

from workers.capacity import MOST_MEMBERS, PAPER_IMAGES, RATES, Offer, members_for, offer
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


@pytest.mark.parametrize(
    ("seconds", "images", "members"),
    [
        (60, PAPER_IMAGES, 38),  # 2 at once, 0.64 per second
        (60, PAPER_IMAGES // 10, 384),
        (60, PAPER_IMAGES * 100, 2),  # never less than trains at once
        (60, 320, 1_000),  # nor more than fits
    ],
)
def test_a_packs_length_is_chosen_by_the_rule_of_thumb(seconds: float, images: int, members: int) -> None:
    assert members_for(seconds, Offer("class", at_once=2, networks=1_000, rate=0.64), images) == members


def test_a_minute_of_a_gpu_is_whole_rounds_of_its_multiprocessors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert members_for(60, offered(monkeypatch, PackedCuda(), "cuda"), PAPER_IMAGES) == 24 * MULTIPROCESSORS
