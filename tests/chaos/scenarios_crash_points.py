"""The service dies, or loses the database's answer, at each named point in turn."""

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import sqlalchemy as sa

from service.crash_points import ACTIONS, MOMENTS, TRANSACTIONS
from service.store.tables import Study
from tests.chaos.deployment import Deployment
from tests.chaos.fault_log import FaultLog, Violation
from tests.chaos.forked import send
from tests.chaos.invariants import check
from tests.chaos.provoking import provoke
from tests.chaos.studying import calm_run, spec, submit

POINTS = tuple(
    f"{name}:{moment}:{action}"
    for name in TRANSACTIONS
    for moment in MOMENTS
    for action in ACTIONS
    if (moment, action) != ("before-commit", "lose-answer")  # that is a rollback
)
PASSAGES = {"accept": 2, "lease": 2, "record": 2}
"""Which passage is struck, where the first is not the most telling."""
STOP_SECONDS = 40
AFTER_SECONDS = 8
"""How long after the end of the study its record may take to pass its points."""


def crash_points(log: FaultLog, random: Random) -> None:
    """Work through `log.count` points in random order, each on one service and one study."""
    points = list(POINTS)
    random.shuffle(points)
    with Deployment(log, training_seconds=0.05, proxied=True) as deployment:
        deployment.start()
        deployment.ready(3)
        calm = calm_run(deployment, spec(3))
        for point in points[: log.count]:
            strike_at(deployment, calm, point)


def one_point(point: str, log: FaultLog, _random: Random) -> None:
    """Strike at a single point, in a deployment of its own."""
    with Deployment(log, training_seconds=0.05, proxied=True) as deployment:
        deployment.start()
        deployment.ready(3)
        strike_at(deployment, calm_run(deployment, spec(3)), point)


def strike_at(deployment: Deployment, calm: list[str], point: str) -> None:
    """Stop the service, start it with one point armed, make it pass there, and hold what follows to account."""
    name = point.partition(":")[0]
    if name == "import":
        strike_import(deployment, calm, point)
        return
    log = deployment.log
    send(deployment.service, signal.SIGTERM)
    deployment.nursery.wait(deployment.service, STOP_SECONDS)
    deployment.start(f"{point}@{PASSAGES.get(name, 1)}")
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        keeper = pool.submit(_keep_alive, deployment, point, ended)
        try:
            study = submit(deployment, spec(3, name=point))
            provoke(deployment, study, name)
            deployment.wait(study)
        finally:
            ended.set()
        reached = keeper.result()
    check(deployment, study, calm)
    log.note("crash point", point=point, reached=reached)
    log.count_up("points_reached" if reached else "points_not_reached")


def strike_import(deployment: Deployment, calm: list[str], point: str) -> None:
    """Import a folder by a command that dies at a point or loses the answer; given again, it makes one study of it."""
    send(deployment.service, signal.SIGTERM)
    deployment.nursery.wait(deployment.service, STOP_SECONDS)
    folder = deployment.folder / f"out-{point.replace(':', '-')}"
    document = deployment.folder / "import.json"
    document.write_text(json.dumps(spec(3, name=point)))
    deployment.run(["-m", "workers.run", str(document), str(folder), "--data", str(deployment.folder / "data")])
    struck = deployment.run_import(folder, f"{point}@1")
    again = deployment.run_import(folder)
    deployment.start()
    deployment.ready(3)
    if again.returncode != 0:
        raise Violation(f"I3: the import ends with {again.returncode}: {again.stderr[-300:]}")
    with deployment.store.read() as session:
        imported = session.scalars(sa.select(Study.id).where(Study.name == point)).all()
    if len(imported) != 1:
        raise Violation(f"I4: {len(imported)} studies of one folder")
    check(deployment, imported[0], calm)
    reached = struck.returncode != 0
    deployment.log.note("crash point", point=point, reached=reached)
    deployment.log.count_up("points_reached" if reached else "points_not_reached")


def _keep_alive(deployment: Deployment, point: str, ended: threading.Event) -> bool:
    """Start the service again, unarmed, when it has died at its point; whether it did, or told of the lost answer."""
    armed, log = deployment.service, deployment.folder / "service.log"
    end = float("inf")
    while time.monotonic() < end:
        if deployment.nursery.code(armed) is not None:
            deployment.start()
            return True
        if not point.startswith("stop:") and f"crash point {point}" in log.read_text():  # one that stops ends soon
            return True
        if ended.is_set():
            end = min(end, time.monotonic() + AFTER_SECONDS)
        time.sleep(0.1)
    return False
