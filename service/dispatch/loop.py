"""The dispatcher's loop: one thread that turns queued studies into stored replicates.

Dask's callbacks and the chores' threads only enqueue; this thread alone opens transactions.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from service import lifecycle
from service.config import Settings
from service.dispatch import accept
from service.dispatch.backlog import Backlog
from service.dispatch.chores import Chores
from service.dispatch.cluster import Cluster
from service.dispatch.fitness import unreadable, wants, what_lacks
from service.dispatch.leader import Leadership
from service.dispatch.leasing import Leasing
from service.dispatch.opening import Opening
from service.dispatch.race import Races
from service.dispatch.runs import Runs
from service.dispatch.slots import Slots
from service.dispatch.tally import Tally
from service.errors import LeadershipLost
from service.lifecycle import Desired
from service.schemas.catalog import WorkerDocument
from service.store.engine import Store
from service.store.queries import unsettled_studies
from service.store.tables import Pack, Study
from workers.tasks import Announcement

LOOK_SECONDS = 0.1
"""Least time between two looks at what users want and which workers there are; results are taken at once."""
LOOK_SHARE = 0.1
"""The most of its time that the dispatcher spends on looking, however many studies wait."""
BACKOFF_SECONDS = 30.0
"""The longest pause between two tries to reach a database or scheduler that is away."""
STOP_SECONDS = 18.0

log = structlog.get_logger("goldenbench.dispatch")


@dataclass
class _Hands:
    """What lives and dies with one connection to a cluster."""

    cluster: Cluster
    slots: Slots
    runs: Runs


class Dispatcher:
    """Dispatches the studies of one store until it is stopped."""

    def __init__(self, store: Store, settings: Settings, connect: Callable[[], Cluster]) -> None:
        self._store = store
        self._settings = settings
        self._connect = connect
        self._hands: _Hands | None = None
        self._chores = Chores()
        self.leadership = Leadership(store)
        self._opening = Opening(self.leadership, self._chores, settings.data)
        self._races = Races(store, self.leadership, self._chores)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self.state = "starting"
        """`starting`, `waiting` (another one leads), `leading`, or what is missing at the moment."""
        self.leads = threading.Event()
        self._backlog = Backlog()
        self._leasing = Leasing(self.leadership, self._opening, self._backlog, settings.pack_seconds)
        self.tally = Tally()
        self._next_look = 0.0
        self._in_doubt = False
        """Whether a lease may have been stored although its transaction seemed to fail."""

    def start(self) -> None:
        """Begin in a thread of its own."""
        self._thread.start()

    def begin_stop(self) -> None:
        """Lease no more packs."""
        self._stop.set()
        self._chores.enqueue(lambda: None)  # ends its waiting

    def stop(self) -> None:
        """End: running packs wait again, uncharged; the lock and the cluster are let go."""
        self.begin_stop()
        self._thread.join(timeout=STOP_SECONDS)
        self._chores.close()

    def scheduler(self) -> str:
        """`connected`, `away`, or `not needed` where another one leads."""
        hands = self._hands
        if hands is not None and hands.cluster.alive:
            return "connected"
        return "not needed" if self.state == "waiting" else "away"

    def workers(self) -> list[WorkerDocument]:
        """Every slot with what it does now."""
        hands = self._hands
        if hands is None:
            return []
        leases = {run.slot.address: run.lease for run in hands.runs}
        return [
            {
                "name": slot.name,
                "address": slot.address,
                "device": slot.announcement.device_name,
                "threads": slot.announcement.threads,
                "pid": slot.announcement.pid,
                "pack": leases[slot.address].pack if slot.address in leases else None,
                "study": leases[slot.address].study_id if slot.address in leases else None,
                "trainings_per_second": self.tally.rate(slot.name),
            }
            for slot in hands.slots.all()
        ]

    def _run(self) -> None:
        pause = 1.0
        while not self._stop.is_set():
            try:
                if self._ready():
                    more = self._tick()
                    self.state = "leading"
                    self._chores.wait(0 if more else LOOK_SECONDS)
                pause = 1.0
            except LeadershipLost:
                log.error("another dispatcher took over")
                self._let_go()
                self.state = "waiting"
            except Exception as error:
                self._in_doubt = True
                self._backlog.forget_all()
                self._next_look = 0.0
                self.state = "database away" if isinstance(error, DBAPIError) else "recovering"
                log.warning("dispatcher pauses", error=f"{type(error).__name__}: {error}"[:500], seconds=pause)
                self._stop.wait(pause)
                pause = min(2 * pause, BACKOFF_SECONDS)
        self._wind_down()

    def _ready(self) -> bool:
        """Whether this dispatcher leads and has a cluster; tries to get both."""
        if not self.leads.is_set():
            if not self.leadership.acquire():
                if self.state != "waiting":
                    log.warning("another service dispatches on this database; this one waits")
                self.state = "waiting"
                self._stop.wait(1.0)
                return False
            with self.leadership.transaction("recover") as session:
                recovered = accept.recover(session)
            self._backlog.forget_all()
            self.leads.set()
            log.info("leads", recovered_packs=recovered)
        if self._hands is not None and not self._hands.cluster.alive:
            log.warning("the scheduler is gone; its packs wait for another")
            self._drop_cluster("the scheduler was lost")
        if self._hands is None:
            cluster = self._connect()
            slots = Slots(cluster, self._chores)
            runs = Runs(self.leadership, self._chores, cluster, slots, self._backlog, self.tally)
            self._hands = _Hands(cluster, slots, runs)
        return True

    def _tick(self) -> bool:
        """Do what there is to do; whether results are left to be stored, between which slots are filled."""
        hands = self._hands
        assert hands is not None
        self._chores.handle()
        self._leasing.fill(hands.slots, hands.runs)  # first, since devices wait for it, and for results nobody does
        hands.runs.store_results()
        began = time.monotonic()
        if began >= self._next_look:
            self._look(hands)
            ended = time.monotonic()
            self._next_look = ended + max(LOOK_SECONDS, (ended - began) / LOOK_SHARE)
        self._leasing.fill(hands.slots, hands.runs)
        hands.runs.write_progress()
        return hands.runs.unstored

    def _look(self, hands: _Hands) -> None:
        """See which workers there are, what users want, and what has ended."""
        hands.slots.refresh()
        hands.runs.give_back_lost()
        if self._in_doubt:
            hands.runs.give_back_unknown(self._store)
            self._in_doubt = False
        studies = self._readable_studies(self._settle())
        self._stop_unwanted(hands.runs)
        self._opening.open(studies)
        self._races.advance(studies)
        ready = [study for study in studies if study.desired == Desired.RUN and self._opening.path(study) is not None]
        servable = self._explain(ready, [slot.announcement for slot in hands.slots.open()])
        with self._store.read() as session:
            self._leasing.look(session, servable, hands.slots)

    def _explain(self, ready: Sequence[Study], workers: Sequence[Announcement]) -> list[Study]:
        """Tell each study that no worker can train why it waits; the others."""
        if not workers:
            return []
        wanted = [wants(study) for study in ready]
        lacks = {each: what_lacks(each, workers) for each in set(wanted)}
        for study, each in zip(ready, wanted, strict=True):
            self._say(study, lacks[each])
        return [study for study, each in zip(ready, wanted, strict=True) if lacks[each] is None]

    def _readable_studies(self, studies: Sequence[Study]) -> list[Study]:
        """The unsettled studies that this service can read; the others wait, and hold up nobody."""
        broken = {study.id: why for study in studies if (why := unreadable(study)) is not None}
        for study in studies:
            if study.id in broken:
                self._say(study, broken[study.id])
        return [study for study in studies if study.id not in broken]

    def _settle(self) -> Sequence[Study]:
        """Carry out what users asked for since the last look.

        Returns:
            The studies that the dispatcher has something to do for, the most urgent first.
        """
        with self._store.read() as session:
            studies = unsettled_studies(session)
        due = [study.id for study in studies if _is_due(study)]
        for study_id in due:
            with self.leadership.transaction("settle") as session:
                study = session.scalars(sa.select(Study).where(Study.id == study_id).with_for_update()).one()
                if study.desired == Desired.DELETE:
                    accept.delete_study(session, study_id)
                else:
                    accept.settle(session, study)
            self._backlog.forget(study_id)  # its packs may have been discarded
        if not due:
            return studies
        with self._store.read() as session:
            return unsettled_studies(session)

    def _stop_unwanted(self, runs: Runs) -> None:
        """End attempts that the store no longer knows as running: paused, cancelled, deleted."""
        active = list(runs)
        if not active:
            return
        with self._store.read() as session:
            query = sa.select(Pack.id, Pack.state, Pack.attempt)
            rows = session.execute(query.where(Pack.id.in_([run.lease.pack for run in active])))
            wanted = {(pack, attempt) for pack, state, attempt in rows if state == "running"}
        for run in active:
            if run.key not in wanted:
                runs.stop(run)

    def _say(self, study: Study, reason: str | None) -> None:
        if reason != study.reason:
            with self.leadership.transaction("explain") as session:
                accept.explain(session, study.id, reason)

    def _drop_cluster(self, why: str) -> None:
        hands = self._hands
        if hands is None:
            return
        while hands.runs.unstored:
            hands.runs.store_results()
        for run in hands.runs:
            hands.runs.give_back(run, why)
        self._hands = None
        hands.cluster.close()

    def _let_go(self) -> None:
        """Leadership is lost: what runs will be refused, so only end it."""
        self.leads.clear()
        hands, self._hands = self._hands, None
        try:
            if hands is not None:
                hands.cluster.close()
        except Exception as error:  # slow to close, or already gone; it must not keep the lock
            log.warning("cluster not closed", error=str(error)[:300])
        finally:
            self.leadership.release()

    def _wind_down(self) -> None:
        try:
            if self._hands is not None:
                self._hands.runs.store_last()
                for run in self._hands.runs:
                    self._hands.runs.stop(run)
                    with self.leadership.transaction("stop") as session:
                        accept.give_back(session, *run.key, "the service was stopped")
        except Exception as error:
            log.warning("packs will be recovered at the next start", error=str(error)[:300])
        finally:
            self._let_go()
            self.state = "stopped"


def _is_due(study: Study) -> bool:
    return study.desired == Desired.DELETE or study.status != lifecycle.settle(
        study.status, study.desired, study.done, study.total, complete_columns=1
    )
