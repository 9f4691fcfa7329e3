"""The life of studies as a state machine: users, the dispatcher, workers and crashes in any order, held to a model.

Users ask over REST; the dispatcher's steps are its own functions; results are made up. Whatever happens, each (cell,
fold, run) is stored once or not at all, nothing that was acknowledged is lost, and what is left can be completed.
"""

import os
import sys
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from service_data import (
    NUMERIC_CLASS,
    SHA256,
    Service,
    charge,
    leader,
    results,
    rows,
    settle,
    size,
    small,
    take_in,
)

from service.dispatch import accept
from service.dispatch.leader import Leadership
from service.dispatch.quarantine import Fate
from service.errors import LeadershipLost
from service.lifecycle import TERMINAL, Desired, Status
from service.store.engine import Store
from service.store.tables import Cell, IdempotencyKey, Pack, Replicate, Study

EXAMPLES = {"sqlite": 15, "postgresql": 5}
"""The same ones each time; GOLDENBENCH_FUZZ_EXAMPLES asks for so many others."""
STEPS = 40
MOST_STUDIES = 3
ENDED = [status.value for status in TERMINAL]
REFUSED_IN = {
    "cancel": ENDED,
    "pause": ENDED,
    "resume": ENDED,
    "extend": ["cancelled", "failed"],
    "delete": ["queued", "running", "paused"],
}
"""Statuses in which a user may not ask for something."""
PICK = st.integers(0, 2**16)


@dataclass
class Expected:
    """What a study should be."""

    id: str
    stored: dict[tuple[int, int, int], tuple[str, int]] = field(default_factory=dict)
    """(pack, attempt) of each replicate that was accepted."""
    live: list[accept.Lease] = field(default_factory=list)
    dead: list[accept.Lease] = field(default_factory=list)
    """Leases that ended; a worker may still report on them."""
    revision: int = 0


