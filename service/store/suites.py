"""What is read from the store about suites."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.errors import NotFound
from service.lifecycle import Desired
from service.store.tables import Study, Suite, SuiteStudy


def find_suite(session: Session, suite_id: str) -> Suite:
    """The suite of that id.

    Raises:
        NotFound: there is none.
    """
    query = sa.select(Suite).where(Suite.id == suite_id)
    suite = session.scalar(query) if suite_id.isalnum() else None  # PostgreSQL cannot be asked for every text
    if suite is None:
        raise NotFound(f"there is no suite {suite_id[:40]!r}")
    return suite


def list_suites(session: Session, limit: int, before: int | None) -> Sequence[Suite]:
    """Suites from the newest on, at most `limit`, those older than ordinal `before` only."""
    query = sa.select(Suite).order_by(Suite.ordinal.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(Suite.ordinal < before)).all()


def suite_studies(session: Session, suite_id: str, lock: bool = False) -> list[tuple[str, Study | None]]:
    """Id and row of each study of a suite, in the suite's order; None for one that was deleted.

    With `lock`, nobody else changes the studies before the transaction ends.
    """
    ids = session.scalars(
        sa.select(SuiteStudy.study_id).where(SuiteStudy.suite_id == suite_id).order_by(SuiteStudy.position)
    ).all()
    query = sa.select(Study).where(Study.id.in_(ids), Study.desired != Desired.DELETE).order_by(Study.ordinal)
    found = {study.id: study for study in session.scalars(query.with_for_update() if lock else query)}
    return [(study_id, found.get(study_id)) for study_id in ids]
