"""The inbox: what is kept, what is dropped, and that one poison message holds up nobody."""

import time

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from service.dispatch.accept import storable
from service.dispatch.chores import Chores
from service.errors import LeadershipLost


def test_handle_goes_on_behind_a_message_that_can_never_succeed() -> None:
    chores, seen = Chores(), []
    chores.enqueue(lambda: seen.append(1 // 0))
    chores.enqueue(lambda: seen.append(2))
    chores.handle()
    assert seen == [2]
    chores.close()


def test_handle_drops_a_message_whose_statement_is_wrong() -> None:
    chores, seen = Chores(), []

    def message() -> None:
        raise IntegrityError("INSERT", {}, Exception("there is one already"))

    chores.enqueue(message)
    chores.enqueue(lambda: seen.append(2))
    chores.handle()
    assert seen == [2]
    chores.close()


def test_wait_ends_when_something_comes_in() -> None:
    chores, seen = Chores(), []
    chores.enqueue(lambda: seen.append(1))
    began = time.monotonic()
    chores.wait(20)
    assert time.monotonic() - began < 10
    chores.handle()
    assert seen == [1]
    chores.close()


@pytest.mark.parametrize("away", [OperationalError("SELECT 1", {}, Exception("away")), LeadershipLost()])
def test_handle_keeps_a_message_while_the_database_is_away(away: Exception) -> None:
    chores, seen, troubles = Chores(), [], [away]

    def message() -> None:
        if troubles:
            raise troubles.pop()
        seen.append(1)

    chores.enqueue(message)
    chores.enqueue(lambda: seen.append(2))
    with pytest.raises(type(away)):
        chores.handle()
    assert seen == []
    chores.handle()
    assert seen == [1, 2]
    chores.close()


def test_storable_keeps_text_and_replaces_what_databases_refuse() -> None:
    assert storable("héllo\n") == "héllo\n"
    assert storable("z\udce9ro\0").encode() == b"z\\udce9ro\\0"
