"""The life of a study, over every status, wish and action."""

import itertools

import pytest

from service.errors import Conflict
from service.lifecycle import TERMINAL, Action, Desired, Status, settle, shown, wish

ENDED = {Status.COMPLETED, Status.CANCELLED, Status.FAILED}
EVERY = list(itertools.product(Status, Desired))


def test_terminal_names_the_three_ends() -> None:
    assert TERMINAL == ENDED


@pytest.mark.parametrize(("stored", "desired"), EVERY)
def test_shown_follows_the_wish_at_once_unless_the_study_has_ended(stored: Status, desired: Desired) -> None:
    seen = shown(stored, desired)
    if stored in ENDED:
        assert seen is stored
    elif desired in (Desired.CANCEL, Desired.PAUSE):
        assert seen is {Desired.CANCEL: Status.CANCELLED, Desired.PAUSE: Status.PAUSED}[desired]
    else:
        assert seen is {Status.PAUSED: Status.QUEUED}.get(stored, stored)


@pytest.mark.parametrize("desired", Desired)
def test_shown_is_not_completed_when_the_study_was_extended(desired: Desired) -> None:
    expected = {Desired.CANCEL: Status.CANCELLED, Desired.PAUSE: Status.PAUSED}.get(desired, Status.QUEUED)
    assert shown(Status.COMPLETED, desired, extended=True) is expected


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.FAILED])
def test_shown_stays_when_a_study_ended_short_of_its_total(status: Status) -> None:
    assert shown(status, Desired.RUN, extended=True) is status


ALLOWED = {
    Action.CANCEL: {Status.QUEUED, Status.RUNNING, Status.PAUSED},
    Action.PAUSE: {Status.QUEUED, Status.RUNNING, Status.PAUSED},
    Action.RESUME: {Status.QUEUED, Status.RUNNING, Status.PAUSED},
    Action.EXTEND: {Status.QUEUED, Status.RUNNING, Status.PAUSED, Status.COMPLETED},
    Action.DELETE: ENDED,
}
WISHES = {
    Action.CANCEL: Desired.CANCEL,
    Action.PAUSE: Desired.PAUSE,
    Action.RESUME: Desired.RUN,
    Action.EXTEND: Desired.RUN,
    Action.DELETE: Desired.DELETE,
}


@pytest.mark.parametrize(("action", "status"), list(itertools.product(Action, Status)))
def test_wish_is_written_or_refused_for_every_action_and_status(action: Action, status: Status) -> None:
    if status not in ALLOWED[action]:
        with pytest.raises(Conflict, match=f"the study is {status}"):
            wish(action, status)
    elif (action, status) == (Action.EXTEND, Status.PAUSED):
        assert wish(action, status) is Desired.PAUSE
    else:
        assert wish(action, status) is WISHES[action]


@pytest.mark.parametrize(("stored", "desired"), EVERY)
@pytest.mark.parametrize("done", [0, 7, 10])
@pytest.mark.parametrize("columns", [0, 1])
def test_settle_gives_the_next_status_for_every_case(stored: Status, desired: Desired, done: int, columns: int) -> None:
    found = settle(stored, desired, done, 10, columns)
    if stored in (Status.CANCELLED, Status.FAILED):
        assert found is stored
    elif stored is Status.COMPLETED:
        assert found is (Status.QUEUED if done < 10 else Status.COMPLETED if columns else Status.FAILED)
    elif desired is Desired.CANCEL:
        assert found is Status.CANCELLED
    elif done == 10:
        assert found is (Status.COMPLETED if columns else Status.FAILED)
    elif desired is Desired.PAUSE:
        assert found is Status.PAUSED
    elif desired is Desired.RUN:
        assert found is (Status.QUEUED if stored is Status.PAUSED else stored)
    else:
        assert found is stored


@pytest.mark.parametrize(("stored", "desired"), EVERY)
@pytest.mark.parametrize("done", [0, 10])
def test_settle_comes_to_rest_and_agrees_with_what_was_shown(stored: Status, desired: Desired, done: int) -> None:
    promised = shown(stored, desired, extended=stored is Status.COMPLETED and done < 10)
    for _ in range(2):
        stored = settle(stored, desired, done, 10, 1)
    assert settle(stored, desired, done, 10, 1) is stored
    if done < 10:
        assert shown(stored, desired) is promised
