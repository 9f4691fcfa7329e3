"""Which slots serve which study, and how much of what is pending each takes."""

import time

import pytest
from packing_simulation import Device, slot, study

from service.dispatch.accept import plan
from service.dispatch.allotment import Allotment, allot
from service.dispatch.cluster import Slot
from service.dispatch.pace import Pace, cost
from service.store.tables import Study

CPU, CUDA = "packed-cpu", "packed-cuda"
PAIR = Device(2, 3.0)
USUAL = cost(plan(study().spec)[0])


def measured(pace: Pace, slots: list[Slot], seconds: float, **changes: object) -> None:
    """Each has trained as many as it does at once."""
    costs = cost(plan(study(**changes).spec)[0])
    for one in slots:
        (offer,) = one.announcement.offers.values()
        pace.measured(one.name, offer, costs, offer.at_once)(seconds)


def of(studies: list[Study], slots: list[Slot], pace: Pace | None = None, may_pin: bool = True) -> dict[str, Allotment]:
    return allot(studies, slots, pace or Pace(20), may_pin)


def test_equal_slots_share_equally() -> None:
    slots = [slot(f"w{i}", PAIR) for i in range(4)]
    found = of([study()], slots)["study"]
    assert [found.capacity(one.name).share for one in slots] == [0.25] * 4
    assert found.sparing == {}


def test_a_share_follows_the_rate() -> None:
    small, large = slot("small", PAIR), slot("large", Device(64, 3.0))
    found = of([study()], [small, large])["study"]
    assert found.capacity("small").share == pytest.approx(2 / 66)
    assert found.capacity("large").share == pytest.approx(64 / 66)


def test_slots_that_cannot_serve_a_study_do_not_count() -> None:
    slots = [slot("a", PAIR, CPU), slot("b", PAIR, CPU), *(slot(f"g{i}", PAIR, CUDA) for i in range(6))]
    found = of([study(numeric_class=CPU)], slots)["study"]
    assert sorted(found.offers) == ["a", "b"]
    assert found.capacity("a").share == 0.5


def test_slots_count_for_as_much_as_other_studies_leave_of_them() -> None:
    shared, own = [slot(f"s{i}", PAIR, CPU) for i in range(2)], [slot(f"o{i}", PAIR, CUDA) for i in range(2)]
    studies = [study("a", numeric_class=CPU), study("b", numeric_class=CPU), study("c", numeric_class=CUDA)]
    found = of(studies, [*shared, *own])
    assert found["a"].total == found["b"].total == found["c"].total / 2
    assert found["a"].capacity("s0").share == 1.0
    assert found["c"].capacity("o0").share == 0.5


def test_a_higher_priority_has_its_slots_for_itself() -> None:
    slots = [slot(f"w{i}", PAIR) for i in range(2)]
    found = of([study("urgent", priority=1), study("other")], slots)
    assert found["urgent"].capacity("w0").share == found["other"].capacity("w0").share == 0.5
    extra = [*slots, slot("own", PAIR, CUDA)]
    found = of([study("urgent", priority=1, numeric_class="made up"), study("other", numeric_class=CUDA)], extra)
    assert found["other"].capacity("own").share == 1.0


def test_a_study_begins_with_the_numeric_class_that_trains_it_fastest_altogether() -> None:
    slow, gpus = slot("early", PAIR, CPU, rate=0.6), [slot(f"g{i}", Device(132, 2.6), CUDA, rate=50) for i in range(2)]
    assert of([study()], [slow, *gpus])["study"].numeric_class == CUDA
    many = [slot(f"c{i}", Device(64, 3.0), CPU, rate=20) for i in range(8)]
    assert of([study()], [*many, *gpus])["study"].numeric_class == CPU
    assert of([study(numeric_class=CUDA)], [*many, *gpus])["study"].numeric_class == CUDA


def test_measurements_decide_over_the_class_once_all_have_been_measured() -> None:
    pace, cpus, gpu = Pace(20), [slot("c", PAIR, CPU, rate=0.6)], [slot("g", Device(132, 2.6), CUDA, rate=50)]
    measured(pace, gpu, seconds=1_000)
    assert of([study()], cpus + gpu, pace)["study"].numeric_class == CUDA  # the other one is not comparable
    measured(pace, cpus, seconds=3)
    assert of([study()], cpus + gpu, pace)["study"].numeric_class == CPU


def test_a_study_does_not_begin_before_the_workers_are_there() -> None:
    studies = [study("new"), study("old", numeric_class="made up")]
    assert sorted(of(studies, [slot("w", PAIR)], may_pin=False)) == ["old"]


def test_a_study_that_no_slot_can_serve_gets_none() -> None:
    assert of([study(engine="reference")], [slot("w", PAIR)]) == {}
    assert of([study()], []) == {}


def test_a_slow_slot_leaves_the_end_to_fast_ones_and_they_do_not_leave_it_to_each_other() -> None:
    pace, fast, slow = Pace(20), [slot(f"f{i}", Device(64, 12.0)) for i in range(7)], slot("slow", Device(64, 120.0))
    measured(pace, fast, seconds=12)
    measured(pace, [slow], seconds=120)
    found = of([study()], [*fast, slow], pace)["study"]
    assert found.sparing["slow"] == pytest.approx((120 - 24) * 7 * 64 / 12 / 2, abs=1)
    assert [found.sparing[one.name] for one in fast] == [0] * 7


def test_a_look_at_many_slots_and_studies_is_quick() -> None:
    pace, slots = Pace(20), [slot(f"w{i}", PAIR) for i in range(256)]
    measured(pace, slots, seconds=3)
    studies = [study(f"s{i}", epochs=1 + i % 4) for i in range(100)]
    of(studies, slots, pace)  # specifications are parsed once
    began = time.perf_counter()
    found = of(studies, slots, pace)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    for one in slots:
        found["s0"].capacity(one.name)
    assert time.perf_counter() - began < 0.02  # a lease only reads
    assert seconds < 0.1
