"""The planner's promises, over made-up states of a study."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from service.planner import Capacity, Key, next_pack

KEYS = st.sets(st.tuples(st.integers(0, 12), st.integers(0, 3), st.integers(0, 3)), max_size=120).map(sorted)
CAPACITIES = st.builds(
    Capacity,
    networks=st.integers(1, 64),
    networks_per_pack_time=st.integers(1, 200),
    threads=st.integers(1, 16),
    slots=st.integers(1, 8),
)


@given(KEYS, CAPACITIES)
def test_next_pack_is_a_part_of_what_is_pending_without_repetition(pending: list[Key], capacity: Capacity) -> None:
    pack = next_pack(pending, capacity)
    assert len(set(pack)) == len(pack)
    assert set(pack) <= set(pending)
    assert list(pack) == sorted(pack, key=lambda key: (key[2], key[1], key[0]))


@given(KEYS, CAPACITIES)
def test_next_pack_keeps_within_the_slot_when_anything_is_pending(pending: list[Key], capacity: Capacity) -> None:
    pack = next_pack(pending, capacity)
    assert bool(pack) == bool(pending)
    assert len(pack) <= capacity.networks
    assert len(pack) <= max(capacity.threads, capacity.networks_per_pack_time)


@given(KEYS, CAPACITIES)
def test_next_pack_fills_whole_threads_when_more_is_pending(pending: list[Key], capacity: Capacity) -> None:
    pack = next_pack(pending, capacity)
    threads = min(capacity.threads, capacity.networks)
    assert len(pack) % threads == 0 or len(pack) == len(pending)


def test_next_pack_is_empty_when_nothing_is_pending() -> None:
    assert next_pack([], Capacity(8, 8, 2, 1)) == ()


@given(KEYS, CAPACITIES, st.integers(0, 2**32))
def test_next_pack_is_the_same_when_pending_is_shuffled(pending: list[Key], capacity: Capacity, seed: int) -> None:
    shuffled = random.Random(seed).sample(pending, len(pending))
    assert next_pack(shuffled, capacity) == next_pack(pending, capacity)


@settings(max_examples=50)
@given(KEYS, CAPACITIES)
def test_packs_are_everything_once_when_asked_until_the_end(pending: list[Key], capacity: Capacity) -> None:
    left, given_out = list(pending), []
    while pack := next_pack(left, capacity):
        given_out += pack
        left = [key for key in left if key not in pack]
    assert sorted(given_out) == pending


def test_next_pack_finishes_the_column_that_is_closest_to_its_end() -> None:
    pending = [(cell, 0, 0) for cell in range(9)] + [(7, 1, 0), (8, 1, 0)]
    assert next_pack(pending, Capacity(4, 4, 4, 1)) == ((0, 0, 0), (1, 0, 0), (7, 1, 0), (8, 1, 0))


def test_packs_shrink_when_slots_share_the_end() -> None:
    pending = [(cell, 0, 0) for cell in range(40)]
    alone, shared = (len(next_pack(pending, Capacity(256, 256, 2, slots))) for slots in (1, 4))
    assert (alone, shared) == (20, 4)
