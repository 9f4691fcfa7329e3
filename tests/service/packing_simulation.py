"""Devices of any speed that train a study by the real planner, in simulated time."""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from service_data import small

from service.dispatch.allotment import Allotment, allot
from service.dispatch.cluster import Slot
from service.dispatch.pace import Pace
from service.planner import Capacity, Pending
from service.store.tables import Study
from studies.models.registry import code_of
from studies.spec import StudySpec
from workers.capacity import MOST_MEMBERS, Offer
from workers.tasks import VERSION, Announcement

CLASS = "made up"
GAP_SECONDS = 0.1
"""Between the end of a pack and the beginning of the next one on the same slot."""
NOISE = 0.05
"""Most of a pack's time by which it is longer or shorter than the device's usual."""


@dataclass(frozen=True)
class Device:
    """What trains."""

    at_once: int
    seconds: float
    """Of a training, however many of them at once."""

    @property
    def rate(self) -> float:
        """Trainings per second."""
        return self.at_once / self.seconds

    def pack_seconds(self, members: int) -> float:
        """How long a pack lasts."""
        return math.ceil(members / self.at_once) * self.seconds


class Policy(Protocol):
    """How large packs are."""

    def capacity(self, device: int) -> Capacity:
        """Of the next pack of a device."""

    def measured(self, device: int, members: int) -> Callable[[float], None]:
        """Whom to tell the seconds of a pack."""


@dataclass
class Outcome:
    """What became of a study."""

    devices: Sequence[Device]
    trained: int = 0
    ends: dict[int, float] = field(default_factory=dict)
    """When each device ended its last pack."""
    packs: list[tuple[int, float, int, float]] = field(default_factory=list)
    """Device, beginning, members and seconds of each pack."""

    @property
    def seconds(self) -> float:
        """From the beginning to the last result."""
        return max(self.ends.values())

    @property
    def apart_seconds(self) -> float:
        """Between the first device that was out of work and the last."""
        return self.seconds - min(self.ends.get(device, 0.0) for device in range(len(self.devices)))

    @property
    def efficiency(self) -> float:
        """What the devices could have trained in a time without gaps, of what they had."""
        return self.trained / (self.seconds * sum(device.rate for device in self.devices))


class Dispatching:
    """The dispatcher's own policy, for one study that is alone.

    Args:
        devices: all of one numeric class.
        pack_seconds: how long a pack should last.
        pace: what is known from studies before.
    """

    def __init__(self, devices: Sequence[Device], pack_seconds: float, pace: Pace | None = None) -> None:
        self.pace = pace or Pace(pack_seconds)
        self._slots = [slot(f"w{index}", device) for index, device in enumerate(devices)]

    def capacity(self, device: int) -> Capacity:
        return self._allotment().capacity(f"w{device}")

    def measured(self, device: int, members: int) -> Callable[[float], None]:
        allotment, name = self._allotment(), f"w{device}"
        return self.pace.measured(name, allotment.offers[name], allotment.cost, members)

    def _allotment(self) -> Allotment:
        return allot([study()], self._slots, self.pace, may_pin=True)["study"]


def study(name: str = "study", priority: int = 0, numeric_class: str | None = None, **changes: object) -> Study:
    """A study as the dispatcher reads it."""
    spec = StudySpec.from_json(small(**changes)).canonical()
    return Study(id=name, priority=priority, ordinal=1, spec=spec, numeric_class=numeric_class)


def slot(name: str, device: Device, numeric_class: str = CLASS, rate: float | None = None) -> Slot:
    """A worker that announces a device, and nothing of how fast it is."""
    offer = Offer(numeric_class, device.at_once, MOST_MEMBERS, device.at_once * 0.3 if rate is None else rate)
    announcement = Announcement(
        device="cpu",
        device_name="made up",
        threads=device.at_once,
        offers={"paper-cnn/auto/fp32/population": offer},
        models={"paper-cnn": code_of("paper-cnn")},
        problems=(),
        pid=1,
        version=VERSION,
    )
    return Slot(f"tcp://{name}", name, announcement)


def simulate(devices: Sequence[Device], pending: Pending, policy: Policy, random: Random) -> Outcome:
    """Train until nothing is pending.

    Args:
        devices: all are free at the beginning.
        pending: what there is to train; emptied.
        policy: which decides over packs.
        random: of the noise.
    """
    outcome = Outcome(devices, trained=len(pending))
    # (when, device, its last pack's members, seconds); a device without a pack before has 0 members
    events = [(0.0, device, 0, 0.0) for device in range(len(devices))]
    idle: list[int] = []
    while events:
        now, device, members, seconds = heapq.heappop(events)
        if members:
            policy.measured(device, members)(seconds)
            now += GAP_SECONDS
        for free in (device, *idle):
            size = len(pending.next_pack(policy.capacity(free)))
            if size:
                took = devices[free].pack_seconds(size) * random.uniform(1 - NOISE, 1 + NOISE)
                heapq.heappush(events, (now + took, free, size, took))
                outcome.packs.append((free, now, size, took))
                outcome.ends[free] = now + took
        idle = sorted({*idle, device} - {event[1] for event in events})
    assert not len(pending)
    return outcome
