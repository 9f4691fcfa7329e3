"""Devices of any speed end together: the real planner in simulated time."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_simulation import GAP_SECONDS, NOISE, Device, Dispatching, Outcome, simulate

from service.planner import Pending

PACK_SECONDS = 20.0
FAST = Device(64, 12.0)
SLOW = Device(64, 120.0)
GPU = Device(132, 2.6)
SLOW_GPU = Device(132, 26.0)
LEAST_ROUNDS = 4
"""Of the longest packs, that a study has for all its devices: with less they cannot be busy to the end."""
DEVICES = st.builds(Device, st.sampled_from([1, 2, 8, 64, 132]), st.floats(0.05, 15))


def trained(devices: list[Device], seconds: float, seed: int = 0) -> Outcome:
    """A study that takes the devices so long, if they are never idle."""
    trainings = max(1, round(seconds * sum(device.rate for device in devices)))
    pending = Pending([-(-trainings // 10)] * 10, 1, ())
    return simulate(devices, pending, Dispatching(devices, PACK_SECONDS), Random(seed))


def longest_pack(devices: list[Device]) -> float:
    """How long a pack may last: as long as it should, or, where a single training takes longer, that."""
    return max(PACK_SECONDS, *(device.seconds for device in devices)) * (1 + NOISE) + GAP_SECONDS


@pytest.mark.parametrize(
    ("devices", "least"),
    [
        ([FAST] * 8, 0.96),
        ([GPU] * 8, 0.96),
        ([Device(2, 3.26)] * 16, 0.98),
        ([FAST] * 7 + [SLOW], 0.96),
        ([GPU] * 7 + [SLOW_GPU], 0.96),
        ([Device(2, 3.26), Device(64, 3.26)], 0.98),
        ([Device(2, 3.26)] * 4 + [Device(64, 3.26)] * 4, 0.97),
    ],
)
def test_devices_are_busy_and_end_within_a_pack_of_each_other(devices: list[Device], least: float) -> None:
    for seed in range(2):
        outcome = trained(devices, 480, seed)
        assert outcome.efficiency >= least
        assert outcome.apart_seconds <= longest_pack(devices)


def test_short_trainings_on_a_fast_machine_fill_packs() -> None:
    outcome = trained([Device(64, 0.1)], 200)
    assert sorted(seconds for *_, seconds in outcome.packs)[-5] > PACK_SECONDS / 4
    assert outcome.efficiency > 0.95


@settings(max_examples=100, deadline=None)
@given(st.lists(DEVICES, min_size=1, max_size=10), st.integers(0, 1_000))
def test_any_devices_end_together(devices: list[Device], seed: int) -> None:
    """Within one pack and a half: one of 64 networks at once cannot share the last 63 with one of a single network."""
    longest = longest_pack(devices)
    outcome = trained(devices, LEAST_ROUNDS * longest, seed)
    assert max(seconds for *_, seconds in outcome.packs) <= 2 * longest
    assert outcome.apart_seconds <= 1.5 * longest
