"""Races: rounds open one after the other, dropped cells get no more, and a definite answer ends the study."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from service_data import MANY, NUMERIC_CLASS, lease, opened, result, row, rows, size, take_in, wish

from service.dispatch import accept
from service.dispatch.chores import Chores
from service.dispatch.leader import Leadership
from service.dispatch.race import Races, Round, decide_round, enter_next_round
from service.planner import Key
from service.store.engine import Store
from service.store.queries import dropped_cells, scores
from service.store.tables import Cell, Replicate, Study
from studies.racing import Decision, rounds
from studies.results import Outcome, TrainingResult

RUNS = 12
FOLDS = 2
ROUNDS = rounds(FOLDS, RUNS)
CELLS = 5
MARGIN = 0.0005


def race(store: Store, leadership: Leadership) -> str:
    claim = {"margin": MARGIN, "metric": "accuracy", "confidence": 0.95}
    return opened(store, leadership, racing=True, runs=RUNS, claim=claim)


def trained(key: Key, gain: float = 0.0) -> TrainingResult:
    """Cells that alternate around one accuracy, but for the last, far below, and cell 1, better by `gain`."""
    cell, fold, run = key
    wiggle = 0.001 if (cell + fold + run) % 2 else -0.001
    return result(*key, accuracy=0.9 + wiggle - 0.2 * (cell == CELLS - 1) + gain * (cell == 1))


def play_round(leadership: Leadership, study_id: str, make: Callable[[Key], TrainingResult] = trained) -> int:
    """Train what is open; how many trainings that were."""
    played = 0
    while True:
        with leadership.transaction() as session:
            found = accept.lease(session, study_id, MANY, "cpu-0", NUMERIC_CLASS)
        if found is None:
            return played
        assert take_in(leadership, found, [make(member.key) for member in found.members])
        played += len(found.members)


def ended(store: Store, study_id: str) -> Round:
    study = row(store, study_id)
    assert study.race_runs is not None
    with store.read() as session:
        return Round(
            study_id,
            study.spec,
            study.race_runs,
            study.images,
            dropped_cells(session, study_id),
            scores(session, study_id),
        )


def advance(store: Store, leadership: Leadership, study_id: str) -> None:
    """Have the dispatcher's part look at the study once, and wait for what it decides."""
    chores = Chores()
    races = Races(store, leadership, chores)
    before = row(store, study_id).revision
    for _ in range(200):
        races.advance([row(store, study_id)])
        chores.handle()
        if row(store, study_id).revision != before:
            break
        chores_wait(chores)
    chores.close()


def chores_wait(chores: Chores) -> None:
    chores.enqueue(chores._inbox.get(timeout=10))


def test_a_race_opens_with_its_first_round(store: Store, leadership: Leadership) -> None:
    study_id = race(store, leadership)
    study = row(store, study_id)
    assert (study.race_runs, study.total) == (ROUNDS[0], CELLS * FOLDS * RUNS)
    assert play_round(leadership, study_id) == CELLS * FOLDS * ROUNDS[0]
    assert row(store, study_id).status == "running"
    assert {one.run for one in rows(store, Replicate, study_id)} == set(range(ROUNDS[0]))


def test_leases_do_not_reach_beyond_the_round(store: Store, leadership: Leadership) -> None:
    study_id = race(store, leadership)
    open_now = CELLS * FOLDS * ROUNDS[0]
    members: list[tuple[int, int, int]] = []
    while True:
        with leadership.transaction() as session:
            found = accept.lease(session, study_id, size(7), "cpu-0", NUMERIC_CLASS)
        if found is None:
            break
        members += [member.key for member in found.members]
    assert len(set(members)) == len(members) == open_now


def test_a_round_that_has_not_ended_is_not_decided(store: Store, leadership: Leadership) -> None:
    study_id = race(store, leadership)
    found = lease(leadership, study_id, size(7))
    assert take_in(leadership, found, [trained(member.key) for member in found.members])
    chores = Chores()
    Races(store, leadership, chores).advance([row(store, study_id)])
    assert chores._inbox.empty()
    chores.close()
    assert row(store, study_id).race_runs == ROUNDS[0]


