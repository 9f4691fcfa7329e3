"""The dispatcher's transactions: opening a study, leasing a pack, accepting its result, giving it back."""

import json
import secrets
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service import lifecycle
from service.dispatch.backlog import Backlog
from service.lifecycle import Desired, Status
from service.planner import Capacity, Pending, pack_size
from service.store.queries import failed_columns, open_runs, study_packs, waiting_pack, waiting_trainings
from service.store.tables import Cell, Pack, Replicate, Study, now
from studies.grid import Cell as GridCell
from studies.grid import cells
from studies.racing import rounds
from studies.results import Outcome, TrainingResult
from studies.spec import StudySpec
from studies.training import TrainingConfig, training_config

LOG_LIMIT = 20_000
"""Characters of a pack's log that are kept, the newest."""
AS_THEY_ARE = (
    *("cell", "fold", "run", "accuracy", "brier", "loss", "train_loss", "correct"),
    *("seconds", "engine", "precision", "device", "numeric_class", "reason"),
)
"""Fields of a result that are stored under their own names."""


@dataclass(frozen=True)
class Lease:
    """A pack handed to a slot."""

    pack: str
    attempt: int
    study_id: str
    dataset_sha256: str
    engine: str
    members: tuple[TrainingConfig, ...]


@dataclass(frozen=True)
class Arrival:
    """What a worker reports of a pack."""

    pack: str
    attempt: int
    results: Sequence[TrainingResult]
    """One per member, as `check_members` has seen."""
    seconds: float
    """Wall time of the pack."""


@lru_cache(maxsize=1024)  # more than studies share the slots at a time
def plan(spec: str) -> tuple[StudySpec, tuple[GridCell, ...]]:
    """A stored specification and its cells; parsed once, since every lease needs them."""
    parsed = StudySpec.from_json_text(spec)
    return parsed, cells(parsed)


def open_study(session: Session, study_id: str, dataset_sha256: str, images: int) -> None:
    """Give a queued study its data set, of so many images, and its cells, once."""
    study = _study(session, study_id)
    if study.dataset_sha256 is None:
        study.dataset_sha256, study.images = dataset_sha256, images
        spec, grid = plan(study.spec)
        study.race_runs = rounds(spec.folds_used, spec.runs)[0] if spec.racing else None
        session.add_all(
            Cell(
                study_id=study.id,
                cell=cell.index,
                learning_rate=cell.learning_rate,
                momentum=cell.momentum,
                labels=list(cell.labels),
                in_grid=cell.in_grid,
            )
            for cell in grid
        )
        study.revision += 1


def fail_study(session: Session, study_id: str, reason: str) -> None:
    """End a study that cannot be opened."""
    study = _study(session, study_id)
    if Status(study.status) not in lifecycle.TERMINAL:
        _enter(study, Status.FAILED)
        study.reason = storable(reason)
        _discard_live_packs(session, study)


def settle(session: Session, study: Study) -> Status:
    """Move a study to its next status; leaving `running` discards its live packs.

    Returns:
        The status it has now.
    """
    # Not by `plan`: a study whose model is no longer installed can still be cancelled.
    columns = json.loads(study.spec)["folds_used"] * (study.race_runs or study.runs)
    complete = columns - failed_columns(session, study.id) if study.done >= study.total else 0
    status = lifecycle.settle(study.status, study.desired, study.done, study.total, complete)
    if status != study.status:
        _enter(study, status)
        if status is Status.FAILED:
            study.reason = "every column of replicates has a failed one"
        if status in (Status.CANCELLED, Status.PAUSED):
            _discard_live_packs(session, study)
    return status


def explain(session: Session, study_id: str, reason: str | None) -> None:
    """Say why a study does not go on, or no more."""
    study = _study(session, study_id)
    study.reason = reason
    study.revision += 1


def delete_study(session: Session, study_id: str) -> None:
    """Remove a study with everything that hangs on it."""
    session.execute(sa.delete(Study).where(Study.id == study_id))


