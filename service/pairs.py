"""Two studies of the store that share replicates, read for their comparison."""

from service.errors import Conflict, Invalid
from service.store.engine import Store
from service.store.queries import find_study, scores
from studies.fields import Problem
from studies.pair_answer import Member, shared_columns, unshared
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
