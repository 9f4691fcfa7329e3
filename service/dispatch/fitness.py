"""Which worker can train which study, and what to tell whoever waits for one. Pure functions."""

from collections.abc import Sequence

from service.dispatch.accept import plan
from service.store.tables import Study
from studies.fields import SpecError
from studies.models.registry import code_of
from workers.tasks import Announcement


def unreadable(study: Study) -> str | None:
    """Why this service cannot read a stored specification; None if it can.

    What was valid when it was stored is invalid once the package of its model or data set is gone.
    """
    try:
        plan(study.spec)
    except SpecError as error:
        return f"needs what is not installed here: {error}"
    return None


def numeric_class_on(study: Study, worker: Announcement) -> str | None:
    """The numeric class that a worker would give a study; None if it cannot train it, or not in the pinned class.

    A worker's package of a model has to be the service's own version, or a study would be trained on code that the
    service does not know.
    """
    spec = plan(study.spec)[0]
    if worker.models.get(spec.model) != code_of(spec.model):
        return None
    found = worker.numeric_classes.get(f"{spec.model}/{spec.engine}/{spec.precision}/{spec.bn_statistics}")
    return found if study.numeric_class in (None, found) else None


def what_lacks(study: Study, workers: Sequence[Announcement]) -> str | None:
    """Why none of the workers can train a study; None if one can."""
    if any(numeric_class_on(study, worker) is not None for worker in workers):
        return None
    spec = plan(study.spec)[0]
    code = code_of(spec.model)
    wanted = study.numeric_class or f"engine {spec.engine}, precision {spec.precision}"
    told = f"waits for a worker that can train it: {wanted}"
    if not code or any(worker.models.get(spec.model) == code for worker in workers):
        return told
    have = sorted({worker.models.get(spec.model, "no such model") for worker in workers})
    broken = sorted({problem for worker in workers for problem in worker.problems})
    return "; ".join([f"{told}, model {spec.model} of {code}, where the workers have {', '.join(have)}", *broken])