def lease(
    session: Session,
    study_id: str,
    capacity: Capacity,
    worker: str,
    numeric_class: str,
    backlog: Backlog | None = None,
    waiting: int | None = None,
) -> Lease | None:
    """Form the next pack of a study, or take of one that waits what suits the slot.

    Args:
        session: the transaction.
        study_id: an opened study.
        capacity: of the slot.
        worker: the slot's worker.
        numeric_class: what its trainings would be; the first lease pins the study to it.
        backlog: what is known to be pending; without, it is read from the store.
        waiting: about how many trainings are in packs that wait to be tried again; without, it is read from the store.

    Returns:
        None if nothing is pending, or too little for this slot, or the study does not go on or wants another numeric
        class.
    """
    study = _study(session, study_id)
    going_on = study.status in (Status.QUEUED, Status.RUNNING) and study.desired == Desired.RUN
    if not going_on or study.dataset_sha256 is None:
        return None
    if study.numeric_class not in (None, numeric_class):
        return None
    spec, grid = plan(study.spec)
    if waiting is None:
        waiting = waiting_trainings(session, [study_id]).get(study_id, 0)
    pending = (backlog or Backlog()).of(session, study, spec.folds_used)
    pack = _next_pack(session, study_id, pending, waiting, capacity)
    if pack is None:
        return None
    pack.state, pack.worker, pack.started_at, pack.epochs_done = "running", worker, now(), 0
    pack.attempt += 1
    study.numeric_class = numeric_class
    if study.status == Status.QUEUED:
        _enter(study, Status.RUNNING)
    configs = tuple(training_config(spec, grid[cell], fold, run) for cell, fold, run in pack.members)
    return Lease(pack.id, pack.attempt, study_id, study.dataset_sha256, spec.engine, configs)


def _next_pack(session: Session, study_id: str, pending: Pending, waiting: int, capacity: Capacity) -> Pack | None:
    """What a slot gets: of the oldest pack that waits, or else of what is pending, as much as suits it.

    What waits counts as pending, so that it is left to faster slots, and shrinks near the end, as that does.
    """
    again = waiting_pack(session, study_id) if waiting else None
    if again is not None:
        size = pack_size(len(pending) + max(waiting, len(again.members)), capacity)
        return _part(session, again, size) if size else None
    members = [list(key) for key in pending.next_pack(capacity)]
    return new_pack(session, study_id, members) if members else None


