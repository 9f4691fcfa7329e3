"""What a Dask worker runs, in a real worker process."""

import io
import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client, Future, Nanny, Scheduler, SpecCluster
from worker_data import CONFIG, bits, toy

from studies.datasets.load import PreparedDataset
from studies.results import TrainingResult
from studies.training import TrainingConfig
from workers import tasks
from workers.engine import Cancelled
from workers.train import offer_of, train_pack

SECONDS = 60
"""Longer than any of this takes on a loaded machine."""
WANTED = [("paper-cnn", engine, "fp32", "population") for engine in ("auto", "reference", "quantum")]


@dataclass
class Worker:
    """One worker process, and this process's connection to it."""

    client: Client
    cache: Path
    progress: "queue.Queue[dict[str, Any]]"

    def ask(self, function: Any, *arguments: Any) -> Any:
        """What a function gives in the worker's process, outside any task."""
        (answer,) = self.client.run(function, *arguments).values()
        return answer

    def submit(self, pack: str, attempt: int, sha256: str, configs: list[TrainingConfig]) -> Future:
        """As the dispatcher submits a pack."""
        return self.client.submit(
            tasks.run_pack,
            pack,
            attempt,
            sha256,
            "reference",
            [config.to_json() for config in configs],
            key=f"pack-{pack}-{attempt}",
            resources={"slot": 1},
            retries=0,
            pure=False,
        )

    def told(self, pack: str) -> dict[str, Any]:
        """The next progress event of a pack."""
        deadline = time.monotonic() + SECONDS
        while True:
            event = self.progress.get(timeout=max(0.0, deadline - time.monotonic()))
            if event["pack"] == pack:
                return event


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    cache = tmp_path_factory.mktemp("cache")
    options = {
        "nthreads": 1,
        "resources": {"slot": 1},
        "memory_limit": 0,
        "preload": ["workers.preload"],
        "env": {tasks.CACHE_VARIABLE: str(cache / "datasets"), tasks.DEVICE_VARIABLE: "cpu"},
        "local_directory": str(cache / "scratch"),
        "dashboard_address": "127.0.0.1:0",
    }
    cluster = SpecCluster(
        scheduler={"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}},
        workers={"only": {"cls": Nanny, "options": options | {"host": "127.0.0.1"}}},
        silence_logs=50,
    )
    with cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=SECONDS)
        told: queue.Queue[dict[str, Any]] = queue.Queue()
        client.subscribe_topic(tasks.PROGRESS_TOPIC, lambda event: told.put(event[1]))
        yield Worker(client, cache / "datasets", told)


@pytest.fixture(scope="module")
def dataset() -> PreparedDataset:
    return toy()


def content(dataset: PreparedDataset) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **dataset.arrays())
    return stream.getvalue()


@pytest.fixture
def held(worker: Worker, dataset: PreparedDataset) -> str:
    """The hash of a data set that the worker holds."""
    worker.ask(tasks.put_dataset, dataset.sha256, content(dataset))
    return dataset.sha256


def outcome(future: Future) -> list[TrainingResult]:
    answer = future.result(timeout=SECONDS)
    assert answer["seconds"] > 0
    return [TrainingResult.from_json(document) for document in answer["results"]]


def test_the_worker_imported_torch_before_it_registered(worker: Worker) -> None:
    # First in this file: no pack has run yet.
    assert worker.ask(lambda: sys.modules.get("workers.train") is not None and "torch" in sys.modules)


def test_a_worker_says_what_it_is(worker: Worker) -> None:
    found = worker.ask(tasks.announce, WANTED)
    assert found.pid != os.getpid()
    assert found.pid == worker.ask(os.getpid)
    assert (found.device, found.threads) == ("cpu", len(os.sched_getaffinity(0)))
    assert found.device_name.startswith("cpu ")
    assert found.offers == {
        f"paper-cnn/{engine}/fp32/population": offer_of("paper-cnn", engine, "fp32", "population", "cpu")
        for engine in ("auto", "reference")
    }


def test_a_pack_without_its_data_set_asks_for_it_and_then_runs(worker: Worker) -> None:
    other = toy(images=252)
    assert not worker.ask(tasks.has_dataset, other.sha256)
    with pytest.raises(tasks.DatasetMissing, match=other.sha256):
        worker.submit("missing", 1, other.sha256, [CONFIG]).result(timeout=SECONDS)
    worker.ask(tasks.put_dataset, other.sha256, content(other))
    assert worker.ask(tasks.has_dataset, other.sha256)
    found = outcome(worker.submit("missing", 2, other.sha256, [CONFIG]))
    assert bits(found) == bits(train_pack([CONFIG], other, engine="reference"))


