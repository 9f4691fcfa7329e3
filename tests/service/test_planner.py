"""The planner's promises, over made-up states of a study."""

from collections import Counter
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from service.planner import Capacity, Key, Pending, pack_size

RUNS = st.lists(st.integers(0, 4), min_size=1, max_size=12)
"""Open runs of each cell: those that a race dropped have fewer."""
FOLDS = 3
TAKEN = st.sets(st.tuples(st.integers(0, 12), st.integers(0, FOLDS - 1), st.integers(0, 4)), max_size=120)
CAPACITIES = st.builds(
    Capacity,
    networks=st.integers(1, 64),
    networks_per_pack_time=st.integers(1, 200),
    at_once=st.integers(1, 16),
    share=st.floats(0.001, 1),
)


def all_keys(runs: list[int]) -> set[Key]:
    return {(cell, fold, run) for cell, most in enumerate(runs) for run in range(most) for fold in range(FOLDS)}


def plain(pending: Iterable[Key], capacity: Capacity) -> tuple[Key, ...]:
    """The rule written down plainly: sort everything, take the first."""
    left = Counter((run, fold) for _, fold, run in pending)
    ordered = sorted(pending, key=lambda key: (left[key[2], key[1]], key[2], key[1], key[0]))
    return tuple(sorted(ordered[: pack_size(len(ordered), capacity)], key=lambda key: (key[2], key[1], key[0])))


@given(RUNS, TAKEN, CAPACITIES)
def test_a_pack_keeps_within_the_slot_when_anything_is_pending(
    runs: list[int], taken: set[Key], capacity: Capacity
) -> None:
    pending = Pending(runs, FOLDS, taken)
    before = len(pending)
    pack = pending.next_pack(capacity)
    assert bool(pack) == bool(before)
    assert len(pending) == before - len(pack)
    assert len(pack) <= min(capacity.networks, max(capacity.at_once, capacity.networks_per_pack_time))
    assert len(pack) % min(capacity.at_once, capacity.networks) == 0 or len(pack) == before


@settings(max_examples=200)
@given(RUNS, TAKEN, CAPACITIES)
def test_packs_are_those_of_the_plain_rule_until_everything_is_given_out(
    runs: list[int], taken: set[Key], capacity: Capacity
) -> None:
    pending, left = Pending(runs, FOLDS, taken), all_keys(runs) - taken
    assert len(pending) == len(left)
    while left:
        pack = pending.next_pack(capacity)
        assert pack == plain(left, capacity)
        left -= set(pack)
    assert pending.next_pack(capacity) == ()


def test_the_column_that_is_closest_to_its_end_goes_first() -> None:
    first_column = {(cell, 1, 0) for cell in range(7)}
    pending = Pending([1] * 9, 2, first_column)
    assert pending.next_pack(Capacity(4, 4, 4)) == ((0, 0, 0), (1, 0, 0), (7, 1, 0), (8, 1, 0))


def test_packs_shrink_when_slots_share_the_end() -> None:
    alone, shared = (len(Pending([1] * 40, 1, ()).next_pack(Capacity(256, 256, 2, share))) for share in (1, 1 / 4))
    assert (alone, shared) == (20, 4)


def test_a_slow_slot_leaves_the_last_to_faster_ones() -> None:
    pending = Pending([1] * 40, 1, ())
    assert pending.next_pack(Capacity(256, 256, 2, share=0.01, spared=40)) == ()
    assert len(pending) == 40
    assert len(pending.next_pack(Capacity(256, 256, 2, share=0.01, spared=39))) == 2
