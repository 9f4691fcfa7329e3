"""What is known of the speed of workers."""

import pytest
from packing_simulation import CLASS, study

from service.dispatch.accept import plan
from service.dispatch.pace import Cost, Pace, cost
from workers.capacity import Offer

SMALL, LARGE = Offer(CLASS, 2, 4_096, 0.6), Offer(CLASS, 64, 4_096, 19.2)


def cost_of(**changes: object) -> Cost:
    return cost(plan(study(**changes).spec)[0])


USUAL = cost_of()


def train(pace: Pace, name: str, offer: Offer, cost: Cost, members: int, seconds: float) -> None:
    pace.measured(name, offer, cost, members)(seconds)


def rates(pace: Pace, cost: Cost = USUAL, **offers: Offer) -> dict[str, float]:
    return {name: round(rate, 3) for name, rate in pace.rates(offers, CLASS, cost).items()}


def networks(pace: Pace, name: str, offer: Offer, cost: Cost = USUAL) -> int:
    return pace.pack_networks(name, offer, cost, pace.rates({name: offer}, CLASS, cost)[name])


def test_before_anything_is_measured_the_announcement_counts_and_packs_are_the_smallest() -> None:
    pace = Pace(20)
    assert rates(pace, small=SMALL, large=LARGE) == {"small": 0.6, "large": 19.2}
    assert (networks(pace, "small", SMALL), networks(pace, "large", LARGE)) == (2, 64)
    assert not pace.knows(CLASS, USUAL)


def test_workers_of_one_class_do_not_share_an_average() -> None:
    pace = Pace(20)
    train(pace, "small", SMALL, USUAL, members=2, seconds=3.2)
    train(pace, "large", LARGE, USUAL, members=64, seconds=3.2)
    assert rates(pace, small=SMALL, large=LARGE) == {"small": 0.625, "large": 20}
    assert (networks(pace, "small", SMALL), networks(pace, "large", LARGE)) == (12, 400)


@pytest.mark.parametrize(
    "changes",
    [{"batch_size": 16}, {"loss": "sse"}, {"epochs": 30}, {"folds": 10}, {"bn_statistics": "moving"}],
)
def test_studies_of_another_cost_are_measured_by_themselves(changes: dict[str, object]) -> None:
    pace, other = Pace(20), cost_of(**changes)
    train(pace, "w", SMALL, USUAL, members=2, seconds=1)
    train(pace, "w", SMALL, other, members=2, seconds=50)
    assert (networks(pace, "w", SMALL), networks(pace, "w", SMALL, other)) == (40, 1)


def test_what_does_not_set_the_cost_does_not_matter() -> None:
    assert cost_of(name="another", seed=7, priority=3, runs=4) == USUAL


def test_a_worker_that_was_not_measured_is_taken_for_the_others_by_what_it_trains_at_once() -> None:
    pace = Pace(20)
    train(pace, "small", SMALL, USUAL, members=2, seconds=4)
    assert rates(pace, large=LARGE) == {"large": 16}
    assert networks(pace, "large", LARGE) == 64  # to be measured with: nothing says that it is as fast


def test_a_slow_worker_is_known_for_slow_when_the_next_study_comes() -> None:
    pace, other = Pace(20), cost_of(batch_size=16)
    for _ in range(4):
        for name, seconds in (("a", 1.0), ("b", 1.0), ("slow", 10.0)):
            train(pace, name, SMALL, USUAL, members=2, seconds=seconds)
    train(pace, "a", SMALL, other, members=2, seconds=5)
    found = rates(pace, other, b=SMALL, slow=SMALL)
    assert found["slow"] == pytest.approx(found["b"] / 10, rel=0.1)
    assert networks(pace, "b", SMALL, other) == pytest.approx(8, abs=1)


def test_a_pack_that_fills_a_part_of_the_device_says_little_of_it() -> None:
    pace = Pace(20)
    train(pace, "large", LARGE, USUAL, members=64, seconds=4)
    train(pace, "large", LARGE, USUAL, members=1, seconds=4)
    assert rates(pace, large=LARGE) == {"large": 16}
    first = Pace(20)
    train(first, "large", LARGE, USUAL, members=1, seconds=4)  # better than nothing, and each network had a lane
    assert rates(first, large=LARGE) == {"large": 16}


def test_a_round_that_is_not_full_counts_as_one() -> None:
    pace = Pace(20)
    train(pace, "large", LARGE, USUAL, members=65, seconds=8)
    assert rates(pace, large=LARGE) == {"large": 16}
