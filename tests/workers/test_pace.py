"""The size of packs that are to take about a minute."""

import pytest

from workers.pace import Pace


@pytest.mark.parametrize(
    ("members", "seconds", "then"),
    [
        (10, 60.0, 10),
        (10, 30.0, 20),
        (10, 300.0, 2),
        (10, 3_000.0, 2),  # never less than trains at once
        (9, 60.0, 10),  # whole rounds
        (10, 1.0, 40),  # four times as many at most
        (200, 1.0, 500),  # and no more than fit
    ],
)
def test_the_next_pack_takes_about_a_minute(members: int, seconds: float, then: int) -> None:
    pace = Pace(first=10, at_once=2, most=500)
    assert pace.members == 10
    pace.took(members, seconds)
    assert pace.members == then


@pytest.mark.parametrize("seconds", [0.1, 1_000.0])
def test_a_fixed_pace_stays(seconds: float) -> None:
    pace = Pace.fixed(605)
    pace.took(605, seconds)
    pace.took(3, seconds)
    assert pace.members == 605
