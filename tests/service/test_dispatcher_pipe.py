"""What the dispatcher's process tells, asks and is told, over a real pipe."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from service.dispatch.status import DispatcherStatus
from service.dispatcher_pipe import STOP, Answer, Pipe, Question, Teller


class Told:
    """A teller in a thread, and the other end of its pipe."""

    def __init__(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        self.pipe, self.stop = Pipe(ours), threading.Event()
        self.teller = Teller(Pipe(theirs), lambda: DispatcherStatus("leading"), self.stop)
        self.thread = threading.Thread(target=self.teller.run)
        self.thread.start()

    def next(self, kind: type) -> Any:
        """The next message of a kind."""
        while not isinstance(message := self.pipe.receive(), kind):
            assert message is not None
        return message

    def ask(self, study: str) -> "tuple[threading.Thread, list[Any]]":
        """Ask for a comparison in a thread; what comes of it."""
        found: list[Any] = []

        def work() -> None:
            try:
                found.append(self.teller.compare(study))
            except RuntimeError as error:
                found.append(str(error))

        thread = threading.Thread(target=work)
        thread.start()
        return thread, found


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    never, _open = multiprocessing.Pipe()

    class Parent:
        sentinel = never.fileno()

    monkeypatch.setattr(multiprocessing, "parent_process", lambda: Parent)
    found = Told()
    yield found
    found.stop.set()
    found.thread.join(5)
    assert not found.thread.is_alive()


def test_the_status_is_told_without_being_asked_for(told: Told) -> None:
    assert [told.next(DispatcherStatus).state for _ in range(2)] == ["leading"] * 2


def test_questions_get_their_own_answers_in_whatever_order(told: Told) -> None:
    (first, found_first), (second, found_second) = told.ask("a"), told.ask("b")
    questions = {question.study_id: question for question in (told.next(Question), told.next(Question))}
    told.pipe.send(Answer(questions["b"].number, {"study": "b"}))  # type: ignore[typeddict-item]
    told.pipe.send(Answer(questions["a"].number, None, "NotFound: there is no study 'a'"))
    first.join(5)
    second.join(5)
    assert found_first == ["NotFound: there is no study 'a'"]
    assert found_second == [{"study": "b"}]


def test_told_to_stop_it_ends_and_so_do_its_questions(told: Told) -> None:
    asking, found = told.ask("a")
    told.next(Question)
    told.pipe.send(STOP)
    told.thread.join(5)
    asking.join(5)
    assert found == ["the service ends"]
    with pytest.raises(RuntimeError, match="the service ends"):
        told.teller.compare("b")


def test_it_ends_when_nobody_gives_orders_any_more(told: Told) -> None:
    told.next(DispatcherStatus)
    ended: list[int] = []
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os._exit", ended.append)
        told.pipe.connection.close()
        told.thread.join(5)
    assert not told.thread.is_alive()
    assert time.monotonic() - began < 5
