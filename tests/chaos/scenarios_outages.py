"""The database or the scheduler is away, full, locked or slow for a while."""

import sqlite3
import time
from random import Random

import httpx

from tests.chaos.deployment import Deployment
from tests.chaos.fault_log import FaultLog, Violation
from tests.chaos.forked import eventually
from tests.chaos.scenarios_service import nobody_charged
from tests.chaos.studying import calm_run, spec, struck_run, submit

DOWN_SECONDS = (0, 20, 60)
LOCKED_SECONDS = 65
"""Longer than SQLite's own wait for a lock, so that the service has to tell its clients."""
FULL_SECONDS = 10


def database_restarts(log: FaultLog, random: Random) -> None:
    """PostgreSQL ends immediately while packs run, and is away for 0, 20 and 60 s in turn; no process exits."""
    with Deployment(log, training_seconds=0.2) as deployment:
        server = deployment.server
        if server is None:
            raise ValueError("database-restarts needs --database postgresql")
        deployment.start()
        deployment.ready(3)
        calm = calm_run(deployment, spec(10))
        for number in range(log.count):
            down = DOWN_SECONDS[number % len(DOWN_SECONDS)]
            study = submit(deployment, spec(10))
            eventually(lambda: deployment.packs(study, ["running"]), 60, "packs run")  # noqa: B023
            time.sleep(random.uniform(0, 2))
            server.stop_immediately()
            if down:
                _refuses_politely(deployment)
            time.sleep(down)
            server.start()
            began = time.monotonic()
            log.note("database restarted", down_seconds=down)
            struck_run(deployment, study, calm)
            log.measured(f"seconds_to_complete_after_{down}", time.monotonic() - began)
            nobody_charged(deployment, study)
            if deployment.nursery.code(deployment.service) is not None:
                raise Violation("I3: the service ended when its database did")
            log.count_up("restarts")


def _refuses_politely(deployment: Deployment) -> None:
    """A submission meanwhile is answered 503 with Retry-After, and nothing of it is stored."""
    answer = deployment.http.post("/v1/studies", json=spec(1))
    if answer.status_code != 503 or "retry-after" not in answer.headers:
        raise Violation(f"I4: without a database a submission is answered {answer.status_code}: {answer.text[:200]}")
    deployment.log.count_up("told_to_come_back")


def disk_full(log: FaultLog, random: Random) -> None:
    """SQLite may not grow for a while (max_page_count): clear errors, nothing half-written, and it goes on."""
    with Deployment(log, training_seconds=0.1) as deployment:
        path = _sqlite_file(deployment)
        deployment.start()
        deployment.ready(3)
        calm = calm_run(deployment, spec(10))
        for _ in range(log.count):
            study = submit(deployment, spec(10))
            eventually(lambda: deployment.packs(study, ["running"]), 60, "packs run")  # noqa: B023
            time.sleep(random.uniform(0, 1))
            with sqlite3.connect(path) as connection:
                pages = connection.execute("PRAGMA page_count").fetchone()[0]
            deployment.pages.write_text(str(pages))
            answers = _submit_while(deployment, FULL_SECONDS)
            deployment.pages.unlink()
            log.note("disk was full", pages=pages, answers=answers)
            if not answers.get(503):
                raise Violation(f"I3: a full disk was not noticed: {answers}")
            log.count_up("full_disks")
            log.count_up("told_to_come_back", answers[503])
            struck_run(deployment, study, calm)
            nobody_charged(deployment, study)


def locked(log: FaultLog, random: Random) -> None:
    """Somebody else holds SQLite's write lock for 65 s: readers are served, writers wait, it goes on."""
    with Deployment(log, training_seconds=0.2) as deployment:
        path = _sqlite_file(deployment)
        deployment.start()
        deployment.ready(3)
        calm = calm_run(deployment, spec(10))
        for _ in range(log.count):
            study = submit(deployment, spec(10))
            eventually(lambda: deployment.packs(study, ["running"]), 60, "packs run")  # noqa: B023
            time.sleep(random.uniform(0, 1))
            connection = sqlite3.connect(path, timeout=60, isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            try:
                while time.monotonic() - began < LOCKED_SECONDS:
                    answer = deployment.http.get(f"/v1/studies/{study}")
                    if answer.status_code != 200:
                        raise Violation(f"I3: a reader is answered {answer.status_code} while the database is locked")
                    log.count_up("reads_meanwhile")
                    time.sleep(1)
            finally:
                connection.rollback()
                connection.close()
            log.note("unlocked", seconds=time.monotonic() - began)
            log.count_up("locks")
            struck_run(deployment, study, calm)
            nobody_charged(deployment, study)


def scheduler_connection(log: FaultLog, random: Random) -> None:
    """The connection to the scheduler breaks, is refused for some seconds, or is slow; nobody is charged."""
    with Deployment(log, training_seconds=0.1, proxied=True) as deployment:
        proxy = deployment.proxy
        assert proxy is not None
        deployment.start()
        deployment.ready(3)
        calm = calm_run(deployment, spec(10))
        for number in range(log.count):
            study = submit(deployment, spec(10))
            eventually(lambda: deployment.packs(study, ["running"]), 60, "packs run")  # noqa: B023
            time.sleep(random.uniform(0, 1))
            fault = ("drop", "refuse", "delay")[number % 3]
            if fault == "delay":
                proxy.delay(0.3)
                time.sleep(5)
                proxy.delay(0)
            else:
                proxy.refuse(fault == "refuse")
                proxy.drop()
                time.sleep(5 if fault == "refuse" else 0)
                proxy.refuse(False)
            log.note(fault)
            log.count_up(f"{fault}s")
            struck_run(deployment, study, calm)
            nobody_charged(deployment, study)


def _sqlite_file(deployment: Deployment) -> str:
    if deployment.server is not None:
        raise ValueError("this scenario needs --database sqlite")
    return deployment.url.removeprefix("sqlite:///")


def _submit_while(deployment: Deployment, seconds: float) -> dict[int, int]:
    """Submit for some seconds; how often each status was answered. What was taken is cancelled again."""
    found: dict[int, int] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer: httpx.Response = deployment.http.post("/v1/studies", json=spec(1, name="x" * 200))
        found[answer.status_code] = found.get(answer.status_code, 0) + 1
        if answer.status_code == 201:
            deployment.http.post(f"/v1/studies/{answer.json()['id']}/cancel")
        time.sleep(0.02)
    return found
