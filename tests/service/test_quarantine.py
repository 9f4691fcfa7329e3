"""Packs that fail: halved along a fixed tree until the culprit stands alone, which ends with its evidence."""

import itertools
import math
from collections.abc import Sequence

import pytest
from service_data import (
    MANY,
    charge,
    complete,
    lease,
    opened,
    result,
    row,
    rows,
    size,
    take_in,
)

from service.dispatch.leader import Leadership
from service.dispatch.quarantine import LONE_TRIES, TRIES, Fate, fate
from service.planner import Capacity
from service.reports import comparison_document, comparison_request
from service.store.engine import Store
from service.store.tables import Cell, Pack, Replicate
from studies.results import Outcome


@pytest.mark.parametrize("members", [1, 2, 9])
@pytest.mark.parametrize("charged", range(1, 5))
@pytest.mark.parametrize("fits", [True, False])
def test_fate_for_every_case(members: int, charged: int, fits: bool) -> None:
    if members > 1:
        expected = Fate.HALVE if charged >= TRIES or not fits else Fate.AGAIN
    else:
        expected = Fate.QUARANTINE if charged >= LONE_TRIES or not fits else Fate.AGAIN
    assert fate(members, charged, fits) is expected


def storm(
    leadership: Leadership, study_id: str, culprits: set[tuple[int, int, int]], slots: Sequence[Capacity] = (MANY,)
) -> int:
    """Train until nothing is pending, on workers that die of any pack with a culprit; how often one died."""
    deaths = 0
    for capacity in itertools.cycle(slots):
        try:
            found = lease(leadership, study_id, capacity)
        except AssertionError:
            break
        if culprits & {member.key for member in found.members}:
            deaths += 1
            assert deaths < 100, "it never ends"
            assert charge(leadership, found, f"died of death {deaths}") is not None
        else:
            assert take_in(leadership, found)
    return deaths