class LifeCycle(RuleBasedStateMachine):
    """The machine; `service` is put in by the test."""

    service: ClassVar[Service]
    leadership: Leadership

    @initialize()
    def begin(self) -> None:
        """A dispatcher leads, and nothing is left of the example before."""
        self.studies: list[Expected] = []
        self.submitted = 0
        self.store: Store = self.service.store
        self.leadership = leader(self.store)
        with self.store.write() as session:
            for table in (Study, IdempotencyKey):
                session.execute(sa.delete(table))

    def teardown(self) -> None:
        """What goes on is completed, and then nothing is missing."""
        try:
            if sys.exception() is None:
                for expected in self.studies:
                    if self.shown(expected) not in ("paused", *ENDED):
                        self.complete(expected)
                self.everything_is_as_expected()
        finally:
            self.leadership.release()

    @precondition(lambda self: len(self.studies) < MOST_STUDIES)
    @rule(folds=st.integers(1, 2), runs=st.integers(1, 2), again=st.booleans())
    def submit(self, folds: int, runs: int, again: bool) -> None:
        """A user submits, perhaps twice since the first answer was lost."""
        self.submitted += 1
        document = small(folds_used=folds, runs=runs, name=f"study {self.submitted}")
        headers = {"Idempotency-Key": str(self.submitted)}
        answers = [self.service.client.post("/v1/studies", json=document, headers=headers) for _ in range(1 + again)]
        assert {answer.status_code for answer in answers} == {201}
        (study_id,) = {answer.json()["id"] for answer in answers}
        self.studies.append(Expected(study_id))

    @precondition(lambda self: self.studies)
    @rule(pick=PICK, action=st.sampled_from(["cancel", "pause", "resume", "extend", "delete"]))
    def ask(self, pick: int, action: str) -> None:
        """A user asks for something; it shows at once, or is refused for what the study is."""
        expected = self.studies[pick % len(self.studies)]
        before = self.shown(expected)
        path = f"/v1/studies/{expected.id}"
        if action == "delete":
            answer = self.service.client.delete(path)
        else:
            answer = self.service.client.post(f"{path}/{action}", json={"runs": 1} if action == "extend" else None)
        if before in REFUSED_IN[action]:
            assert answer.status_code == 409
            return
        assert answer.status_code == (204 if action == "delete" else 200)
        after = {"cancel": "cancelled", "pause": "paused"}.get(action)
        if action == "delete":
            assert self.service.client.get(path).status_code == 404
            self.purge(expected)
        elif after is not None:
            assert self.shown(expected) == after
        elif action == "extend":
            assert self.shown(expected) in ("queued", "running", "paused")

    @precondition(lambda self: self.studies)
    @rule(pick=PICK)
    def open(self, pick: int) -> None:
        """The dispatcher has prepared the data."""
        expected = self.studies[pick % len(self.studies)]
        with self.leadership.transaction() as session:
            accept.open_study(session, expected.id, SHA256, images=10_000)

    @precondition(lambda self: self.studies)
    @rule(pick=PICK, networks=st.integers(1, 4))
    def lease(self, pick: int, networks: int) -> None:
        """A slot is free."""
        expected = self.studies[pick % len(self.studies)]
        with self.leadership.transaction() as session:
            found = accept.lease(session, expected.id, size(networks), "cpu-0", NUMERIC_CLASS)
        if found is not None:
            keys = {member.key for member in found.members}
            assert not keys & set(expected.stored)
            assert not any(keys & {member.key for member in other.members} for other in expected.live)
            expected.live.append(found)

    @precondition(lambda self: any(expected.live for expected in self.studies))
    @rule(pick=PICK)
    def finish(self, pick: int) -> None:
        """A worker sends results of a pack that runs; they count unless the user has changed their mind."""
        expected, lease = self.running(pick)
        wanted = self.row(expected).desired == Desired.RUN
        assert take_in(self.leadership, lease) == wanted
        if wanted:
            expected.stored |= {member.key: (lease.pack, lease.attempt) for member in lease.members}
            self.end(expected, lease)
        else:
            self.end_all(expected)

    @precondition(lambda self: any(expected.dead for expected in self.studies))
    @rule(pick=PICK)
    def finish_late(self, pick: int) -> None:
        """A frozen worker wakes up and sends results of a pack that it no longer has, or sends them twice."""
        late = [lease for expected in self.studies for lease in expected.dead]
        assert not take_in(self.leadership, late[pick % len(late)])
        for expected in self.studies:
            if self.row(expected).desired != Desired.RUN:
                self.settle(expected)

    @precondition(lambda self: any(expected.live for expected in self.studies))
    @rule(pick=PICK, fits=st.booleans())
    def die(self, pick: int, fits: bool) -> None:
        """A worker dies, or its memory is too small."""
        expected, lease = self.running(pick)
        fate = charge(self.leadership, lease, "made up", fits)
        assert fate is not None
        if fate is Fate.QUARANTINE:
            expected.stored[lease.members[0].key] = (lease.pack, lease.attempt)
        self.end(expected, lease)

    @precondition(lambda self: any(expected.live for expected in self.studies))
    @rule(pick=PICK)
    def give_back(self, pick: int) -> None:
        """A worker leaves."""
        expected, lease = self.running(pick)
        with self.leadership.transaction() as session:
            accept.give_back(session, lease.pack, lease.attempt, "made up")
        self.end(expected, lease)

    @rule()
    def crash(self) -> None:
        """The service dies; the next one leads, and the old one cannot write any more."""
        old = self.leadership
        old.release()
        self.leadership = leader(self.store)
        with pytest.raises(LeadershipLost), old.transaction():
            pass
        with self.leadership.transaction() as session:
            assert accept.recover(session) == sum(len(expected.live) for expected in self.studies)
        for expected in self.studies:
            expected.dead += expected.live
            expected.live = []

    @precondition(lambda self: self.studies)
    @rule(pick=PICK)
    def settle_one(self, pick: int) -> None:
        """The dispatcher carries out what users want."""
        self.settle(self.studies[pick % len(self.studies)])

    @invariant()
    def everything_is_as_expected(self) -> None:
        """The store equals the model, and is consistent in itself."""
        for expected in getattr(self, "studies", []):
            study = self.row(expected)
            replicates = rows(self.store, Replicate, expected.id)
            assert {(r.cell, r.fold, r.run): (r.pack, r.attempt) for r in replicates} == expected.stored
            assert study.done == len(replicates) <= study.total
            self.check_cells(expected, replicates)
            self.check_packs(expected, study)
            assert study.revision >= expected.revision
            expected.revision = study.revision
            if study.status == Status.COMPLETED and study.desired == Desired.RUN:
                assert study.shown in (Status.COMPLETED, Status.QUEUED)
                assert (study.shown is Status.COMPLETED) == (study.done == study.total)

    def check_cells(self, expected: Expected, replicates: list[Replicate]) -> None:
        """The cells' counts are those of the replicates."""
        for cell in rows(self.store, Cell, expected.id):
            outcomes = [replicate.outcome for replicate in replicates if replicate.cell == cell.cell]
            assert (cell.n, cell.failed) == (len(outcomes) - outcomes.count("failed"), outcomes.count("failed"))

    def check_packs(self, expected: Expected, study: Study) -> None:
        """Packs that live share no member with each other or with what is stored."""
        packs = rows(self.store, Pack, expected.id)
        live = [tuple(member) for pack in packs if pack.state in ("waiting", "running") for member in pack.members]
        assert len(set(live)) == len(live)
        assert not set(live) & set(expected.stored)
        running = {(pack.id, pack.attempt) for pack in packs if pack.state == "running"}
        assert running == {(lease.pack, lease.attempt) for lease in expected.live}
        if study.status in (Status.PAUSED, *TERMINAL):
            assert not live
        held = {tuple(member) for pack in packs if pack.state in ("done", "quarantined") for member in pack.members}
        assert held == set(expected.stored)

    def running(self, pick: int) -> tuple[Expected, accept.Lease]:
        """One of the packs that run."""
        found = [(expected, lease) for expected in self.studies for lease in expected.live]
        return found[pick % len(found)]

    def end(self, expected: Expected, lease: accept.Lease) -> None:
        """A lease is over."""
        expected.live.remove(lease)
        expected.dead.append(lease)
        if self.row(expected).status in (Status.PAUSED, *TERMINAL):
            self.end_all(expected)

    def end_all(self, expected: Expected) -> None:
        """The study's packs are discarded."""
        expected.dead += expected.live
        expected.live = []

    def settle(self, expected: Expected) -> None:
        """Have a wish carried out."""
        settle(self.leadership, expected.id)
        if self.row(expected).status in (Status.PAUSED, *TERMINAL):
            self.end_all(expected)

    def purge(self, expected: Expected) -> None:
        """The dispatcher removes a deleted study, and nothing is left of it."""
        with self.leadership.transaction() as session:
            accept.delete_study(session, expected.id)
        self.studies.remove(expected)
        assert [rows(self.store, table, expected.id) for table in (Cell, Pack, Replicate)] == [[], [], []]
        for lease in (*expected.live, *expected.dead):
            assert not take_in(self.leadership, lease)

    def complete(self, expected: Expected) -> None:
        """Open, lease and accept until nothing is pending; every replicate is there then."""
        with self.leadership.transaction() as session:
            accept.open_study(session, expected.id, SHA256, images=10_000)
        self.settle(expected)
        for lease in list(expected.live):
            assert take_in(self.leadership, lease)
            expected.stored |= {member.key: (lease.pack, lease.attempt) for member in lease.members}
        expected.live = []
        while True:
            with self.leadership.transaction() as session:
                found = accept.lease(session, expected.id, size(4), "cpu-0", NUMERIC_CLASS)
            if found is None:
                break
            assert take_in(self.leadership, found, results(found))
            expected.stored |= {member.key: (found.pack, found.attempt) for member in found.members}
        study = self.row(expected)
        assert study.done == study.total == len(expected.stored)
        failed = any(replicate.outcome == "failed" for replicate in rows(self.store, Replicate, expected.id))
        assert study.shown is Status.COMPLETED or (failed and study.shown is Status.FAILED)

    def shown(self, expected: Expected) -> str:
        """The status that a user sees."""
        return str(self.service.client.get(f"/v1/studies/{expected.id}").json()["status"])

    def row(self, expected: Expected) -> Study:
        """The study's row."""
        with self.store.read() as session:
            return session.scalars(sa.select(Study).where(Study.id == expected.id)).one()


@pytest.mark.parametrize("kind", EXAMPLES)
def test_studies_live_as_the_model_says(request: pytest.FixtureRequest, kind: str) -> None:
    service = request.getfixturevalue("serve")(request.getfixturevalue(f"{kind}_store"))

    class OnThisStore(LifeCycle):
        """The machine on one store."""

    OnThisStore.service = service
    more = os.environ.get("GOLDENBENCH_FUZZ_EXAMPLES")
    chosen = settings(
        max_examples=int(more or EXAMPLES[kind]),
        derandomize=more is None,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
    )
    run_state_machine_as_test(OnThisStore, settings=chosen)  # type: ignore[no-untyped-call]
