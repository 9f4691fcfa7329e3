"""Scales of the figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.pages import wording
from service.pages.curves import evenly
from service.pages.dots import _swarm as swarm
from service.pages.scale import AccuracyScale, Scale, Tick, linear_values, round_values, spread

accuracies = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_scale_maps_ends_to_ends_and_the_middle_to_the_middle() -> None:
    scale = Scale(-2, 2, 10, 110)
    assert [scale(value) for value in (-2, 0, 2)] == [10, 60, 110]
    assert scale.holds(2)
    assert not scale.holds(2.01)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0, float("inf")), (float("nan"), 1)])
def test_scale_refuses_what_has_no_length(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="finite low < high"):
        Scale(low, high, 0, 1)


@given(accuracies, st.booleans())
def test_accuracies_keep_their_order_and_stay_inside(values: list[float], upwards: bool) -> None:
    start, end = (300.0, 10.0) if upwards else (10.0, 300.0)
    scale = AccuracyScale.around(values, start, end)
    places = [scale(value) for value in sorted(values)]
    assert places == sorted(places, reverse=upwards)
    assert all(10 <= place <= 300 for place in places)
    assert all(10 <= tick.at <= 300 for tick in scale.ticks())


def test_accuracies_near_100_percent_are_as_far_apart_as_lower_ones() -> None:
    scale = AccuracyScale.around([0.5, 0.999], 0, 300)
    assert scale(0.99) - scale(0.9) == pytest.approx(scale(0.9) - scale(0.0), abs=0.2)
    assert [tick.text for tick in scale.ticks()] == ["50", "80", "90", "95", "98", "99", "99.5", "99.8", "99.9"]


def test_perfect_score_is_drawn_near_the_others() -> None:
    scale = AccuracyScale.around([0.98, 0.999, 1.0], 0, 300)
    assert scale(0.999) < scale(1.0) < 300
    assert scale(1.0) - scale(0.999) < scale(0.999) - scale(0.98)


def test_narrow_range_has_marks_all_the_same() -> None:
    scale = AccuracyScale.around([0.9812, 0.9838], 0, 300)
    assert len(scale.ticks()) >= 3


def test_round_values_lie_in_their_range() -> None:
    assert round_values(0.004, 0.13) == [0.005, 0.01, 0.02, 0.05, 0.1]
    assert linear_values(-0.3, 4.2, 4) == [0, 2, 4]


def test_marks_keep_their_distance() -> None:
    assert spread([Tick(30, "b"), Tick(0, "a"), Tick(40, "c")], gap=20) == (Tick(0, "a"), Tick(30, "b"))


@given(st.integers(1, 500), st.integers(1, 60))
def test_evenly_keeps_first_and_last(count: int, most: int) -> None:
    found = evenly(count, most)
    assert found[0] == 0
    assert len(found) <= most
    assert found == sorted(set(found))
    assert most == 1 or found[-1] == count - 1


@given(st.lists(st.floats(0, 400), min_size=1, max_size=30).map(sorted))
def test_dots_overlap_only_where_every_seat_is_taken(places: list[float]) -> None:
    moved = swarm(places)
    assert [x for x, _ in moved] == places
    levels = len({y for _, y in moved})
    if levels < 7:  # there was a free seat for each
        for i, (x, y) in enumerate(moved):
            assert all(abs(x - other) >= 6 - 1e-9 or abs(y - height) >= 4.9 for other, height in moved[:i])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59.4, "59 s"), (61, "1 min 1 s"), (1800, "30 min"), (3 * 3600, "3 h 0 min"), (2e6, "23 days 3 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.9, "0.9"), (0.87403, "0.874"), (0.99, "0.99"), (0.98766, "0.988"), (0.99991, "0.99991")],
)
def test_momentum_keeps_what_it_is_away_from_one(value: float, text: str) -> None:
    assert wording.momentum(value) == text


def test_numbers_as_a_person_reads_them() -> None:
    assert wording.percent(0.98766) == "98.77 %"
    assert wording.signed(-0.0012) == "−0.12"
    assert wording.points(None) == "–"
    assert wording.count(1, "training") == "1 training"
    assert wording.count(12_100, "training") == "12,100 trainings"
    with pytest.raises(ValueError, match="a text and a meaning"):
        wording.Fact("1", "")
