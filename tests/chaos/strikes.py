"""Killing and freezing workers while a pack runs there, and seeing its pack run again."""

import signal
import time
from dataclasses import dataclass
from random import Random

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.dispatch.quarantine import LONE_TRIES
from service.store.tables import Pack
from tests.chaos.deployment import Deployment
from tests.chaos.forked import eventually, send

AGAIN_SECONDS = 60
"""Within which a struck pack has to run again on a loaded machine; what it took is in the figures."""


@dataclass(frozen=True)
class Victim:
    """A worker that trains a pack."""

    pid: int
    name: str
    pack: str
    attempt: int


def find_victim(deployment: Deployment, random: Random, study: str, besides: frozenset[str]) -> Victim | None:
    """A worker that trains a pack of the study and is not named in `besides`; None if there is none at the moment.

    A lone training that has killed two workers is spared: the third death would rightly end it.
    """
    busy = [worker for worker in deployment.busy_workers() if worker["study"] == study]
    packs = {pack.id: pack for pack in deployment.packs(study, ["running"])}
    found = []
    for worker in busy:
        pack = packs.get(worker["pack"])
        spared = pack is None or (len(pack.members) == 1 and pack.charged >= LONE_TRIES - 1)
        if pack is not None and not spared and worker["name"] not in besides:
            found.append(Victim(worker["pid"], worker["name"], pack.id, pack.attempt))
    return random.choice(found) if found else None


def strike(deployment: Deployment, victim: Victim, number: signal.Signals) -> bool:
    """Send a signal; whether the pack still ran then, and the worker was there."""
    sent = send(victim.pid, number)
    with deployment.store.read() as session:
        pack = _pack(session, victim.pack)
        effective = sent and pack is not None and pack.state == "running" and pack.attempt == victim.attempt
    deployment.log.note(number.name, worker=victim.name, pack=victim.pack, attempt=victim.attempt, effective=effective)
    return effective


def seen_again(deployment: Deployment, victim: Victim, began: float) -> float | None:
    """Wait until a struck pack runs again, or its halves do; the seconds since `began`.

    Returns:
        None if its result had been on its way when it was struck, and was accepted.
    """

    def look() -> str | None:
        with deployment.store.read() as session:
            pack = _pack(session, victim.pack)
            if pack is None or (pack.state == "done" and pack.attempt == victim.attempt):
                return "done"
            if pack.attempt > victim.attempt:
                return "again"
            if pack.state == "split":
                halves = session.scalars(sa.select(Pack).where(Pack.log.startswith(f"half of pack {pack.id}\n"))).all()
                return "again" if all(half.attempt > 0 for half in halves) else None
            return None

    found = eventually(look, AGAIN_SECONDS, f"pack {victim.pack} runs again")
    return None if found == "done" else time.monotonic() - began


def _pack(session: Session, pack: str) -> Pack | None:
    return session.scalar(sa.select(Pack).where(Pack.id == pack))
