"""Leases and results: each replicate is accepted exactly once, or not at all."""

import itertools
from dataclasses import replace

import pytest
import sqlalchemy as sa
from service_data import (
    MANY,
    NUMERIC_CLASS,
    SHA256,
    charge,
    complete,
    leader,
    lease,
    opened,
    result,
    results,
    row,
    rows,
    settle,
    size,
    submit,
    take_in,
    wish,
)

from service.dispatch import accept
from service.dispatch.leader import Leadership
from service.planner import Capacity
from service.store.engine import Store
from service.store.tables import Cell, Pack, Replicate, Study
from studies.results import Curve, Outcome


def keys(store: Store, study_id: str) -> list[tuple[int, int, int]]:
    return [(one.cell, one.fold, one.run) for one in rows(store, Replicate, study_id)]


EVERY_KEY = list(itertools.product(range(5), range(2), range(1)))


def test_open_study_stores_its_cells_once(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    with leadership.transaction() as session:
        accept.open_study(session, study_id, SHA256, images=10_000)
    cells = rows(store, Cell, study_id)
    assert [cell.cell for cell in cells] == [0, 1, 2, 3, 4]
    assert [cell.labels for cell in cells] == [["golden"], [], [], ["matlab"], ["plain"]]
    assert [cell.in_grid for cell in cells] == [True, True, True, False, False]


def test_lease_is_none_when_the_study_is_not_open(store: Store, leadership: Leadership) -> None:
    study_id = submit(store)
    with leadership.transaction() as session:
        assert accept.lease(session, study_id, MANY, "cpu-0", NUMERIC_CLASS) is None


def test_lease_starts_the_study_and_pins_its_numeric_class(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    assert row(store, study_id).status == "queued"
    found = lease(leadership, study_id, size(3))
    study = row(store, study_id)
    assert (study.status, study.numeric_class) == ("running", NUMERIC_CLASS)
    assert study.started_at is not None
    assert (found.attempt, found.dataset_sha256, found.engine, len(found.members)) == (1, SHA256, "auto", 3)
    member = found.members[1]
    cell = rows(store, Cell, study_id)[member.cell]
    assert (member.learning_rate, member.momentum, member.epochs) == (cell.learning_rate, cell.momentum, 2)


def test_lease_is_none_when_another_numeric_class_is_pinned(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    lease(leadership, study_id, size(1))
    with leadership.transaction() as session:
        assert accept.lease(session, study_id, MANY, "gpu-0", "packed-cuda/1/fp32/H200") is None
    assert len(rows(store, Pack, study_id)) == 1


def test_leases_never_share_a_member(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    leases = [lease(leadership, study_id, size(2)) for _ in range(6)]
    given = [member.key for one in leases for member in one.members]
    assert sorted(given) == EVERY_KEY
    with leadership.transaction() as session:
        assert accept.lease(session, study_id, MANY, "cpu-0", NUMERIC_CLASS) is None


def test_accept_stores_each_result_exactly_once(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    found = lease(leadership, study_id)
    assert take_in(leadership, found)
    assert not take_in(leadership, found)
    assert keys(store, study_id) == sorted(member.key for member in found.members)
    assert row(store, study_id).done == len(found.members)
    pack = rows(store, Pack, study_id)[0]
    assert (pack.state, pack.seconds, pack.attempt, pack.charged) == ("done", 3.0, 1, 0)


def test_accept_keeps_a_result_to_the_bit(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership, runs=1, folds_used=1)
    found = lease(leadership, study_id, size(1))
    curve = Curve((0.1, 1 / 3), (0.2, 0.1), (2 / 3, 1 / 7))
    given = result(*found.members[0].key, accuracy=1 / 3, brier=2 / 7, loss=0.1, train_loss=1 / 7, curve=curve)
    assert take_in(leadership, found, [given])
    kept = rows(store, Replicate, study_id)[0]
    assert (kept.accuracy, kept.brier, kept.loss, kept.train_loss) == (1 / 3, 2 / 7, 0.1, 1 / 7)
    assert (kept.curve, kept.correct) == (curve.to_json(), b"\xff\x00")
    assert (kept.pack, kept.attempt, kept.worker, kept.outcome) == (found.pack, 1, "cpu-0", "finished")


def test_accept_counts_cells_and_settles_at_the_end(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    first = lease(leadership, study_id)
    lost = first.members[2].key
    diverged = {"outcome": Outcome.DIVERGED, "accuracy": 0.1, "loss": None, "train_loss": None, "correct": None}
    assert take_in(leadership, first, [result(*m.key, **(diverged if m.key == lost else {})) for m in first.members])
    assert row(store, study_id).status == "running"
    complete(leadership, study_id)
    study = row(store, study_id)
    assert (study.status, study.done, study.total) == ("completed", 10, 10)
    assert study.finished_at is not None
    assert [(cell.n, cell.diverged, cell.failed) for cell in rows(store, Cell, study_id)] == [
        (2, int(cell == lost[0]), 0) for cell in range(5)
    ]
    assert keys(store, study_id) == EVERY_KEY


def test_late_attempt_is_refused_when_the_pack_was_given_to_another(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    late = lease(leadership, study_id)
    with leadership.transaction() as session:
        accept.give_back(session, late.pack, late.attempt, "its worker left")
    assert not take_in(leadership, late)
    again = lease(leadership, study_id)
    assert (again.pack, again.attempt, again.members) == (late.pack, 2, late.members)
    assert not take_in(leadership, late)
    assert keys(store, study_id) == []
    assert take_in(leadership, again)
    assert not take_in(leadership, late)
    assert {one.attempt for one in rows(store, Replicate, study_id)} == {2}
    pack = rows(store, Pack, study_id)[0]
    assert (pack.charged, pack.state) == (0, "done")
    assert "attempt 1: its worker left" in pack.log


def test_giving_back_does_nothing_when_it_comes_late(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    late = lease(leadership, study_id)
    with leadership.transaction() as session:
        accept.give_back(session, late.pack, 1, "its worker left")
    again = lease(leadership, study_id)
    with leadership.transaction() as session:
        accept.give_back(session, late.pack, 1, "a second time")
    assert rows(store, Pack, study_id)[0].state == "running"
    assert take_in(leadership, again)


@pytest.mark.parametrize("change", ["missing", "foreign", "doubled", "none"])
def test_check_members_refuses_results_of_others(store: Store, leadership: Leadership, change: str) -> None:
    study_id = opened(store, leadership)
    found = lease(leadership, study_id)
    given = results(found)
    wrong = {
        "missing": given[:-1],
        "foreign": [*given[:-1], result(0, 1, 0)],
        "doubled": [*given, given[0]],
        "none": given[:0],
    }[change]
    with pytest.raises(ValueError, match="has other members than its results"):
        accept.check_members(found, wrong)
    accept.check_members(found, given[::-1])


def test_accept_refuses_a_pack_that_nobody_made(store: Store, leadership: Leadership) -> None:
    with leadership.transaction() as session:
        assert accept.accept(session, [accept.Arrival("nobody", 1, [], 1.0)]) == [False]


def test_packs_accepted_together_are_stored_as_one_by_one_and_refused_one_by_one(
    store: Store, leadership: Leadership
) -> None:
    """Two of one study, one of another, one given to a second attempt, one of a study that was cancelled meanwhile."""
    first, second, third = (opened(store, leadership, seed=seed) for seed in range(3))
    leases = [lease(leadership, study_id, size(3)) for study_id in (first, first, first, second, third)]
    with leadership.transaction() as session:
        accept.give_back(session, leases[2].pack, 1, "its worker left")
    assert lease(leadership, first, size(3)).attempt == 2
    wish(store, third, "cancel")
    arrivals = [accept.Arrival(one.pack, one.attempt, results(one), 1.0 + i) for i, one in enumerate(leases)]
    with leadership.transaction() as session:
        assert accept.accept(session, arrivals) == [True, True, False, True, False]
    members = [[member.key for member in one.members] for one in leases]
    assert keys(store, first) == sorted(members[0] + members[1])
    assert keys(store, second) == sorted(members[3])
    assert keys(store, third) == []
    assert [row(store, study_id).done for study_id in (first, second, third)] == [6, 3, 0]
    counted = {cell.cell: cell.n for cell in rows(store, Cell, first)}
    assert counted == {cell: sum(key[0] == cell for key in members[0] + members[1]) for cell in range(5)}
    packs = {pack.id: pack for study_id in (first, second, third) for pack in rows(store, Pack, study_id)}
    states = [(packs[one.pack].state, packs[one.pack].seconds) for one in leases]
    assert states == [("done", 1.0), ("done", 2.0), ("running", None), ("done", 4.0), ("discarded", None)]
    with leadership.transaction() as session:
        assert accept.accept(session, arrivals) == [False] * 5


@pytest.mark.parametrize(("desired", "status"), [("cancel", "cancelled"), ("pause", "paused")])
@pytest.mark.parametrize("settled", [False, True])
def test_running_pack_is_discarded_uncharged_when_the_study_stops(
    store: Store, leadership: Leadership, desired: str, status: str, settled: bool
) -> None:
    study_id = opened(store, leadership)
    running, waiting = lease(leadership, study_id, size(2)), lease(leadership, study_id, size(2))
    with leadership.transaction() as session:
        accept.give_back(session, waiting.pack, 1, "its worker left")
    wish(store, study_id, desired)
    if settled:
        assert settle(leadership, study_id) == status
    assert not take_in(leadership, running)
    if not settled:
        assert row(store, study_id).status in ("running", status)
        settle(leadership, study_id)
    assert keys(store, study_id) == []
    assert [(pack.state, pack.charged) for pack in rows(store, Pack, study_id)] == [("discarded", 0)] * 2
    assert charge(leadership, running, "too late") is None
    with leadership.transaction() as session:
        assert accept.lease(session, study_id, MANY, "cpu-0", NUMERIC_CLASS) is None


def test_paused_study_is_whole_when_it_was_resumed(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    take_in(leadership, lease(leadership, study_id, size(3)))
    lease(leadership, study_id, size(3))
    wish(store, study_id, "pause")
    assert settle(leadership, study_id) == "paused"
    wish(store, study_id, "run")
    assert settle(leadership, study_id) == "queued"
    complete(leadership, study_id)
    assert keys(store, study_id) == EVERY_KEY
    assert row(store, study_id).status == "completed"


def test_cancelled_study_keeps_what_was_stored(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    take_in(leadership, lease(leadership, study_id, size(3)))
    wish(store, study_id, "cancel")
    assert settle(leadership, study_id) == "cancelled"
    assert len(keys(store, study_id)) == 3
    assert row(store, study_id).finished_at is not None


def test_recover_lets_running_packs_wait_again_uncharged(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    done, running = lease(leadership, study_id, size(2)), lease(leadership, study_id, size(2))
    take_in(leadership, done)
    leadership.release()
    after = leader(store)
    with after.transaction() as session:
        assert accept.recover(session) == 1
    assert [(pack.state, pack.charged) for pack in rows(store, Pack, study_id)] == [("done", 0), ("waiting", 0)]
    assert not take_in(after, running)
    complete(after, study_id)
    assert keys(store, study_id) == EVERY_KEY
    after.release()


FAST, SLOW = Capacity(8, 8, at_once=8), Capacity(8, 2, at_once=2)


def lost(store: Store, leadership: Leadership) -> tuple[str, accept.Lease]:
    """A study, and a pack of 8 of its 10 trainings that waits again."""
    study_id = opened(store, leadership)
    first = lease(leadership, study_id, FAST)
    with leadership.transaction() as session:
        accept.give_back(session, first.pack, 1, "its worker left")
    return study_id, first


def test_waiting_pack_goes_before_a_new_one(store: Store, leadership: Leadership) -> None:
    study_id, first = lost(store, leadership)
    again = lease(leadership, study_id, FAST)
    assert (again.pack, again.attempt, again.members) == (first.pack, 2, first.members)


def test_waiting_pack_gives_each_slot_what_suits_it(store: Store, leadership: Leadership) -> None:
    study_id, first = lost(store, leadership)
    slow, fast = lease(leadership, study_id, SLOW), lease(leadership, study_id, FAST)
    assert (slow.attempt, slow.members) == (1, first.members[:2])
    assert (fast.pack, fast.attempt, fast.members) == (first.pack, 2, first.members[2:])
    assert not take_in(leadership, first)
    assert take_in(leadership, slow)
    assert take_in(leadership, fast)
    complete(leadership, study_id)
    assert keys(store, study_id) == EVERY_KEY
    packs = {pack.id: pack for pack in rows(store, Pack, study_id)}
    assert [packs[one.pack].charged for one in (slow, fast)] == [0, 0]
    assert packs[slow.pack].log == f"part of pack {first.pack}\n"
    assert {tuple(key) for pack in packs.values() for key in pack.members} == set(EVERY_KEY)


def test_waiting_pack_is_left_to_faster_slots_near_the_end(store: Store, leadership: Leadership) -> None:
    study_id, _ = lost(store, leadership)
    for spared, given in ((10, False), (9, True)):
        with leadership.transaction() as session:
            found = accept.lease(session, study_id, replace(SLOW, spared=spared), "cpu-0", NUMERIC_CLASS)
        assert (found is not None) == given


def test_waiting_pack_is_shared_at_the_end(store: Store, leadership: Leadership) -> None:
    study_id, first = lost(store, leadership)
    four = Capacity(8, 8, at_once=1, share=0.25)
    leases = [lease(leadership, study_id, four) for _ in range(9)]
    assert [len(one.members) for one in leases] == [2, *[1] * 8]
    assert leases[0].members == first.members[:2]
    assert sorted(member.key for one in leases for member in one.members) == EVERY_KEY


def test_completed_study_goes_on_when_it_is_extended(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    complete(leadership, study_id)
    before = [(one.cell, one.fold, one.run, one.accuracy) for one in rows(store, Replicate, study_id)]
    with store.write() as session:
        session.execute(sa.update(Study).where(Study.id == study_id).values(runs=2, total=20))
    assert row(store, study_id).shown == "queued"
    with leadership.transaction() as session:
        assert accept.lease(session, study_id, MANY, "cpu-0", NUMERIC_CLASS) is None  # not before it is settled
    assert settle(leadership, study_id) == "queued"
    assert row(store, study_id).finished_at is None
    complete(leadership, study_id)
    study = row(store, study_id)
    assert (study.status, study.done) == ("completed", 20)
    after = [(one.cell, one.fold, one.run, one.accuracy) for one in rows(store, Replicate, study_id)]
    assert sorted(before) == [one for one in after if one[2] == 0]
    assert [one[:3] for one in after] == list(itertools.product(range(5), range(2), range(2)))


def test_fail_study_ends_its_packs(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    running = lease(leadership, study_id)
    with leadership.transaction() as session:
        accept.fail_study(session, study_id, "dataset: gone")
    study = row(store, study_id)
    assert (study.status, study.reason) == ("failed", "dataset: gone")
    assert not take_in(leadership, running)
    assert rows(store, Pack, study_id)[0].state == "discarded"


def test_revision_counts_up_with_every_change(store: Store, leadership: Leadership) -> None:
    study_id = submit(store)
    seen = [row(store, study_id).revision]

    def changed() -> bool:
        seen.append(row(store, study_id).revision)
        return seen[-1] > seen[-2]

    with leadership.transaction() as session:
        accept.open_study(session, study_id, SHA256, images=10_000)
    assert changed()
    found = lease(leadership, study_id)
    assert changed()
    take_in(leadership, found)
    assert changed()
    wish(store, study_id, "cancel")
    settle(leadership, study_id)
    assert changed()


def test_log_keeps_its_newest_lines_when_it_grows_too_long() -> None:
    pack = Pack(id="p", study_id="s", state="running", members=[], attempt=1, log="old" * accept.LOG_LIMIT)
    accept.log(pack, "the newest")
    assert len(pack.log) == accept.LOG_LIMIT
    assert pack.log.endswith("attempt 1: the newest\n")
