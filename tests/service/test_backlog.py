"""What the dispatcher remembers of pending replicates is what the store implies, whatever happens between leases."""

import sqlalchemy as sa
from service_data import MANY, NUMERIC_CLASS, charge, complete, opened, row, settle, take_in, wish

from service.dispatch import accept
from service.dispatch.backlog import Backlog
from service.dispatch.leader import Leadership
from service.store.engine import Store
from service.store.tables import Study


def taken(leadership: Leadership, study_id: str, backlog: Backlog) -> accept.Lease | None:
    with leadership.transaction() as session:
        return accept.lease(session, study_id, MANY, "cpu-0", NUMERIC_CLASS, backlog)


def drained(leadership: Leadership, study_id: str, backlog: Backlog) -> list[accept.Lease]:
    """Every pack until nothing is pending."""
    leases = []
    while (found := taken(leadership, study_id, backlog)) is not None:
        leases.append(found)
    return leases


def members(leases: list[accept.Lease]) -> list[tuple[tuple[int, int, int], ...]]:
    return [tuple(member.key for member in found.members) for found in leases]


def test_leases_from_memory_are_those_from_the_store(store: Store, leadership: Leadership) -> None:
    remembered, read = opened(store, leadership), opened(store, leadership)
    backlog = Backlog()
    found = drained(leadership, remembered, backlog)
    assert len(found) > 2
    assert backlog.left(row(store, remembered)) == 0
    fresh = []
    while (another := taken(leadership, read, Backlog())) is not None:
        fresh.append(another)
    assert members(found) == members(fresh)


def test_a_failed_pack_comes_back_although_nothing_is_pending(store: Store, leadership: Leadership) -> None:
    study_id, backlog = opened(store, leadership), Backlog()
    first = drained(leadership, study_id, backlog)[0]
    charge(leadership, first, "died")
    again = taken(leadership, study_id, backlog)
    assert again is not None
    assert again.members == first.members[:2]


def test_an_extension_is_noticed(store: Store, leadership: Leadership) -> None:
    study_id, backlog = opened(store, leadership), Backlog()
    for first in drained(leadership, study_id, backlog):
        take_in(leadership, first)
    with store.write() as session:
        session.execute(sa.update(Study).where(Study.id == study_id).values(runs=2, total=20))
    assert backlog.left(row(store, study_id)) != 0, "or nobody would ask for a pack"
    settle(leadership, study_id)
    more = drained(leadership, study_id, backlog)
    assert sorted(key for pack in members(more) for key in pack) == [(c, f, 1) for c in range(5) for f in range(2)]


def test_what_was_discarded_is_pending_again_once_it_is_forgotten(store: Store, leadership: Leadership) -> None:
    study_id, backlog = opened(store, leadership), Backlog()
    taken(leadership, study_id, backlog)
    wish(store, study_id, "pause")
    settle(leadership, study_id)
    assert taken(leadership, study_id, backlog) is None  # a paused study gets none
    wish(store, study_id, "run")
    settle(leadership, study_id)
    backlog.forget(study_id)  # as the dispatcher does whenever it settles a study
    assert sum(map(len, members(drained(leadership, study_id, backlog)))) == 10


def test_a_study_that_is_to_pause_gets_no_pack_before_it_is_settled(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    wish(store, study_id, "pause")
    assert taken(leadership, study_id, Backlog()) is None
    wish(store, study_id, "run")
    complete(leadership, study_id)
    assert row(store, study_id).done == 10