def test_a_workers_results_are_train_packs_to_the_bit(worker: Worker, held: str, dataset: PreparedDataset) -> None:
    configs = [replace(CONFIG, cell=cell, fold=cell % 3, learning_rate=0.01 * 1.7**cell) for cell in range(4)]
    configs.append(replace(CONFIG, cell=4, learning_rate=1e5, weight_decay=1.0))
    found = outcome(worker.submit("bits", 1, held, configs))
    assert bits(found) == bits(train_pack(configs, dataset, engine="reference"))
    assert [result.outcome.value for result in found] == ["finished"] * 4 + ["diverged"]


@pytest.mark.parametrize("kind", ["junk", "torn", "another"])
def test_a_corrupt_data_set_is_dropped_and_asked_for_again(worker: Worker, kind: str) -> None:
    wanted = toy(images={"junk": 264, "torn": 276, "another": 288}[kind])
    whole = content(wanted)
    bad = {"junk": b"not a data set", "torn": whole[: len(whole) // 2], "another": content(toy(images=300))}[kind]
    worker.ask(tasks.put_dataset, wanted.sha256, bad)
    assert worker.ask(tasks.has_dataset, wanted.sha256)
    with pytest.raises(tasks.DatasetMissing):
        worker.submit(f"corrupt-{kind}", 1, wanted.sha256, [CONFIG]).result(timeout=SECONDS)
    assert not worker.ask(tasks.has_dataset, wanted.sha256)
    worker.ask(tasks.put_dataset, wanted.sha256, whole)
    assert len(outcome(worker.submit(f"corrupt-{kind}", 2, wanted.sha256, [CONFIG]))) == 1


def test_the_cache_holds_whole_files_under_their_hashes(worker: Worker, held: str) -> None:
    assert (worker.cache / f"{held}.npz").exists()
    assert not [path for path in worker.cache.iterdir() if path.suffix != ".npz"]


def test_an_error_of_a_pack_reaches_the_dispatcher(worker: Worker, held: str) -> None:
    with pytest.raises(ValueError, match="batch_size must be at most the 160 training images"):
        worker.submit("error", 1, held, [replace(CONFIG, batch_size=500)]).result(timeout=SECONDS)


def test_progress_arrives_while_a_pack_runs_and_cancellation_ends_it(worker: Worker, held: str) -> None:
    endless = [replace(CONFIG, cell=cell, epochs=100_000) for cell in range(3)]
    future = worker.submit("endless", 1, held, endless)
    first, second = worker.told("endless"), worker.told("endless")
    assert (first["attempt"], second["attempt"]) == (1, 1)
    assert 1 <= first["epochs"] < second["epochs"]
    worker.ask(tasks.cancel_pack, "endless", 2)  # another attempt: without effect
    worker.ask(tasks.cancel_pack, "end", 1)
    assert worker.told("endless")["epochs"] > second["epochs"]
    began = time.monotonic()
    worker.ask(tasks.cancel_pack, "endless", 1)
    with pytest.raises(Cancelled):
        future.result(timeout=SECONDS)
    assert time.monotonic() - began < 10  # an epoch takes some milliseconds

    # The slot is free again, and no word of the cancellation is left for a pack of that name.
    assert len(outcome(worker.submit("after", 1, held, [CONFIG]))) == 1
    del future
    assert worker.ask(lambda: set(tasks._cancelled)) == {"endless/2", "end/1"}


def test_a_cancellation_that_comes_before_its_pack_ends_it_at_once(worker: Worker, held: str) -> None:
    worker.ask(tasks.cancel_pack, "early", 1)
    with pytest.raises(Cancelled):
        worker.submit("early", 1, held, [replace(CONFIG, epochs=100_000)]).result(timeout=SECONDS)


def test_the_first_epoch_is_told_at_once(worker: Worker, held: str) -> None:
    outcome(worker.submit("short", 3, held, [replace(CONFIG, epochs=1)]))
    told = worker.told("short")  # distributed adds the worker's address
    assert {key: told[key] for key in ("pack", "attempt", "epochs")} == {"pack": "short", "attempt": 3, "epochs": 1}


def test_the_device_is_the_one_the_worker_was_started_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tasks.DEVICE_VARIABLE, "cuda")
    assert tasks.worker_device() == "cuda"
    for unsaid in ("", "auto"):
        monkeypatch.setenv(tasks.DEVICE_VARIABLE, unsaid)
        assert tasks.worker_device() in ("cpu", "cuda")


def test_the_dispatcher_imports_tasks_without_torch_or_distributed() -> None:
    code = "import sys, workers.tasks; print(*sorted({'torch', 'distributed', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout
    assert "distributed" not in done.stdout
