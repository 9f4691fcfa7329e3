"""Packs that run: their submission, their progress, and what comes of them."""

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import sqlalchemy as sa
import structlog
from distributed import Future, KilledWorker
from distributed.client import FutureCancelledError

from service.dispatch import accept, quarantine
from service.dispatch.backlog import Backlog
from service.dispatch.chores import Chores, passes
from service.dispatch.cluster import Cluster, Slot
from service.dispatch.leader import Leadership
from service.dispatch.slots import Slots
from service.dispatch.tally import End, Tally
from service.store.engine import Store
from service.store.tables import Pack
from studies.results import TrainingResult
from workers.engine import Cancelled, DoesNotFit
from workers.tasks import DatasetMissing

PROGRESS_SECONDS = 1.0
"""How often progress within packs is written."""
FETCH_SECONDS = 30
"""How long a result of a worker that is still there may take to arrive."""
MOST_TOGETHER = 16
"""Packs in one transaction."""
MOST_TRAININGS_TOGETHER = 4_096
"""Trainings that are stored in one transaction, unless a single pack has more; they take 0.2 ms each."""
LAST_SECONDS = 3.0
"""How long a dispatcher that ends may fetch results, and how long store them; it has to give back the rest in time."""
GONE_SECONDS = 5.0
"""How long a pack's worker may be missing before the pack is given back."""

log = structlog.get_logger("goldenbench.packs")


@dataclass(frozen=True)
class Result:
    """What a run gave."""

    run: "Run"
    trainings: list[TrainingResult]
    seconds: float

    @property
    def arrival(self) -> accept.Arrival:
        """What of it is stored."""
        return accept.Arrival(*self.run.key, self.trainings, self.seconds)


@dataclass
class Run:
    """One attempt of a pack on a slot."""

    lease: accept.Lease
    slot: Slot
    future: "Future[Any]"
    took: Callable[[float], None]
    epochs: int = 0
    """Network-epochs done, as the worker tells."""
    missing_since: float | None = None
    returned: bool = False
    """Whether its result is here, and its slot free; it runs on in the store until the result is stored."""

    @property
    def key(self) -> tuple[str, int]:
        """(pack, attempt)"""
        return self.lease.pack, self.lease.attempt

    @property
    def named(self) -> dict[str, str | int]:
        """What every line of the log about it carries."""
        return {"study": self.lease.study_id, "pack": self.lease.pack, "attempt": self.lease.attempt}


