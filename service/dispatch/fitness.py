"""Which worker can train which study, and what to tell whoever waits for one. Pure functions."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from service.dispatch.accept import plan
from service.dispatch.cluster import Slot
from service.store.tables import Study
from studies.fields import SpecError
from studies.models.registry import code_of
from workers.capacity import Offer
from workers.tasks import Announcement


@dataclass(frozen=True)
class Wants:
    """What a study asks of a worker."""

    model: str
    engine: str
    precision: str
    bn_statistics: str
    numeric_class: str | None
    """To which it is pinned."""


def wants(study: Study) -> Wants:
    """What a study asks of a worker."""
    spec = plan(study.spec)[0]
    return Wants(spec.model, spec.engine, spec.precision, spec.bn_statistics, study.numeric_class)


def unreadable(study: Study) -> str | None:
    """Why this service cannot read a stored specification; None if it can.

    What was valid when it was stored is invalid once the package of its model or data set is gone.
    """
    try:
        plan(study.spec)
    except SpecError as error:
        return f"needs what is not installed here: {error}"
    return None


def offer_of(wanted: Wants, worker: Announcement) -> Offer | None:
    """What a worker would give a study; None if it cannot train it, or not in the pinned class.

    A worker's package of a model has to be the service's own version, or a study would be trained on code that the
    service does not know.
    """
    if worker.models.get(wanted.model) != code_of(wanted.model):
        return None
    found = worker.offers.get(f"{wanted.model}/{wanted.engine}/{wanted.precision}/{wanted.bn_statistics}")
    return found if found is None or wanted.numeric_class in (None, found.numeric_class) else None


def offers_for(wanted: Wants, slots: Sequence[Slot]) -> dict[str, dict[str, Offer]]:
    """What slots would give a study, by numeric class and worker."""
    offers: dict[str, dict[str, Offer]] = defaultdict(dict)
    for slot in slots:
        found = offer_of(wanted, slot.announcement)
        if found is not None:
            offers[found.numeric_class][slot.name] = found
    return offers


def what_lacks(wanted: Wants, workers: Sequence[Announcement]) -> str | None:
    """Why none of the workers can train a study; None if one can."""
    if any(offer_of(wanted, worker) is not None for worker in workers):
        return None
    code = code_of(wanted.model)
    told = wanted.numeric_class or f"engine {wanted.engine}, precision {wanted.precision}"
    told = f"waits for a worker that can train it: {told}"
    if not code or any(worker.models.get(wanted.model) == code for worker in workers):
        return told
    have = sorted({worker.models.get(wanted.model, "no such model") for worker in workers})
    broken = sorted({problem for worker in workers for problem in worker.problems})
    return "; ".join([f"{told}, model {wanted.model} of {code}, where the workers have {', '.join(have)}", *broken])