def _part(session: Session, pack: Pack, most: int) -> Pack:
    """A waiting pack, or a new one of its first members if it has more than a slot should get; the others wait on.

    Of a pack that was charged it is half at most. So two deaths halve the pack that a culprit is in, wherever they
    happen and however little each slot takes: one before it is divided, and one more in the rest that stays charged.
    A pair stays together then: a lone training is quarantined for deaths of its own.
    """
    if len(pack.members) <= (max(most, 2) if pack.charged else most):
        return pack
    size = min(most, len(pack.members) // 2) if pack.charged else most
    part = new_pack(session, pack.study_id, pack.members[:size], f"part of pack {pack.id}\n")
    pack.members = pack.members[size:]
    return part


def new_pack(session: Session, study_id: str, members: list[Any], log: str = "") -> Pack:
    """A pack that waits for its first attempt."""
    pack = Pack(id=secrets.token_hex(6), study_id=study_id, members=members, state="waiting", log=log)
    pack.attempt, pack.charged = 0, 0
    session.add(pack)
    return pack


def accept(session: Session, arrivals: Sequence[Arrival]) -> list[bool]:
    """Store the results of packs that are still running in these attempts.

    Many at once cost little more than one: each study and its packs are asked for and written once.

    Args:
        session: the transaction that moves the packs from running(attempt) to done.
        arrivals: of different packs.

    Returns:
        For each, False if the pack has been given to another attempt, discarded or deleted: then nothing of it is
        stored.
    """
    packs = _running_packs(session, [arrival.pack for arrival in arrivals])
    for study_id in sorted({pack.study_id for pack in packs.values()}):
        settle(session, _study(session, study_id))  # a wish that came before the results discards the packs
    taken: dict[str, list[tuple[Pack, Arrival]]] = defaultdict(list)
    for arrival in arrivals:
        pack = packs.get(arrival.pack)
        if pack is not None and (pack.state, pack.attempt) == ("running", arrival.attempt):
            taken[pack.study_id].append((pack, arrival))
    for study_id, reports in taken.items():
        store_results(session, _study(session, study_id), [(pack, arrival.results) for pack, arrival in reports])
        for pack, arrival in reports:
            pack.seconds = arrival.seconds
            _end_pack(pack, "done", "")
    stored = {(arrival.pack, arrival.attempt) for reports in taken.values() for _, arrival in reports}
    return [(arrival.pack, arrival.attempt) in stored for arrival in arrivals]


def check_members(lease: Lease, results: Sequence[TrainingResult]) -> None:
    """Refuse results that are not those of a lease's members.

    Raises:
        ValueError: they are not.
    """
    if sorted(result.key for result in results) != sorted(member.key for member in lease.members):
        raise ValueError(f"pack {lease.pack} has other members than its results")


def store_results(session: Session, study: Study, reports: Sequence[tuple[Pack, Sequence[TrainingResult]]]) -> None:
    """Insert the replicates of some packs, count them in their cells and their study, and settle the study."""
    session.execute(sa.insert(Replicate), [_replicate(pack, result) for pack, results in reports for result in results])
    outcomes: dict[int, Counter[Outcome]] = defaultdict(Counter)
    for result in (result for _, results in reports for result in results):
        outcomes[result.cell][result.outcome] += 1
    more = {"n": Cell.n + sa.bindparam("scored"), "diverged": Cell.diverged + sa.bindparam("d")}
    counting = sa.update(Cell).where(Cell.study_id == study.id, Cell.cell == sa.bindparam("at"))
    counting = counting.values(**more, failed=Cell.failed + sa.bindparam("f"))
    counts = [
        {
            "at": cell,
            "scored": seen.total() - seen[Outcome.FAILED],
            "d": seen[Outcome.DIVERGED],
            "f": seen[Outcome.FAILED],
        }
        for cell, seen in sorted(outcomes.items())
    ]
    session.connection().execute(counting, counts)
    study.done += sum(len(results) for _, results in reports)
    study.revision += 1
    settle(session, study)


def give_back(session: Session, pack_id: str, attempt: int, why: str) -> None:
    """Let a pack's members be pending again, charging nobody (drain, outage, a worker that left)."""
    pack = running_pack(session, pack_id, attempt)
    if pack is not None:
        log(pack, why)
        pack.state, pack.worker = "waiting", None


def recover(session: Session) -> int:
    """At the start of a dispatcher: packs that ran under an earlier one wait again.

    Returns:
        How many there were.
    """
    packs = session.scalars(sa.select(Pack).where(Pack.state == "running")).all()
    for pack in packs:
        log(pack, "the service was restarted")
        pack.state, pack.worker = "waiting", None
    return len(packs)


def touch(session: Session, study_id: str) -> None:
    """Tell watchers that something about a study has changed."""
    session.execute(sa.update(Study).where(Study.id == study_id).values(revision=Study.revision + 1))


def running_pack(session: Session, pack_id: str, attempt: int) -> Pack | None:
    """The pack, if it runs in just this attempt; locked until the transaction ends."""
    query = sa.select(Pack).where(Pack.id == pack_id, Pack.state == "running", Pack.attempt == attempt)
    return session.scalar(query.with_for_update())


def log(pack: Pack, line: str) -> None:
    """Add a line to a pack's log."""
    stamp = now().isoformat(timespec="seconds")
    pack.log = f"{pack.log}{stamp} attempt {pack.attempt}: {storable(line)}\n"[-LOG_LIMIT:]


def storable(text: str) -> str:
    """Text from elsewhere without what a database refuses: NUL, and surrogates of undecodable file names."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _end_pack(pack: Pack, state: str, why: str) -> None:
    if why:
        log(pack, why)
    pack.state, pack.finished_at = state, now()


def _discard_live_packs(session: Session, study: Study) -> None:
    for pack in study_packs(session, study.id, ("waiting", "running")):
        _end_pack(pack, "discarded", f"the study is {study.status}")


def _enter(study: Study, status: Status) -> None:
    study.status = status
    study.revision += 1
    if status is Status.RUNNING and study.started_at is None:
        study.started_at = now()
    study.finished_at = now() if status in lifecycle.TERMINAL else None


def open_replicates(session: Session, study: Study) -> int:
    """How many replicates may be stored by now: all of them, or those of a race's rounds up to the present one."""
    if study.race_runs is None:
        return study.total
    return plan(study.spec)[0].folds_used * sum(open_runs(session, study))


def _study(session: Session, study_id: str) -> Study:
    """The study, locked until the transaction ends, which a session of ours lives for; asked for once."""
    held: dict[str, Study] = session.info.setdefault("studies held", {})
    if study_id not in held:
        held[study_id] = session.scalars(sa.select(Study).where(Study.id == study_id).with_for_update()).one()
    return held[study_id]


def _running_packs(session: Session, pack_ids: Sequence[str]) -> dict[str, Pack]:
    """Those of the packs that run, by their ids; locked until the transaction ends."""
    query = sa.select(Pack).where(Pack.id.in_(pack_ids), Pack.state == "running").order_by(Pack.id)
    return {pack.id: pack for pack in session.scalars(query.with_for_update())}


def _replicate(pack: Pack, result: TrainingResult) -> dict[str, Any]:
    """The row of a result."""
    return {name: getattr(result, name) for name in AS_THEY_ARE} | {
        "study_id": pack.study_id,
        "outcome": result.outcome.value,
        "curve": result.curve.to_json(),
        "pack": pack.id,
        "attempt": pack.attempt,
        "worker": pack.worker,
    }
