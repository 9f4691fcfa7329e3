"""Suites: turning a request into a stored suite with its studies, cancelling it, and reading what its table needs."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service import submission
from service.errors import Conflict, Invalid
from service.lifecycle import TERMINAL, Action, Status, wish
from service.store.engine import Store
from service.store.queries import scores
from service.store.suites import find_suite, suite_studies
from service.store.tables import Study, Suite, SuiteStudy
from studies.fields import Problem, SpecError
from studies.suite import SuiteSpec
from studies.suite_table import DELETED, Member


@dataclass(frozen=True)
class CheckedSuite:
    """A suite that can be run here."""

    spec: SuiteSpec
    studies: tuple[submission.Checked, ...]


def check(document: object, data: Path) -> CheckedSuite:
    """Check everything about a suite that can be known before it runs.

    Args:
        document: parsed JSON.
        data: the data folder.

    Raises:
        Invalid: every broken rule with its field.
    """
    try:
        spec = SuiteSpec.from_json(document)
    except SpecError as error:
        raise Invalid(error.problems) from error
    studies, problems = [], []
    for index, study in enumerate(spec.studies):
        try:
            studies.append(submission.check(study, data))
        except Invalid as error:
            problems += [Problem(f"studies[{index}].{broken.field}", broken.rule) for broken in error.problems]
    if problems:
        raise Invalid(problems)
    return CheckedSuite(spec, tuple(studies))


def submit(
    store: Store, checked: CheckedSuite, key: str | None, by: submission.Submitter = submission.ANYBODY
) -> Suite:
    """Store a suite and its studies in one transaction, or find the suite that the same key made.

    Args:
        store: the database.
        checked: from `check`.
        key: the request's Idempotency-Key; keys of suites and of studies have nothing to do with each other.
        by: who sent the request.

    Returns:
        The stored suite. It is committed.

    Raises:
        Invalid: the key was used for another specification, or is too long.
        TooMany: see `submission.check_queue`.
    """
    submission.check_key(key)
    try:
        with store.write("submit-suite") as session:
            return _submit(session, checked, key, by)
    except IntegrityError:  # another process stored the same key since we looked
        with store.write("submit-suite") as session:
            return _submit(session, checked, key, by)


def _submit(session: Session, checked: CheckedSuite, key: str | None, by: submission.Submitter) -> Suite:
    text = checked.spec.canonical()
    key = None if key is None else submission.own_key(key, by)
    earlier = None if key is None else session.scalar(sa.select(Suite).where(Suite.key == key))
    if earlier is not None:
        if earlier.spec != text:
            rule = f"was used for another specification (suite {earlier.id})"
            raise Invalid([Problem("Idempotency-Key", rule)])
        return earlier
    submission.check_queue(session, len(checked.studies), by)
    suite = Suite(id=secrets.token_hex(6), name=checked.spec.name, spec=text, key=key)
    session.add(suite)
    session.flush()
    for position, study in enumerate(checked.studies):
        study_id = submission.insert_study(session, study, by).id
        session.add(SuiteStudy(suite_id=suite.id, position=position, study_id=study_id))
    session.flush()
    session.refresh(suite)
    return suite


def cancel(session: Session, suite_id: str) -> None:
    """Write the wish to cancel every study that has not ended.

    Raises:
        NotFound: no such suite.
        Conflict: all of its studies have ended.
    """
    suite = find_suite(session, suite_id)
    studies = [study for _, study in suite_studies(session, suite.id, lock=True) if study is not None]
    going_on = [study for study in studies if study.shown not in TERMINAL]
    if not going_on:
        raise Conflict("every study of the suite has ended")
    for study in going_on:
        study.desired = wish(Action.CANCEL, study.shown).value
        session.execute(sa.update(Study).where(Study.id == study.id).values(revision=Study.revision + 1))
    session.flush()


def shown(statuses: Sequence[Status | None]) -> Status:
    """The status of a suite: that of its studies together.

    Args:
        statuses: what a user sees of each study; None for one that was deleted.

    Returns:
        While a study goes on: `paused` if all of those are, `running` if one runs or has ended, else `queued`.
        Afterwards `failed` if one failed, `cancelled` if one was cancelled or deleted, else `completed`.
    """
    going_on = {status for status in statuses if status is not None and status not in TERMINAL}
    if going_on == {Status.PAUSED}:
        return Status.PAUSED
    if going_on:
        begun = Status.RUNNING in going_on or len(going_on) < len(set(statuses))
        return Status.RUNNING if begun else Status.QUEUED
    if Status.FAILED in statuses:
        return Status.FAILED
    return Status.COMPLETED if set(statuses) == {Status.COMPLETED} else Status.CANCELLED


def table_input(session: Session, suite_id: str) -> tuple[SuiteSpec, list[Member], Status]:
    """What a suite's table is computed from, and the suite's status.

    Raises:
        NotFound: no such suite.
    """
    suite = find_suite(session, suite_id)
    spec = SuiteSpec.from_json_text(suite.spec)
    members = []
    studies = suite_studies(session, suite.id)
    for own, (study_id, study) in zip(spec.studies, studies, strict=True):
        if study is None:
            members.append(Member(study_id, DELETED, own.runs, None, None, 1, ()))
            continue
        cells = {spec.cell(row).index for row in spec.rows if row.study == own.name}
        stored = tuple(scores(session, study_id, cells))
        members.append(
            Member(study_id, study.shown.value, study.runs, study.images, study.dataset_sha256, study.looks, stored)
        )
    return spec, members, shown([None if study is None else study.shown for _, study in studies])
