"""Two studies of the store that share replicates, read for their comparison."""

import json
from collections.abc import Sequence

from sqlalchemy.orm import Session

from service.errors import Conflict, Invalid
from service.store.engine import Store
from service.store.queries import find_study, list_studies, scores
from service.store.tables import Study
from studies.fields import Problem
from studies.pair_answer import SHARED, Member, shared_columns, unshared
from studies.spec import StudySpec


def read_pair(store: Store, study_id: str, other_id: str) -> tuple[Member, Member, int | None]:
    """Read what a pair is compared from: both studies and the number of images.

    Raises:
        NotFound: no such study.
        Invalid: a study against itself, or studies that do not share data, model, folds or seed.
        Conflict: no replicate is complete in both yet.
    """
    if study_id == other_id:
        raise Invalid([Problem("other", "must be another study")])
    with store.read() as session:
        rows = [find_study(session, key) for key in (study_id, other_id)]
        first, second = (
            Member(row.id, StudySpec.from_json_text(row.spec), tuple(scores(session, row.id)), row.looks)
            for row in rows
        )
        files, images = [row.dataset_sha256 for row in rows], rows[0].images
    problems = unshared(first.spec, second.spec)
    if not problems and None not in files and files[0] != files[1]:
        problems = [Problem("dataset_sha256", f"must be the same in both studies, not {files[0]} and {files[1]}")]
    if problems:
        raise Invalid(problems)
    if not shared_columns(first, second):
        raise Conflict("no (fold, run) has a score in every cell of both studies yet")
    return first, second, images


def partners(session: Session, study_id: str, among: int) -> Sequence[Study]:
    """Studies with trainings that one with trainings can be compared with, the newest first.

    Args:
        session: reads the store.
        study_id: an existing study.
        among: how many of the newest studies are looked at.
    """
    own = find_study(session, study_id)
    if not own.done:
        return []
    shared = _shared(own)
    rows = list_studies(session, among, None, None)
    return [row for row in rows if row.id != study_id and row.done and _shared(row) == shared]


def _shared(row: Study) -> list[object]:
    """What the replicates of a study have to share with those of another; unchecked, as its model may be gone."""
    spec = json.loads(row.spec)
    return [spec[name] for name in SHARED]
