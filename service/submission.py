"""Turning a request into a stored study, once."""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.errors import Invalid, TooMany
from service.lifecycle import Desired
from service.store.engine import Store
from service.store.queries import count_going_on
from service.store.tables import IdempotencyKey, Study
from studies.datasets import registry
from studies.datasets.errors import DatasetError
from studies.datasets.prepare import check_available
from studies.fields import Problem, SpecError
from studies.grid import Cell, cells
from studies.spec import StudySpec

MAX_KEY = 200


@dataclass(frozen=True)
class Submitter:
    """Who submits."""

    token: str = ""
    """Id of their token; empty without one."""
    most: int | None = None
    """Studies that they may have that have not ended; None: no limit."""


ANYBODY = Submitter()


@dataclass(frozen=True)
class Checked:
    """A specification that can be run here."""

    spec: StudySpec
    cells: tuple[Cell, ...]

    @property
    def trainings(self) -> int:
        """How many trainings the study makes."""
        return len(self.cells) * self.spec.replicates_per_cell


def check(document: object, data: Path) -> Checked:
    """Check everything about a specification that can be known before it runs.

    Args:
        document: parsed JSON.
        data: the data folder.

    Raises:
        Invalid: every broken rule with its field.
    """
    try:
        spec = StudySpec.from_json(document)
        checked = Checked(spec, cells(spec))
    except SpecError as error:
        raise Invalid(error.problems) from error
    images = registry.get(spec.dataset).images
    if images is not None:
        least = images - -(-images // spec.folds)
        if spec.batch_size > least:
            rule = f"must be at most the {least:,} training images of a fold, not {spec.batch_size:,}"
            raise Invalid([Problem("batch_size", rule)])
    try:
        check_available(spec.dataset, data)
    except DatasetError as error:
        raise Invalid([Problem("dataset", str(error))]) from error
    return checked


def check_key(key: str | None) -> None:
    """Refuse an Idempotency-Key that cannot be stored.

    Raises:
        Invalid: it is empty or too long.
    """
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise Invalid([Problem("Idempotency-Key", f"must have 1 to {MAX_KEY} characters")])


def own_key(key: str, by: Submitter) -> str:
    """What is stored of an Idempotency-Key: keys of different tokens have nothing to do with each other."""
    return hashlib.sha256(f"{by.token}:{key}".encode()).hexdigest() if by.token else key


def check_queue(session: Session, more: int, by: Submitter) -> None:
    """Refuse studies for which somebody has too many others waiting.

    Raises:
        TooMany: they would have more than `by.most` that have not ended.
    """
    if by.most is not None and (waiting := count_going_on(session, by.token)) + more > by.most:
        whose = "of this token" if by.token else "submitted without a token"
        raise TooMany(f"{waiting:,} studies {whose} have not ended; GOLDENBENCH_MAX_QUEUED allows {by.most:,}")


def submit(store: Store, checked: Checked, key: str | None, by: Submitter = ANYBODY) -> tuple[Study, bool]:
    """Store a study, or find the one that the same key made.

    Args:
        store: the database.
        checked: from `check`.
        key: the request's Idempotency-Key.
        by: who sent the request.

    Returns:
        The stored study, and whether this call made it. It is committed.

    Raises:
        Invalid: the key was used for another specification, or is too long.
        TooMany: see `check_queue`; a repeated request that made its study before is not refused.
    """
    check_key(key)
    try:
        with store.write("submit") as session:
            return _submit(session, checked, key, by)
    except IntegrityError:  # another process stored the same key since we looked
        with store.write("submit") as session:
            return _submit(session, checked, key, by)


def _submit(session: Session, checked: Checked, key: str | None, by: Submitter) -> tuple[Study, bool]:
    request = hashlib.sha256(checked.spec.canonical().encode()).hexdigest()
    if key is not None:
        earlier = study_of_key(session, own_key(key, by), request)
        if earlier is not None:
            return earlier, False
    check_queue(session, 1, by)
    study = insert_study(session, checked, by)
    if key is not None:
        session.add(IdempotencyKey(key=own_key(key, by), request_sha256=request, study_id=study.id))
    return study, True


def insert_study(session: Session, checked: Checked, by: Submitter) -> Study:
    """Add a queued study to a transaction."""
    spec = checked.spec
    study = Study(
        id=secrets.token_hex(6),
        name=spec.name,
        fingerprint=spec.fingerprint,
        spec=spec.canonical(),
        priority=spec.priority,
        runs=spec.runs,
        total=checked.trainings,
        token=by.token or None,
    )
    session.add(study)
    session.flush()
    session.refresh(study)
    return study


def study_of_key(session: Session, key: str, request: str) -> Study | None:
    """The study that a key made; the key of a deleted one is free again."""
    used = session.get(IdempotencyKey, key)
    if used is None:
        return None
    study = session.scalar(sa.select(Study).where(Study.id == used.study_id, Study.desired != Desired.DELETE))
    if study is None:
        session.delete(used)
        session.flush()
    elif used.request_sha256 != request:
        rule = f"was used for another specification (study {used.study_id})"
        raise Invalid([Problem("Idempotency-Key", rule)])
    return study
