"""The dispatcher's loop on a made-up cluster: who gets packs, who waits, who is told why, and how it ends."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from packing_simulation import Device, slot
from service_data import SHA256, leader, opened, results, row, rows

from service.config import Settings
from service.dispatch.accept import Lease
from service.dispatch.cluster import Slot
from service.dispatch.loop import Dispatcher
from service.dispatch.opening import Opening
from service.dispatch.runs import Runs
from service.dispatch.sharing import MOST
from service.store.engine import Store
from service.store.tables import Pack

PAIR = Device(2, 3.0)


class Tardy(Future[Any]):
    """Has ended, but its result does not arrive."""

    def result(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "the dispatcher would wait for ever"
        time.sleep(timeout)
        raise TimeoutError


class MadeUpCluster:
    """Slots that take packs and end them only where a test does."""

    def __init__(self, slots: list[Slot], own_workers: int | None) -> None:
        self.slots = {one.address: one for one in slots}
        self.own_workers = own_workers
        self.alive, self.told = True, False
        self.submitted: list[tuple[Lease, Slot]] = []
        self.futures: dict[str, Future[Any]] = {}
        """Of the packs, by their slot's name."""
        self.dispatcher: Dispatcher
        self.during_look: Callable[[], None] = lambda: None
        self.leaving: Callable[[str], None] = lambda address: None

    def workers(self) -> dict[str, str]:
        self.during_look()
        return {address: one.name for address, one in self.slots.items()}

    def greet(self, address: str, _name: str) -> Slot:
        self.told = True
        return self.slots[address]

    def place(self, *_data_set: Any) -> None:
        """It is there."""

    def submit(self, lease: Lease, slot: Slot) -> "Future[Any]":
        self.submitted.append((lease, slot))
        self.futures[slot.name] = Tardy() if slot.name == "tardy" else Future()
        return self.futures[slot.name]

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
        cluster.dispatcher = started[0]
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


def answer(lease: Lease) -> dict[str, Any]:
    """What a worker tells of a pack."""
    return {"results": [one.to_json() for one in results(lease)], "seconds": 3.0}


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


def test_a_dispatcher_that_ends_stores_what_has_arrived_and_gives_back_the_rest_uncharged(
    sqlite_store: Store, dispatch: Callable[..., MadeUpCluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.dispatch.runs.LAST_SECONDS", 0.5)
    (study,) = studies(sqlite_store, 1)
    names = ("ended", "dead", "tardy", "busy")
    cluster = dispatch([slot(name, PAIR) for name in names], own_workers=len(names))
    eventually(lambda: len(cluster.submitted) == len(names))
    leases = {taken_by.name: lease for lease, taken_by in cluster.submitted}

    def all_at_once() -> None:
        """Too late for the loop to handle it."""
        cluster.during_look = lambda: None
        cluster.dispatcher.begin_stop()
        cluster.futures["ended"].set_result(answer(leases["ended"]))
        cluster.futures["dead"].set_exception(RuntimeError("its process was told to stop too"))
        cluster.futures["tardy"].set_result(None)

    cluster.during_look = all_at_once
    eventually(lambda: cluster.dispatcher.state == "stopped", seconds=5)
    packs = {pack.id: (pack.state, pack.charged) for pack in rows(sqlite_store, Pack, study)}
    assert [packs[leases[name].pack] for name in names] == [("done", 0), *[("waiting", 0)] * 3]
    assert row(sqlite_store, study).done == len(leases["ended"].members)


def test_what_has_arrived_is_stored_although_the_scheduler_is_lost(
    sqlite_store: Store, dispatch: Callable[..., MadeUpCluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    store_results = Runs.store_results

    def only_afterwards(runs: Runs) -> None:
        """As if more had arrived than are stored at a time."""
        if not cluster.alive:
            store_results(runs)

    monkeypatch.setattr(Runs, "store_results", only_afterwards)
    (study,) = studies(sqlite_store, 1)
    cluster = dispatch([slot("only", PAIR)], own_workers=1)
    lease, _ = eventually(lambda: cluster.submitted)[0]
    cluster.futures["only"].set_result(answer(lease))
    eventually(lambda: len(cluster.submitted) == 2)  # its slot is free
    cluster.alive = False
    assert eventually(lambda: row(sqlite_store, study).done) == len(lease.members)
    packs = {pack.id: pack.state for pack in rows(sqlite_store, Pack, study)}
    assert packs[lease.pack] == "done"
