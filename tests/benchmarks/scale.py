"""How far one dispatcher carries: `python -m tests.benchmarks.scale devices` and `... replicates`.

`devices`: simulated devices (real Dask workers that only wait) train a study; efficiency is the time that they were
busy, of the time from the first lease to the last result. `replicates`: what a replicate costs the dispatcher to plan,
to accept and to record, for studies of very different size, without a network.
"""

import argparse
import json
import math
import secrets
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from service import submission
from service.dispatch import accept
from service.dispatch.backlog import Backlog
from service.dispatch.leader import Leadership
from service.planner import Capacity
from service.record import Record, open_storage
from service.recorder import Recorder
from service.store.engine import Store
from service.store.tables import Pack
from studies.grid import cells
from studies.results import TrainingResult
from studies.spec import StudySpec
from tests.benchmarks.deployed import database, deployment, grid, wait
from tests.benchmarks.simulated import made_up

NUMERIC_CLASS = "simulated"
MEMBERS = 121
"""Of a pack, where replicates are counted."""
LOOK_SECONDS = 5.0
"""How often the recorder looks, where replicates are counted."""


@dataclass(frozen=True)
class Efficiency:
    """What so many devices made of a study."""

    devices: int
    trainings: int
    packs: int
    seconds: float
    """From the first lease to the last result."""
    efficiency: float
    """Simulated seconds of training, of devices times seconds."""
    last_devices_apart: float
    """Seconds between the ends of the first device that ran out of work and of the last."""


def devices(kind: str, count: int, rate: float, pack_seconds: float, seconds: float) -> Efficiency:
    """Let devices train a study that should take them so many seconds."""
    spread = (11, 11)
    runs = max(1, math.ceil(count * rate * seconds / (math.prod(spread) * 10)))
    with deployment(kind, count, rate, pack_seconds) as (client, store):
        warm_up = client.post("/v1/studies", json=grid((2, 2), 1, name="warm-up", seed=1, folds_used=2)).json()["id"]
        wait(lambda: client.get(f"/v1/studies/{warm_up}").json()["status"] == "completed", "the warm-up ends")
        answer = client.post("/v1/studies", json=grid(spread, runs))
        answer.raise_for_status()
        study = answer.json()["id"]
        wait(lambda: _completed(store, study), "the study ends", 20 * seconds + 300)
        with store.read() as session:
            query = sa.select(Pack.started_at, Pack.finished_at, Pack.worker, Pack.members)
            packs = session.execute(query.where(Pack.study_id == study, Pack.state == "done")).all()
    trainings = sum(len(pack.members) for pack in packs)
    took = (max(pack.finished_at for pack in packs) - min(pack.started_at for pack in packs)).total_seconds()
    last = {pack.worker: pack.finished_at for pack in sorted(packs, key=lambda pack: pack.finished_at)}
    apart = (max(last.values()) - min(last.values())).total_seconds()
    return Efficiency(count, trainings, len(packs), took, trainings / rate / (count * took), apart)


def _completed(store: Store, study: str) -> bool:
    time.sleep(1)
    with store.read() as session:
        return session.scalar(sa.text("SELECT status FROM gb_studies WHERE id = :id"), {"id": study}) == "completed"


@dataclass(frozen=True)
class Cost:
    """Milliseconds per replicate, by what they are spent on."""

    replicates: int
    accept_study: float
    """Milliseconds for the whole study: checking it and storing it."""
    plan: float
    """Choosing and leasing packs."""
    accept: float
    """Reading results and storing them."""
    record: float
    """Writing Optuna's trials."""

    @property
    def total(self) -> float:
        """Of one replicate."""
        return self.plan + self.accept + self.record


def replicates(kind: str, count: int) -> Cost:
    """Take a study of about so many replicates through a dispatcher's transactions, and the recorder along."""
    spread = (20, 50) if count >= 100_000 else (10, 10)
    with database(kind) as (_, url):
        store = Store(url)
        store.migrate()
        leadership, backlog = Leadership(store), Backlog()
        assert leadership.acquire()
        storage = open_storage(store)
        recorder = Recorder(store, Record(storage), leadership, threading.Event(), lambda study: {})
        spent = dict.fromkeys(("study", "plan", "accept", "record"), 0.0)
        began = time.perf_counter()
        cells_of_it = math.prod(spread) + 1  # the prescribed point, which the grid need not hit
        spec = StudySpec.from_json(grid(spread, max(1, count // (10 * cells_of_it))))
        study, _ = submission.submit(store, submission.Checked(spec, cells(spec)), secrets.token_hex(8))
        spent["study"] = time.perf_counter() - began
        with leadership.transaction() as session:
            accept.open_study(session, study.id, "5" * 64, images=10_000)
        done = _train(leadership, backlog, recorder, study.id, spent)
        store.close()
        storage.engine.dispose()
    each = {name: 1_000 * seconds / done for name, seconds in spent.items()}
    return Cost(done, 1_000 * spent["study"], each["plan"], each["accept"], each["record"])


def _train(leadership: Leadership, backlog: Backlog, recorder: Recorder, study_id: str, spent: dict[str, float]) -> int:
    """Lease, accept and record until nothing is pending; the number of replicates."""
    capacity = Capacity(networks=MEMBERS, networks_per_pack_time=MEMBERS, at_once=1)
    done, next_look = 0, 0.0
    while True:
        began = time.perf_counter()
        with leadership.transaction("lease") as session:
            lease = accept.lease(session, study_id, capacity, "device", NUMERIC_CLASS, backlog)
        spent["plan"] += time.perf_counter() - began
        if lease is None or time.perf_counter() >= next_look:
            began = time.perf_counter()
            recorder.write(study_id)
            spent["record"] += time.perf_counter() - began
            next_look = time.perf_counter() + max(LOOK_SECONDS, 10 * (time.perf_counter() - began))
        if lease is None:
            return done
        answer = [made_up(member, NUMERIC_CLASS).to_json() for member in lease.members]
        began = time.perf_counter()
        results = [TrainingResult.from_json(document) for document in answer]
        accept.check_members(lease, results)
        with leadership.transaction("accept") as session:
            assert all(accept.accept(session, [accept.Arrival(lease.pack, lease.attempt, results, 1.0)]))
        spent["accept"] += time.perf_counter() - began
        done += len(results)


def slope(costs: Sequence[Cost]) -> float:
    """Of the total cost per replicate over the number of replicates, both in logarithms."""
    sizes, totals = [cost.replicates for cost in costs], [cost.total for cost in costs]
    return float(np.polyfit(np.log(sizes), np.log(totals), 1)[0])


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run; one line of JSON for each figure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("what", choices=["devices", "replicates"])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--counts", type=int, nargs="+", help="devices, or replicates")
    parser.add_argument("--rate", type=float, default=8.0, help="trainings per second and simulated device")
    parser.add_argument("--pack-seconds", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=30.0, help="that a study should take the devices")
    chosen = parser.parse_args(arguments)
    if chosen.what == "devices":
        for count in chosen.counts or (1, 8, 64, 256):
            _tell(asdict(devices(chosen.database, count, chosen.rate, chosen.pack_seconds, chosen.seconds)))
        return 0
    costs = [replicates(chosen.database, count) for count in chosen.counts or (1_000, 10_000, 100_000, 1_000_000)]
    for cost in costs:
        _tell(asdict(cost) | {"total": cost.total})
    if len(costs) > 1:
        _tell({"slope": slope(costs)})
    return 0


def _tell(figures: dict[str, Any]) -> None:
    print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
