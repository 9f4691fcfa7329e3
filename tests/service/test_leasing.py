"""The dispatcher's loop on a made-up cluster: who gets packs, who waits, and who is told why."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from packing_simulation import Device, slot
from service_data import SHA256, leader, opened, row

from service.config import Settings
from service.dispatch.accept import Lease
from service.dispatch.cluster import Slot
from service.dispatch.loop import Dispatcher
from service.dispatch.opening import Opening
from service.dispatch.sharing import MOST
from service.store.engine import Store

PAIR = Device(2, 3.0)


class MadeUpCluster:
    """Slots that take packs and never end them."""

    def __init__(self, slots: list[Slot], own_workers: int | None) -> None:
        self.slots = {one.address: one for one in slots}
        self.own_workers = own_workers
        self.alive, self.told = True, False
        self.submitted: list[tuple[Lease, Slot]] = []
        self.leaving: Callable[[str], None] = lambda address: None

    def workers(self) -> dict[str, str]:
        return {address: one.name for address, one in self.slots.items()}

    def greet(self, address: str, _name: str) -> Slot:
        self.told = True
        return self.slots[address]

    def place(self, *_data_set: Any) -> None:
        """It is there."""

    def submit(self, lease: Lease, slot: Slot) -> "Future[Any]":
        self.submitted.append((lease, slot))
        return Future()

    def stop(self, *_pack: Any) -> None:
        """It does not run."""

    def on_progress(self, _handler: Callable[[dict[str, Any]], None]) -> None:
        """There is none."""

    def on_leaving(self, handler: Callable[[str], None]) -> None:
        self.leaving = handler

    def close(self) -> None:
        self.alive = False


@pytest.fixture
def dispatch(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., MadeUpCluster]]:
    """Starts the dispatcher on a made-up cluster."""
    monkeypatch.setattr(Opening, "path", lambda self, study: tmp_path if study.dataset_sha256 == SHA256 else None)
    started: list[Dispatcher] = []

    def start(slots: list[Slot], own_workers: int | None = None) -> MadeUpCluster:
        cluster = MadeUpCluster(slots, own_workers)
        settings = Settings(data=tmp_path, database_url=sqlite_store.url)
        started.append(Dispatcher(sqlite_store, settings, lambda: cluster))  # type: ignore[arg-type,return-value]
        started[0].start()
        return cluster

    yield start
    for one in started:
        one.stop()


def studies(store: Store, count: int, **changes: Any) -> list[str]:
    """So many opened studies."""
    leadership = leader(store)
    try:
        return [opened(store, leadership, **changes) for _ in range(count)]
    finally:
        leadership.release()


def eventually(look: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_studies_that_no_worker_can_train_hold_up_nobody_and_are_all_told_why(
    sqlite_store: Store, dispatch: Callable[..., MadeUpCluster]
) -> None:
    hopeless = studies(sqlite_store, MOST + 5, engine="reference")
    (good,) = studies(sqlite_store, 1)
    cluster = dispatch([slot("w", PAIR)], own_workers=1)
    lease, _ = eventually(lambda: cluster.submitted)[0]
    assert lease.study_id == good
    for study_id in (hopeless[0], hopeless[-1]):
        told = eventually(lambda study_id=study_id: row(sqlite_store, study_id).reason)
        assert told == "waits for a worker that can train it: engine reference, precision fp32"


def test_a_study_is_not_pinned_to_a_slow_worker_that_joined_a_moment_before_the_gpus(
    sqlite_store: Store, dispatch: Callable[..., MadeUpCluster]
) -> None:
    (study,) = studies(sqlite_store, 1)
    cluster = dispatch([slot("early", PAIR, "cpu", rate=0.6)])
    time.sleep(1)
    gpu = slot("gpu", Device(132, 2.6), "gpu", rate=50)
    cluster.slots[gpu.address] = gpu
    _, taken_by = eventually(lambda: cluster.submitted)[0]
    assert taken_by.name == "gpu"
    assert row(sqlite_store, study).numeric_class == "gpu"


def test_a_machine_of_its_own_begins_at_once(sqlite_store: Store, dispatch: Callable[..., MadeUpCluster]) -> None:
    studies(sqlite_store, 1)
    began = time.monotonic()
    cluster = dispatch([slot("only", PAIR)], own_workers=1)
    eventually(lambda: cluster.submitted)
    assert time.monotonic() - began < 2


def test_a_worker_that_is_told_to_stop_gets_nothing_more(
    sqlite_store: Store, dispatch: Callable[..., MadeUpCluster]
) -> None:
    slots = [slot("leaves", PAIR), slot("stays", PAIR)]
    studies(sqlite_store, 2)
    cluster = dispatch(slots, own_workers=3)  # one is missing, so that nothing begins before the word comes
    eventually(lambda: cluster.told)
    cluster.leaving("tcp://leaves")
    eventually(lambda: cluster.submitted)
    time.sleep(1)
    assert [taken_by.name for _, taken_by in cluster.submitted] == ["stays"]