def test_culprit_alone_is_quarantined_and_the_rest_completes(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    deaths = storm(leadership, study_id, {(3, 1, 0)})
    study = row(store, study_id)
    assert (study.status, study.done) == ("completed", 10)
    kept = rows(store, Replicate, study_id)
    assert [(one.cell, one.fold, one.run) for one in kept if one.outcome == "failed"] == [(3, 1, 0)]
    assert len(kept) == 10
    failed = next(one for one in kept if one.outcome == "failed")
    assert failed.reason.startswith("quarantined\n")
    assert f"died of death {deaths}" in failed.reason
    assert (failed.accuracy, failed.correct) == (None, None)
    assert [cell.failed for cell in rows(store, Cell, study_id)] == [0, 0, 0, 1, 0]
    assert [cell.n for cell in rows(store, Cell, study_id)] == [2, 2, 2, 1, 2]


def test_halving_tree_is_the_same_in_every_run(store: Store, leadership: Leadership) -> None:
    trees = []
    for _ in range(2):
        study_id = opened(store, leadership, folds_used=4)
        storm(leadership, study_id, {(3, 1, 0)})
        trees.append([(pack.state, pack.members) for pack in rows(store, Pack, study_id)])
    assert trees[0] == trees[1]
    split = [members for state, members in trees[0] if state == "split"]
    halves = [members for _, members in trees[0]]
    assert max(map(len, split)) == 10
    for members in split:
        middle = len(members) // 2
        assert members[:middle] in halves
        assert members[middle:] in halves
    assert [members for state, members in trees[0] if state == "quarantined"] == [[[3, 1, 0]]]


def test_pack_is_tried_again_before_it_is_halved(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    first = lease(leadership, study_id, size(4))
    assert charge(leadership, first, "KilledWorker") is Fate.AGAIN
    again = lease(leadership, study_id, size(4))
    assert (again.pack, again.attempt) == (first.pack, 2)
    assert charge(leadership, first, "late") is None
    assert charge(leadership, again, "KilledWorker") is Fate.HALVE
    packs = rows(store, Pack, study_id)
    assert [(pack.state, len(pack.members), pack.charged) for pack in packs] == [
        ("split", 4, 2),
        ("waiting", 2, 0),
        ("waiting", 2, 0),
    ]
    assert packs[0].members == packs[1].members + packs[2].members


@pytest.mark.parametrize("culprit", [(0, 0, 0), (3, 1, 1), (4, 3, 3)])
@pytest.mark.parametrize("networks", [(64, 1, 1), (64, 3, 3), range(64, 0, -1)])
def test_culprit_is_found_as_soon_when_slots_take_parts_of_its_pack(
    store: Store, leadership: Leadership, culprit: tuple[int, int, int], networks: Sequence[int]
) -> None:
    study_id = opened(store, leadership, folds_used=4, runs=4)
    deaths = storm(leadership, study_id, {culprit}, [Capacity(most, most, at_once=most) for most in networks])
    assert row(store, study_id).done == 80
    failed = [one for one in rows(store, Replicate, study_id) if one.outcome == "failed"]
    assert [(one.cell, one.fold, one.run) for one in failed] == [culprit]
    assert deaths <= TRIES * math.ceil(math.log2(64)) + LONE_TRIES
    (alone,) = [pack for pack in rows(store, Pack, study_id) if pack.state == "quarantined"]
    assert alone.log.count("died of death") == alone.charged == LONE_TRIES


def test_pair_that_killed_a_worker_is_not_divided_for_a_slot(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    first = lease(leadership, study_id, size(2))
    charge(leadership, first, "KilledWorker")
    assert lease(leadership, study_id, size(1)).members == first.members


def test_pack_is_halved_at_once_when_it_does_not_fit(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    assert charge(leadership, lease(leadership, study_id, size(2)), "out of memory", fits=False) is Fate.HALVE
    lone = lease(leadership, study_id)
    assert charge(leadership, lone, "out of memory", fits=False) is Fate.QUARANTINE
    (failed,) = rows(store, Replicate, study_id)
    assert failed.reason.startswith("does not fit the device\n")
    assert "out of memory" in failed.reason


def test_study_fails_only_when_no_column_is_complete(store: Store, leadership: Leadership) -> None:
    saved, lost = opened(store, leadership), opened(store, leadership)
    storm(leadership, saved, {(0, 0, 0), (4, 0, 0)})
    storm(leadership, lost, {(0, 0, 0), (4, 1, 0)})
    assert row(store, saved).status == "completed"
    study = row(store, lost)
    assert (study.status, study.reason) == ("failed", "every column of replicates has a failed one")
    assert study.done == 10


def document(store: Store, study_id: str) -> dict[str, object]:
    with store.read() as session:
        return comparison_document(comparison_request(session, study_id))


def test_comparison_drops_the_column_of_a_failed_replicate_with_a_warning(store: Store, leadership: Leadership) -> None:
    study_id, calm = opened(store, leadership, runs=2), opened(store, leadership, runs=2)
    storm(leadership, study_id, {(2, 0, 1)})
    complete(leadership, calm)
    found, whole = document(store, study_id), document(store, calm)
    assert (found["n"], whole["n"]) == (3, 4)
    codes = {warning["code"]: warning["text"] for warning in found["warnings"]}
    assert "1 of 4 columns" in codes["failed"]
    assert "failed" not in {warning["code"] for warning in whole["warnings"]}
    # accuracies are 0.9 + cell / 100 + fold / 1000 + run / 10000; the column (fold 0, run 1) is missing
    assert found["prescribed"]["mean"] == pytest.approx(0.9 + (0 + 0.001 + 0.0011) / 3)
    assert whole["prescribed"]["mean"] == pytest.approx(0.9 + (0 + 0.0001 + 0.001 + 0.0011) / 4)


def test_diverged_replicate_is_a_result_and_charges_nobody(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    found = lease(leadership, study_id)
    diverged = {"outcome": Outcome.DIVERGED, "accuracy": 0.1, "loss": None, "train_loss": None, "correct": None}
    assert take_in(leadership, found, [result(*member.key, **diverged) for member in found.members])
    complete(leadership, study_id)
    assert row(store, study_id).status == "completed"
    assert document(store, study_id)["n"] == 2
    assert {pack.charged for pack in rows(store, Pack, study_id)} == {0}
