"""Optuna's record, read back with the Optuna library."""

import itertools
import json
from collections.abc import Iterator
from threading import Event
from typing import Any

import optuna
import optuna_dashboard
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from service_data import (
    accuracy_of,
    charge,
    complete,
    lease,
    opened,
    result,
    row,
    rows,
    settle,
    size,
    submit,
    take_in,
    wish,
)

from service import record_rows
from service.dispatch import accept
from service.dispatch.leader import Leadership
from service.record import Record, open_storage
from service.recorder import Recorder
from service.reports import Reports
from service.store.engine import Store
from service.store.tables import Cell, Study
from studies.results import Outcome

ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""For what does not depend on the database: tests on both take their time."""


@pytest.fixture
def storage(store: Store) -> Iterator[RDBStorage]:
    found = open_storage(store)
    yield found
    found.engine.dispose()


@pytest.fixture
def recorder(store: Store, storage: RDBStorage, leadership: Leadership, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setattr("service.recorder.INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr("service.recorder.SHARE", float("inf"))
    return Recorder(store, Record(storage), leadership, Event(), Reports(store).comparison_now)


@pytest.fixture
def reader(storage: RDBStorage) -> Iterator[RDBStorage]:
    """A storage of somebody else's, with the Optuna library's own settings."""
    found = RDBStorage(storage.url, skip_compatibility_check=True, skip_table_creation=True)
    yield found
    found.engine.dispose()


def load(reader: RDBStorage, study_id: str) -> optuna.Study:
    return optuna.load_study(study_name=f"small [{study_id}]", storage=reader)


def delete(reader: RDBStorage, study_id: str) -> None:
    optuna.delete_study(study_name=f"small [{study_id}]", storage=reader)


def names(reader: RDBStorage) -> list[str]:
    return optuna.get_all_study_names(reader)


@ON_SQLITE
def test_trials_run_in_cell_order_from_the_start(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership)
    assert recorder.catch_up() == 1
    study = load(reader, study_id)
    cells = rows(store, Cell, study_id)
    assert [trial.number for trial in study.trials] == [cell.cell for cell in cells]
    assert [trial.params for trial in study.trials] == [
        {"learning_rate": cell.learning_rate, "momentum": cell.momentum} for cell in cells
    ]
    assert {trial.state for trial in study.trials} == {TrialState.RUNNING}
    assert study.trials[0].user_attrs["labels"] == "golden"
    assert study.trials[3].user_attrs["labels"] == "matlab"
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE
    assert study.metric_names == ["mean accuracy"]
    assert row(store, study_id).recorded == "queued"


@ON_SQLITE
def test_nothing_is_recorded_when_the_study_is_not_open(store: Store, recorder: Recorder, reader: RDBStorage) -> None:
    submit(store)
    assert recorder.catch_up() == 0
    assert names(reader) == []


def test_distributions_are_one_and_span_every_cell(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership)
    recorder.catch_up()
    cells = rows(store, Cell, study_id)
    distributions = [trial.distributions for trial in load(reader, study_id).trials]
    assert all(one == distributions[0] for one in distributions)
    rate, momentum = distributions[0]["learning_rate"], distributions[0]["momentum"]
    assert rate.log
    assert (rate.low, rate.high) == (min(c.learning_rate for c in cells), max(c.learning_rate for c in cells))
    assert not momentum.log
    assert (momentum.low, momentum.high) == (0.0, 0.9)  # `plain` has no momentum, `matlab` 0.9


@ON_SQLITE
def test_running_means_are_reported_with_the_number_of_replicates(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership)
    recorder.catch_up()
    take_in(leadership, lease(leadership, study_id))
    assert recorder.catch_up() == 1
    trial = load(reader, study_id).trials[2]
    assert trial.state is TrialState.RUNNING
    assert trial.intermediate_values == {1: pytest.approx(accuracy_of(2, 0, 0))}
    assert (trial.user_attrs["n"], trial.user_attrs["std"]) == (1, None)
    assert recorder.catch_up() == 0
    assert [cell.recorded_n for cell in rows(store, Cell, study_id)] == [1] * 5


@ON_SQLITE
def test_reports_wait_when_the_last_was_a_moment_ago(
    store: Store, leadership: Leadership, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = opened(store, leadership)
    monkeypatch.setattr("service.recorder.INTERVAL_SECONDS", 3_600.0)
    recorder.catch_up()
    take_in(leadership, lease(leadership, study_id, size(1)))
    assert recorder.catch_up() == 0
    complete(leadership, study_id)
    assert recorder.catch_up() == 1, "the end does not wait"


def test_trials_complete_with_their_means_and_the_best_is_right(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership)
    recorder.catch_up()
    take_in(leadership, lease(leadership, study_id))
    recorder.catch_up()
    complete(leadership, study_id)
    recorder.catch_up()
    study = load(reader, study_id)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    for cell, trial in enumerate(study.trials):
        expected = (accuracy_of(cell, 0, 0) + accuracy_of(cell, 1, 0)) / 2
        assert trial.value == pytest.approx(expected, rel=1e-12)
        assert (trial.user_attrs["n"], trial.user_attrs["diverged"]) == (2, 0)
        assert trial.user_attrs["mean"] == pytest.approx(expected, rel=1e-12)
        assert trial.user_attrs["std"] == pytest.approx(0.001 / 2**0.5, rel=1e-6)
        rate, momentum = trial.params["learning_rate"], trial.params["momentum"]
        assert trial.user_attrs["effective learning rate"] == pytest.approx(rate / (1 - momentum))
        assert trial.datetime_complete is not None
    assert study.best_trial.number == 4
    assert study.best_params == {"learning_rate": 0.01, "momentum": 0.0}
    assert row(store, study_id).recorded == "completed"
    assert recorder.catch_up() == 0


@ON_SQLITE
def test_record_is_the_same_when_it_is_written_only_at_the_end(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    watched, late = opened(store, leadership), opened(store, leadership)
    recorder.catch_up()
    take_in(leadership, lease(leadership, watched))
    recorder.catch_up()
    complete(leadership, watched)
    recorder.catch_up()
    delete(reader, late)
    complete(leadership, late)
    recorder.catch_up()

    def seen(study_id: str) -> list[object]:
        return [(t.number, t.params, t.state, t.value, t.user_attrs) for t in load(reader, study_id).trials]

    assert seen(watched) == seen(late)


def test_trials_fail_when_the_study_is_cancelled(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership)
    take_in(leadership, lease(leadership, study_id))
    recorder.catch_up()
    wish(store, study_id, "cancel")
    settle(leadership, study_id)
    assert recorder.catch_up() == 1
    trials = load(reader, study_id).trials
    assert [trial.state for trial in trials] == [TrialState.FAIL] * 5
    assert trials[1].user_attrs["mean"] == pytest.approx(accuracy_of(1, 0, 0))
    assert recorder.catch_up() == 0


@ON_SQLITE
def test_cell_without_any_score_fails_and_the_others_complete(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership, runs=2, folds_used=1)
    first = lease(leadership, study_id, size(1))
    for _ in range(3):
        charge(leadership, first, "died")
        if row(store, study_id).done:
            break
        first = lease(leadership, study_id, size(1))
    culprit = first.members[0].cell
    complete(leadership, study_id)
    with store.write() as session:  # as if its other replicate had failed too
        cell = session.get_one(Cell, (study_id, culprit))
        cell.n, cell.failed = 0, 2
        session.execute(
            Study.metadata.tables["gb_replicates"]
            .update()
            .where(Study.metadata.tables["gb_replicates"].c.cell == culprit)
            .values(outcome="failed", accuracy=None)
        )
    recorder.catch_up()
    states = [trial.state for trial in load(reader, study_id).trials]
    assert states == [TrialState.FAIL if cell == culprit else TrialState.COMPLETE for cell in range(5)]


@ON_SQLITE
def test_diverged_replicates_count_with_their_score(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership)
    while row(store, study_id).status != "completed":
        found = lease(leadership, study_id)
        diverged = {"outcome": Outcome.DIVERGED, "accuracy": 0.1, "loss": None, "train_loss": None, "correct": None}
        take_in(leadership, found, [result(*m.key, **(diverged if m.cell == 2 else {})) for m in found.members])
    recorder.catch_up()
    trial = load(reader, study_id).trials[2]
    assert (trial.value, trial.user_attrs["diverged"]) == (pytest.approx(0.1), 2)


def test_record_is_rebuilt_when_somebody_deleted_it_while_it_runs(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership)
    recorder.catch_up()
    delete(reader, study_id)
    complete(leadership, study_id)
    recorder.catch_up()
    assert [trial.state for trial in load(reader, study_id).trials] == [TrialState.COMPLETE] * 5


@ON_SQLITE
def test_record_of_an_ended_study_is_rebuilt_at_the_next_start(
    store: Store, leadership: Leadership, storage: RDBStorage, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership)
    complete(leadership, study_id)
    recorder.catch_up()
    delete(reader, study_id)
    after = Recorder(store, Record(storage), leadership, Event(), Reports(store).comparison_now)
    assert after.catch_up() == 1
    assert len(load(reader, study_id).trials) == 5


DAMAGES = ["a trial more", "a trial told", "a trial failed", "another value"]


@pytest.mark.parametrize("damage", DAMAGES)
@ON_SQLITE
def test_record_is_rebuilt_when_somebody_damaged_its_trials(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage, damage: str
) -> None:
    study_id = opened(store, leadership)
    recorder.catch_up()
    study = load(reader, study_id)
    if damage == "a trial more":
        study.add_trial(optuna.trial.create_trial(value=0.5))
    elif damage == "a trial told":
        study.tell(2, 0.123)
    elif damage == "a trial failed":
        study.tell(2, state=TrialState.FAIL)
    else:
        take_in(leadership, lease(leadership, study_id))
        complete(leadership, study_id)
        study.tell(2, 0.999)
    complete(leadership, study_id)
    recorder.catch_up()
    trials = load(reader, study_id).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 5
    assert trials[2].value == pytest.approx((accuracy_of(2, 0, 0) + accuracy_of(2, 1, 0)) / 2)


@ON_SQLITE
def test_record_of_an_extended_study_runs_again(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership)
    complete(leadership, study_id)
    recorder.catch_up()
    with store.write() as session:
        study = session.query(Study).filter_by(id=study_id).one()
        study.runs, study.total = 2, 20
    settle(leadership, study_id)
    recorder.catch_up()
    assert {trial.state for trial in load(reader, study_id).trials} == {TrialState.RUNNING}
    complete(leadership, study_id)
    recorder.catch_up()
    trials = load(reader, study_id).trials
    assert [(trial.state, trial.user_attrs["n"]) for trial in trials] == [(TrialState.COMPLETE, 4)] * 5


def test_deleted_study_leaves_optuna_and_the_others_stay(
    store: Store, leadership: Leadership, storage: RDBStorage, recorder: Recorder, reader: RDBStorage
) -> None:
    gone, stays = opened(store, leadership), opened(store, leadership)
    somebodys = optuna.create_study(study_name="somebody's own", storage=storage)
    recorder.catch_up()
    with leadership.transaction() as session:
        accept.delete_study(session, gone)
    recorder.catch_up()
    assert sorted(names(reader)) == sorted([f"small [{stays}]", somebodys.study_name])


@ON_SQLITE
def test_study_that_was_deleted_while_nobody_recorded_leaves_at_the_next_start(
    store: Store, leadership: Leadership, storage: RDBStorage, recorder: Recorder, reader: RDBStorage
) -> None:
    gone = opened(store, leadership)
    recorder.catch_up()
    with leadership.transaction() as session:
        accept.delete_study(session, gone)
    Recorder(store, Record(storage), leadership, Event(), Reports(store).comparison_now).catch_up()
    assert names(reader) == []


@ON_SQLITE
def test_writing_half_a_record_is_made_good(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = opened(store, leadership)
    complete(leadership, study_id)
    insert, calls = record_rows._insert, itertools.count()

    def fail_third(*arguments: Any) -> None:
        if next(calls) == 2:
            raise OSError("the database went away")
        insert(*arguments)

    monkeypatch.setattr(record_rows, "_insert", fail_third)
    with pytest.raises(OSError, match="went away"):
        recorder.catch_up()
    assert row(store, study_id).recorded is None
    assert names(reader) == []
    assert recorder.catch_up() == 1
    assert [trial.state for trial in load(reader, study_id).trials] == [TrialState.COMPLETE] * 5


@ON_SQLITE
@pytest.mark.parametrize("note", ["", "**No verdict yet**: the study is running, 3 of 15 trainings."])
def test_note_that_an_ended_service_left_behind_is_mended_and_no_damage(
    store: Store,
    leadership: Leadership,
    storage: RDBStorage,
    recorder: Recorder,
    reader: RDBStorage,
    note: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study_id = opened(store, leadership)
    complete(leadership, study_id)
    recorder.catch_up()
    whole, trials = described(reader, study_id), [trial._trial_id for trial in load(reader, study_id).trials]
    optuna_dashboard.save_note(load(reader, study_id), note)
    said: list[str] = []
    monkeypatch.setattr("service.recorder.log.warning", lambda event, **_more: said.append(event))
    Recorder(store, Record(storage), leadership, Event(), Reports(store).comparison_now).catch_up()
    assert described(reader, study_id)[0] == whole[0]
    assert [trial._trial_id for trial in load(reader, study_id).trials] == trials  # not built anew
    assert said == []


def described(reader: RDBStorage, study_id: str) -> tuple[str, dict[str, Any]]:
    """The note of a study and its drawings, as the dashboard reads them."""
    study = load(reader, study_id)
    drawings = get_plotly_graph_objects(reader.get_study_system_attrs(study._study_id))
    return optuna_dashboard.get_note(study), {name: json.loads(text) for name, text in drawings.items()}


def test_note_says_how_far_a_study_is_and_then_its_verdict(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership)
    take_in(leadership, lease(leadership, study_id))
    recorder.catch_up()
    note, drawings = described(reader, study_id)
    assert note.startswith("**No verdict yet**: the study is running, 5 of 10 trainings.")
    assert drawings == {}
    complete(leadership, study_id)
    recorder.catch_up()
    note, drawings = described(reader, study_id)
    comparison = Reports(store).comparison_now(study_id)
    assert note.startswith(f"**Verdict: {comparison['verdict']}** (completed, 10 of 10 trainings)")
    assert comparison["sentence"] in note
    assert "95 % interval" in note
    assert f"](/studies/{study_id})" in note
    assert "| best cell | 4 | 0.01 | 0 | 94.05 | 0.07 | 2 | 0 |" in note
    (drawing,) = drawings.values()
    squares = next(trace for trace in drawing["data"] if trace["mode"] == "markers")
    assert squares["x"] == [cell.learning_rate for cell in rows(store, Cell, study_id)]
    assert squares["marker"]["color"][4] == 0, "the best cell has no shortfall"
    assert [trace.get("name") for trace in drawing["data"][2:]] == [
        "golden (prescribed)",
        "best cell",
        "matlab",
        "plain",
    ]


@ON_SQLITE
def test_note_stays_when_nothing_changed_and_shrinks_when_it_has_less_to_say(
    store: Store, leadership: Leadership, storage: RDBStorage, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership)
    complete(leadership, study_id)
    recorder.catch_up()
    before = reader.get_study_system_attrs(load(reader, study_id)._study_id)["dashboard:note_ver"]
    recorder.write(study_id)
    study = load(reader, study_id)
    assert reader.get_study_system_attrs(study._study_id)["dashboard:note_ver"] == before
    with store.write() as session:
        row_of = session.query(Study).filter_by(id=study_id).one()
        row_of.runs, row_of.total = 2, 20
    settle(leadership, study_id)
    recorder.catch_up()
    note, _ = described(reader, study_id)
    assert note.startswith("**No verdict yet**: the study is queued, 10 of 20 trainings.")
    assert "Verdict:" not in note


@ON_SQLITE
def test_note_that_fails_holds_up_no_trial_and_is_written_later(
    store: Store, leadership: Leadership, storage: RDBStorage, reader: RDBStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    works: list[bool] = []

    def compare(study_id: str) -> dict[str, Any]:
        if not works:
            raise RuntimeError("no")
        return Reports(store).comparison_now(study_id)

    monkeypatch.setattr("service.recorder.CHECK_SECONDS", 0.0)
    recorder = Recorder(store, Record(storage), leadership, Event(), compare)
    first, second = opened(store, leadership), opened(store, leadership)
    complete(leadership, first)
    complete(leadership, second)
    assert recorder.catch_up() == 2
    assert [trial.state for trial in load(reader, second).trials] == [TrialState.COMPLETE] * 5
    assert described(reader, first) == ("", {})
    works.append(True)
    assert recorder.catch_up() == 0
    assert described(reader, first)[0].startswith("**Verdict")


@ON_SQLITE
def test_intermediate_values_are_means_of_the_first_trainings(
    store: Store, leadership: Leadership, recorder: Recorder, reader: RDBStorage
) -> None:
    study_id = opened(store, leadership, runs=2)
    complete(leadership, study_id)
    recorder.catch_up()
    scores = [accuracy_of(3, fold, run) for run in range(2) for fold in range(2)]
    expected = {n: pytest.approx(sum(scores[:n]) / n) for n in (1, 2, 3, 4)}
    assert load(reader, study_id).trials[3].intermediate_values == expected
