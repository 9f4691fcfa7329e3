"""Who gets the next slot."""

from collections import Counter

from service.dispatch.sharing import MOST, Sharing
from service.store.tables import Study


def study(name: str, priority: int = 0) -> Study:
    return Study(id=name, priority=priority, ordinal=ord(name[0]))


def given(sharing: Sharing, studies: list[Study], slots: int, running: Counter[str]) -> str:
    """Whom so many free slots go to, one after the other."""
    got = []
    for _ in range(slots):
        first = sharing.in_turn(sharing.admit(studies), running)[0]
        running[first.id] += 1
        sharing.serve(first)
        got.append(first.id)
    return "".join(got)


def test_studies_of_one_priority_get_as_many_slots_each() -> None:
    assert given(Sharing(), [study("a"), study("b")], 6, Counter()) == "ababab"


def test_studies_of_one_priority_take_turns_on_a_single_slot() -> None:
    sharing, studies = Sharing(), [study("a"), study("b"), study("c")]
    assert "".join(given(sharing, studies, 1, Counter()) for _ in range(6)) == "abcabc"


def test_a_study_that_comes_later_is_next() -> None:
    sharing, old = Sharing(), [study("a"), study("b")]
    given(sharing, old, 3, Counter())
    assert given(sharing, [*old, study("z")], 1, Counter()) == "z"


def test_a_higher_priority_goes_first_always() -> None:
    assert given(Sharing(), [study("a"), study("b", priority=1)], 4, Counter()) == "bbbb"


def test_only_so_many_share() -> None:
    studies = [study(chr(65 + index % 60) + str(index)) for index in range(MOST + 5)]
    assert Sharing().admit(studies) == studies[:MOST]