def test_a_hopeless_cell_is_dropped_and_gets_no_more(store: Store, leadership: Leadership) -> None:
    study_id = race(store, leadership)
    play_round(leadership, study_id)
    advance(store, leadership, study_id)
    study = row(store, study_id)
    assert study.race_runs == ROUNDS[1]
    assert [cell.dropped_after for cell in rows(store, Cell, study_id)] == [None, None, None, None, ROUNDS[0]]
    assert study.total == FOLDS * (4 * RUNS + ROUNDS[0])
    assert play_round(leadership, study_id) == 4 * FOLDS * (ROUNDS[1] - ROUNDS[0])
    assert {one.run for one in rows(store, Replicate, study_id) if one.cell == 4} == set(range(ROUNDS[0]))


def test_a_race_goes_on_to_its_last_round_while_undecided(store: Store, leadership: Leadership) -> None:
    study_id = race(store, leadership)
    for _ in ROUNDS:
        assert row(store, study_id).status in ("queued", "running")
        assert play_round(leadership, study_id) > 0
        if row(store, study_id).status == "running":
            advance(store, leadership, study_id)
    study = row(store, study_id)
    assert (study.status, study.done, study.total) == ("completed", study.total, FOLDS * (4 * RUNS + ROUNDS[0]))


def test_a_definite_verdict_ends_the_race(store: Store, leadership: Leadership) -> None:
    study_id = race(store, leadership)
    played = play_round(leadership, study_id, lambda key: trained(key, gain=0.05))
    advance(store, leadership, study_id)
    study = row(store, study_id)
    assert decide_round(ended(store, study_id)).verdict == "inferior"
    assert (study.status, study.done, study.total) == ("completed", played, played)


def test_a_decision_that_comes_twice_changes_nothing(store: Store, leadership: Leadership) -> None:
    study_id = race(store, leadership)
    play_round(leadership, study_id)
    first = ended(store, study_id)
    decision = decide_round(first)
    for _ in range(2):
        with leadership.transaction() as session:
            enter_next_round(session, first, decision)
        assert row(store, study_id).race_runs == ROUNDS[1]
    revision = row(store, study_id).revision
    with leadership.transaction() as session:
        enter_next_round(session, first, Decision((1, 2, 3), "inferior"))
    assert (row(store, study_id).race_runs, row(store, study_id).revision) == (ROUNDS[1], revision)


def test_a_cancelled_race_stays_cancelled(store: Store, leadership: Leadership) -> None:
    study_id = race(store, leadership)
    play_round(leadership, study_id)
    first = ended(store, study_id)
    wish(store, study_id, "cancel")
    with leadership.transaction() as session:
        accept.settle(session, session.scalars(sa.select(Study).where(Study.id == study_id)).one())
    with leadership.transaction() as session:
        enter_next_round(session, first, decide_round(first))
    assert (row(store, study_id).status, row(store, study_id).race_runs) == ("cancelled", ROUNDS[0])


@pytest.mark.parametrize("failed_columns", [1, FOLDS * ROUNDS[0]])
def test_failed_trainings_spoil_their_columns_and_the_race_goes_on(
    store: Store, leadership: Leadership, failed_columns: int
) -> None:
    study_id = race(store, leadership)
    spoilt = {(fold, run) for run in range(ROUNDS[0]) for fold in range(FOLDS)}
    spoilt = set(sorted(spoilt)[:failed_columns])
    fields = dict.fromkeys(("accuracy", "brier", "loss", "train_loss", "correct"))

    def sometimes_failed(key: Key) -> TrainingResult:
        if key[0] == 2 and key[1:] in spoilt:
            return result(*key, outcome=Outcome.FAILED, reason="quarantined", **fields)
        return trained(key)

    play_round(leadership, study_id, sometimes_failed)
    advance(store, leadership, study_id)
    study = row(store, study_id)
    assert (study.status, study.race_runs) == ("running", ROUNDS[1])
    everything = failed_columns == FOLDS * ROUNDS[0]
    assert [cell.cell for cell in rows(store, Cell, study_id) if cell.dropped_after] == ([] if everything else [4])
