"""How the slots that are present share the studies that wait for them. Pure functions.

It is made once per look, for all studies that would train alike together, so that a lease only reads it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.dispatch.accept import plan
from service.dispatch.cluster import Slot
from service.dispatch.fitness import Wants, offers_for, wants
from service.dispatch.pace import Cost, Pace, cost
from service.planner import Capacity
from service.store.tables import Study
from workers.capacity import Offer


@dataclass(frozen=True)
class Allotment:
    """The slots that may get packs of a study, all of one numeric class; workers are keys of its mappings."""

    numeric_class: str
    offers: Mapping[str, Offer]
    rates: Mapping[str, float]
    """Trainings per second while a worker trains this study."""
    total: float
    """Trainings per second that all of them have for this study beside the others that they serve."""
    sparing: Mapping[str, int]
    """How many pending replicates, or fewer, a slot had better leave to faster ones; missing where it leaves none."""
    cost: Cost
    pace: Pace

    def capacity(self, worker: str) -> Capacity:
        """What a slot's next pack may be."""
        offer, rate = self.offers[worker], self.rates[worker]
        return Capacity(
            networks=offer.networks,
            networks_per_pack_time=self.pace.pack_networks(worker, offer, self.cost, rate),
            at_once=offer.at_once,
            share=min(1.0, rate / self.total),
            spared=self.sparing.get(worker, 0),
        )


Alike = tuple[Wants, Cost, int]
"""What studies have in common that get the same allotment; the last is their priority."""


def allot(studies: Sequence[Study], slots: Sequence[Slot], pace: Pace, may_pin: bool) -> dict[str, Allotment]:
    """Say for each study which slots serve it.

    Args:
        studies: that want slots.
        slots: that may be given packs.
        pace: what is known of their rates.
        may_pin: whether a study may begin, and with that be held to one numeric class for good.

    Returns:
        By study; those are missing that no slot can serve, or that may not begin yet.
    """
    alike: dict[Alike, list[str]] = defaultdict(list)
    for study in studies:
        wanted = wants(study)
        if may_pin or wanted.numeric_class is not None:
            alike[wanted, cost(plan(study.spec)[0]), study.priority].append(study.id)
    fitting = {wanted: offers_for(wanted, slots) for wanted in {key[0] for key in alike}}
    served: dict[Alike, dict[str, float]] = {}
    chosen: dict[Alike, dict[str, Offer]] = {}
    for key in alike:
        if fitting[key[0]]:
            chosen[key], served[key] = _most_capable(fitting[key[0]], key[1], pace)
    crowds = _crowds(served, {key: len(ids) for key, ids in alike.items()})
    made = {key: _allotment(key, chosen[key], served[key], crowds, pace) for key in served}
    return {study_id: made[key] for key in made for study_id in alike[key]}


def _most_capable(
    fitting: Mapping[str, Mapping[str, Offer]], cost: Cost, pace: Pace
) -> tuple[dict[str, Offer], dict[str, float]]:
    """Of the numeric classes that a study may be pinned to, the one whose slots together train fastest.

    Announced rates decide unless all classes have been measured, since the two do not compare.
    """
    rates = {name: pace.rates(offers, name, cost) for name, offers in fitting.items()}
    if len(fitting) > 1 and not all(pace.knows(name, cost) for name in fitting):
        totals = {name: sum(offer.rate for offer in offers.values()) for name, offers in fitting.items()}
    else:
        totals = {name: sum(found.values()) for name, found in rates.items()}
    best = max(sorted(totals), key=lambda name: totals[name])
    return dict(fitting[best]), rates[best]


def _crowds(served: Mapping[Alike, Mapping[str, float]], studies: Mapping[Alike, int]) -> dict[str, tuple[int, int]]:
    """For each worker the highest priority that it serves, and how many studies of that priority share it."""
    crowds: dict[str, tuple[int, int]] = {}
    for key, rates in served.items():
        for worker in rates:
            highest, count = crowds.get(worker, (key[2], 0))
            if key[2] >= highest:
                crowds[worker] = key[2], studies[key] + (count if key[2] == highest else 0)
    return crowds


def _allotment(
    key: Alike,
    offers: Mapping[str, Offer],
    rates: Mapping[str, float],
    crowds: Mapping[str, tuple[int, int]],
    pace: Pace,
) -> Allotment:
    """What studies that are alike get of the slots that may serve them."""
    _, cost, priority = key
    serving = {
        worker: rate / crowds[worker][1] if crowds[worker][0] == priority else 0.0 for worker, rate in rates.items()
    }
    if not any(serving.values()):  # studies of a higher priority have them all; what they leave, these share
        serving = dict(rates)
    return Allotment(
        numeric_class=next(iter(offers.values())).numeric_class,
        offers=offers,
        rates=rates,
        total=sum(serving.values()),
        sparing=_sparing({worker: offers[worker].at_once / rates[worker] for worker in rates}, serving),
        cost=cost,
        pace=pace,
    )


def _sparing(smallest_seconds: Mapping[str, float], serving: Mapping[str, float]) -> dict[str, int]:
    """How many pending replicates each slot leaves to those with a shorter smallest pack than its own.

    A pack takes half of the time that is left, so those are busy for as long as what is pending would take them, and
    then they train it; beginning and end may be a smallest pack more each. Among them the ones that leave something in
    turn are relieved sooner still.

    Args:
        smallest_seconds: of a worker's smallest pack.
        serving: trainings per second that a worker has for the study.
    """
    least = min(seconds for worker, seconds in smallest_seconds.items() if serving[worker])
    if max(smallest_seconds.values()) <= 2 * least:
        return {}
    sparing, faster = {}, 0.0
    for worker in sorted(smallest_seconds, key=lambda name: smallest_seconds[name]):
        sparing[worker] = max(0, int((smallest_seconds[worker] - 2 * least) * faster / 2))
        faster += serving[worker]
    return sparing