class Runs:
    """The running attempts of this dispatcher."""

    def __init__(
        self,
        leadership: Leadership,
        chores: Chores,
        cluster: Cluster,
        slots: Slots,
        backlog: Backlog,
        tally: Tally,
    ) -> None:
        self._leadership = leadership
        self._chores = chores
        self._cluster = cluster
        self._slots = slots
        self._backlog = backlog
        self._tally = tally
        self._runs: dict[tuple[str, int], Run] = {}
        self._results: list[Result] = []
        """That have arrived and are not stored."""
        self._written = 0.0
        self._told: dict[tuple[str, int], int] = {}
        cluster.on_progress(lambda event: chores.enqueue(lambda: self._progress(event)))

    def __iter__(self) -> Iterator[Run]:
        return iter(list(self._runs.values()))

    def busy(self) -> set[str]:
        """Addresses of the slots on which packs run."""
        return {run.slot.address for run in self._runs.values() if not run.returned}

    def per_study(self) -> Counter[str]:
        """How many packs of each study run."""
        return Counter(run.lease.study_id for run in self._runs.values() if not run.returned)

    def start(self, lease: accept.Lease, slot: Slot, took: Callable[[float], None]) -> None:
        """Submit a leased pack to its slot; `took` is told the seconds of its result."""
        run = Run(lease, slot, self._cluster.submit(lease, slot), took)
        self._runs[run.key] = run
        run.future.add_done_callback(lambda _future: self._chores.enqueue(lambda: self._ended(run)))

    def stop(self, run: Run) -> None:
        """Make a pack that is no longer wanted end; its result will be refused."""
        self._runs.pop(run.key, None)
        self._tally.ended(End.STOPPED)
        address, (pack, attempt) = run.slot.address, run.key
        run.future.cancel()  # does not stop what already runs
        self._chores.start(
            lambda: self._cluster.stop(address, pack, attempt),
            lambda _nothing: None,
            lambda error: log.info("pack not stopped", **run.named, error=str(error)[:200]),
        )

    def give_back(self, run: Run, why: str) -> None:
        """Let a pack wait again, uncharged."""
        with self._leadership.transaction("give-back") as session:
            accept.give_back(session, *run.key, why)
        self._runs.pop(run.key, None)
        self._tally.ended(End.GIVEN_BACK)
        log.info("pack given back", **run.named, why=why)

    def give_back_lost(self) -> None:
        """A pack whose worker left without an error would wait for it for ever."""
        for run in self:
            if run.slot.address in self._slots or run.future.done():
                run.missing_since = None
                continue
            run.missing_since = run.missing_since or time.monotonic()
            if time.monotonic() - run.missing_since > GONE_SECONDS:
                run.future.cancel()
                self.give_back(run, "its worker left")

    def give_back_unknown(self, store: Store) -> None:
        """A lease whose commit went through, although the connection broke before it was confirmed, runs nowhere."""
        with store.read() as session:
            query = sa.select(Pack.id, Pack.attempt, Pack.study_id).where(Pack.state == "running")
            unknown = [row for row in session.execute(query) if row[:2] not in self._runs]
        for pack, attempt, study_id in unknown:
            with self._leadership.transaction("give-back") as session:
                accept.give_back(session, pack, attempt, "it was leased while the database went away")
            log.info("lease without a run given back", study=study_id, pack=pack, attempt=attempt)

    def write_progress(self) -> None:
        """Store how far the running packs are, now and then."""
        if time.monotonic() - self._written < PROGRESS_SECONDS:
            return
        self._written = time.monotonic()
        changed = {run.key: run.epochs for run in self if run.epochs != self._told.get(run.key, 0)}
        if not changed:
            return
        told = [{"key": pack, "tried": attempt, "epochs": epochs} for (pack, attempt), epochs in changed.items()]
        still = sa.and_(Pack.id == sa.bindparam("key"), Pack.attempt == sa.bindparam("tried"), Pack.state == "running")
        with self._leadership.transaction("progress") as session:
            session.connection().execute(sa.update(Pack).where(still).values(epochs_done=sa.bindparam("epochs")), told)
            for study_id in {self._runs[key].lease.study_id for key in changed}:
                accept.touch(session, study_id)
        self._told = {key: epochs for key, epochs in (self._told | changed).items() if key in self._runs}

    def _progress(self, event: dict[str, Any]) -> None:
        run = self._runs.get((event["pack"], event["attempt"]))
        if run is not None:
            run.epochs = max(run.epochs, event["epochs"])

    def _ended(self, run: Run) -> None:
        """Fetch what became of a run, in another thread: a worker that dies with its result leaves us waiting."""
        if run.key in self._runs:
            self._chores.start(
                lambda: run.future.result(timeout=FETCH_SECONDS),
                lambda answer: self._take(run, answer),
                lambda error: self._failed(run, error),
            )

    def _take(self, run: Run, answer: dict[str, Any]) -> None:
        """Keep a result until it is stored; what was stopped or given back before is not ours any more."""
        if run.key not in self._runs:
            return
        try:
            trainings = [TrainingResult.from_json(document) for document in answer["results"]]
            accept.check_members(run.lease, trainings)
            self._results.append(Result(run, trainings, float(answer["seconds"])))
            run.returned = True
            run.took(self._results[-1].seconds)
        except Exception as error:
            self._charge(run, _told(error))

    @property
    def unstored(self) -> bool:
        """Whether results have arrived that are not stored."""
        return bool(self._results)

    def store_results(self) -> None:
        """Store what has arrived, several in one transaction, since each waits for the disk; some may be left."""
        trainings = accumulate(len(result.trainings) for result in self._results[:MOST_TOGETHER])
        few = sum(1 for count in trainings if count <= MOST_TRAININGS_TOGETHER)
        together = self._results[: max(1, few)]
        if together:
            self._accept(together)
            del self._results[: len(together)]

    def store_last(self) -> None:
        """Store what has arrived by now, as far as there is time: what is given back has to be trained again.

        Other messages are left alone. Where the whole machine is told to stop, workers die too, through no fault of
        their packs.
        """
        self._fetch_last(time.monotonic() + LAST_SECONDS)
        deadline = time.monotonic() + LAST_SECONDS  # its own: a result that does not come takes no time from the others
        while self.unstored and time.monotonic() < deadline:
            self.store_results()

    def _fetch_last(self, deadline: float) -> None:
        for run in self:
            if run.future.done() and not run.returned:
                try:
                    answer = run.future.result(timeout=max(0.0, deadline - time.monotonic()))
                except Exception as error:  # its worker died, or it takes too long: it is given back
                    log.info("last result not fetched", **run.named, error=f"{type(error).__name__}: {error}"[:200])
                else:
                    self._take(run, answer)

    def _accept(self, together: list[Result]) -> None:
        """Store results; one that can never be stored is charged to its pack, and holds up no other."""
        try:
            with self._leadership.transaction("accept") as session:
                stored = accept.accept(session, [one.arrival for one in together])
        except Exception as error:
            if passes(error):
                raise
            if len(together) > 1:
                for one in together:
                    self._accept([one])
            elif together[0].run.key in self._runs:
                self._backlog.forget(together[0].run.lease.study_id)
                self._charge(together[0].run, _told(error))
            return
        for one, kept in zip(together, stored, strict=True):
            self._accepted(one, kept)

    def _accepted(self, result: Result, stored: bool) -> None:
        run = result.run
        self._runs.pop(run.key, None)
        if not stored:
            self._backlog.forget(run.lease.study_id)  # its packs may have been discarded
        if stored:
            device = run.slot.announcement.device_name
            self._tally.accepted(run.slot.name, device, result.trainings, result.seconds)
        else:
            self._tally.ended(End.REFUSED)
        log.info(
            "pack accepted" if stored else "late result refused",
            **run.named,
            trainings=len(result.trainings),
            seconds=round(result.seconds, 2),
        )

    def _failed(self, run: Run, error: Exception) -> None:
        """Charge a failed run to its pack, or give it back where the pack is not to blame."""
        if run.key not in self._runs:
            return
        if isinstance(error, DatasetMissing):
            self._slots.forget(run.slot, run.lease.dataset_sha256)
            self.give_back(run, "its worker had lost the data set")
        elif isinstance(error, FutureCancelledError | Cancelled):
            self.give_back(run, f"{type(error).__name__}: {error}")
        elif isinstance(error, DoesNotFit):
            self._charge(run, f"does not fit {run.slot.name}: {error}", fits=False)
        elif self._slots.leaves(run.slot):
            self.give_back(run, f"its worker {run.slot.name} was told to stop")
        elif isinstance(error, KilledWorker):
            self._slots.lose(run.slot)
            self._charge(run, f"worker {run.slot.name} ({run.slot.address}) died while it trained this pack")
        elif isinstance(error, TimeoutError) and run.future.status != "error":
            run.future.cancel()
            self.give_back(run, "its result could not be fetched in time")
        else:
            self._charge(run, _told(error))

    def _charge(self, run: Run, evidence: str, fits: bool = True) -> None:
        with self._leadership.transaction("charge") as session:
            fate = quarantine.charge(session, *run.key, evidence, fits)
        self._runs.pop(run.key, None)
        self._tally.ended(End.CHARGED, quarantined=fate is quarantine.Fate.QUARANTINE)
        log.warning("pack failed", **run.named, fate=fate, evidence=evidence[:500])


def _told(error: Exception) -> str:
    return "".join(traceback.format_exception_only(error)).strip()
