"""The service dies at any moment, while clients submit too; and it is told to stop."""

import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import httpx
import sqlalchemy as sa

from service.store.tables import IdempotencyKey, Study
from tests.chaos.deployment import Deployment
from tests.chaos.fault_log import FaultLog, Violation
from tests.chaos.forked import eventually, send
from tests.chaos.studying import calm_run, spec, struck_run, submit

LONG = 30
"""Runs of a study that is still going on when the service has had all the time that it may take to stop."""
CLIENTS = 8
STOP_SECONDS = 30
"""Within which a service that is told to stop has to have ended."""


def service_kills(log: FaultLog, random: Random) -> None:
    """SIGKILL to the service at random moments with packs running; nobody is charged."""
    with Deployment(log) as deployment:
        deployment.start()
        deployment.ready(3)
        calm = calm_run(deployment, spec(10))
        while log.figures.get("effective_kills", 0) < log.count:
            study = submit(deployment, spec(10))
            while not deployment.has_ended(study) and log.figures.get("effective_kills", 0) < log.count:
                time.sleep(random.uniform(0, 1.0))
                running = len(deployment.packs(study, ["running"]))
                deployment.kill_service()
                log.note("service killed", running_packs=running)
                log.count_up("kills")
                log.count_up("effective_kills", running > 0)
                began = time.monotonic()
                deployment.start()
                deployment.ready()
                log.measured("seconds_to_lead_again", time.monotonic() - began)
            struck_run(deployment, study, calm)
            nobody_charged(deployment, study)


def nobody_charged(deployment: Deployment, study: str) -> None:
    """No pack was charged with a failure that was none of its own."""
    if charged := [pack.id for pack in deployment.packs(study) if pack.charged]:
        raise Violation(f"I1: packs {charged} are charged with deaths that did not happen")


def submissions(log: FaultLog, random: Random) -> None:
    """`log.count` submissions by clients that repeat until they are answered, while the service is killed."""
    keys = [f"chaos-{secrets.token_hex(8)}-{number}" for number in range(log.count)]
    with Deployment(log, workers=1) as deployment:
        deployment.start()
        deployment.ready()
        with ThreadPoolExecutor(CLIENTS) as clients:
            answers = [clients.submit(deployment.submit, spec(1, name=key), key, 300) for key in keys]
            while not all(answer.done() for answer in answers):
                eventually(deployment.answers, 120, "the service answers")
                time.sleep(random.uniform(0, 1.5))
                waiting = sum(not answer.done() for answer in answers)
                if waiting:
                    deployment.kill_service()
                    log.note("service killed", unanswered=waiting)
                    log.count_up("service_kills")
                    deployment.start()
        given = [answer.result() for answer in answers]
        log.count_up("acknowledged", len(given))
        with deployment.store.read() as session:
            stored = dict(session.execute(sa.select(Study.id, Study.name)).tuples().all())
            noted = session.scalar(sa.select(sa.func.count()).select_from(IdempotencyKey))
        log.count_up("stored", len(stored))
        lost = [key for key, study in zip(keys, given, strict=True) if stored.get(study) != key]
        if lost:
            raise Violation(f"I4: {len(lost)} acknowledged submissions are lost: {lost[:3]}")
        if len(stored) != len(keys) or noted != len(keys):
            raise Violation(f"I4: {len(keys)} submissions made {len(stored)} studies under {noted} keys: twins")
        repeated = random.sample(range(log.count), min(20, log.count))
        if [deployment.submit(spec(1, name=keys[n]), keys[n]) for n in repeated] != [given[n] for n in repeated]:
            raise Violation("I4: a repeated submission was answered with another study")


def stops(log: FaultLog, random: Random) -> None:
    """SIGTERM with packs running and event streams open: the service ends in time, and nobody is charged."""
    with Deployment(log) as deployment:
        deployment.start()
        deployment.ready(3)
        calm = calm_run(deployment, spec(LONG))
        for _ in range(log.count):
            study = submit(deployment, spec(LONG))
            eventually(lambda: deployment.packs(study, ["running"]), 60, "packs run")  # noqa: B023
            with ThreadPoolExecutor(CLIENTS) as watchers:
                for _ in range(CLIENTS):
                    watchers.submit(_watch, deployment, study)
                time.sleep(random.uniform(0.5, 1.5))
                began = time.monotonic()
                send(deployment.service, signal.SIGTERM)
                try:
                    code = deployment.nursery.wait(deployment.service, STOP_SECONDS)
                except Violation:
                    deployment.kill_service()  # or the watchers would never end
                    raise
                log.measured("seconds_to_stop", time.monotonic() - began)
            if code != 0:
                raise Violation(f"I3: a service that was told to stop ended with code {code}")
            log.count_up("stops")
            deployment.start()
            deployment.ready()
            struck_run(deployment, study, calm)
            nobody_charged(deployment, study)


def _watch(deployment: Deployment, study: str) -> None:
    """Read a study's events to the end of the connection."""
    try:
        with deployment.http.stream("GET", f"/v1/studies/{study}/events", timeout=60) as stream:
            for _line in stream.iter_lines():
                pass
    except httpx.TransportError:
        return


def takeovers(log: FaultLog, random: Random) -> None:
    """The leader freezes and loses its lock; another leads; the first wakes with results in hand, and may not write."""
    with Deployment(log, training_seconds=0.2) as deployment:
        first = deployment.start()
        deployment.ready(3)
        calm = calm_run(deployment, spec(10))
        for _ in range(log.count):
            study = submit(deployment, spec(10))
            eventually(lambda: deployment.packs(study, ["running"]), 60, "packs run")  # noqa: B023
            second = deployment.start_second()
            time.sleep(random.uniform(0, 0.5))
            send(first, signal.SIGSTOP)
            deployment.take_lock_away()
            deployment.ready(1)
            send(first, signal.SIGCONT)
            log.count_up("takeovers")
            struck_run(deployment, study, calm)
            nobody_charged(deployment, study)
            send(first, signal.SIGTERM)
            deployment.nursery.wait(first, STOP_SECONDS)
            first = second
