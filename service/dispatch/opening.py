"""Opening a queued study: its data set is prepared, then its cells are stored."""

from pathlib import Path

from sqlalchemy.orm import Session

from service.dispatch import accept
from service.dispatch.chores import Chores
from service.dispatch.leader import Leadership
from service.lifecycle import Desired, Status
from service.store.tables import Study
from studies.datasets.errors import DatasetError
from studies.datasets.load import load
from studies.datasets.prepare import prepare
from studies.datasets.prepared_file import PreparedFile
from studies.spec import StudySpec


class Opening:
    """Prepares data sets in another thread and remembers where the files lie."""

    def __init__(self, leadership: Leadership, chores: Chores, data: Path) -> None:
        self._leadership = leadership
        self._chores = chores
        self._data = data
        self._busy: set[str] = set()
        self._paths: dict[str, Path] = {}

    def path(self, study: Study) -> Path | None:
        """The prepared file of an opened study; None while it is not known."""
        return None if study.dataset_sha256 is None else self._paths.get(study.dataset_sha256)

    def open(self, studies: list[Study]) -> None:
        """Start what is missing for studies that want to run."""
        for study in studies:
            wants = study.desired == Desired.RUN and study.status in (Status.QUEUED, Status.RUNNING)
            if wants and study.id not in self._busy and self.path(study) is None:
                self._busy.add(study.id)
                self._prepare(study.id, accept.plan(study.spec)[0], study.dataset_sha256)

    def _prepare(self, study_id: str, spec: StudySpec, pinned: str | None) -> None:
        def work() -> PreparedFile:
            file = prepare(spec.dataset, spec.folds, self._data)
            if pinned not in (None, file.sha256):
                raise DatasetError(f"{spec.dataset} has changed since the study began (it was {pinned})")
            _check_batches(spec, file)
            return file

        def opened(file: PreparedFile) -> None:
            with self._leadership.transaction() as session:
                if _exists(session, study_id):
                    accept.open_study(session, study_id, file.sha256)
            self._paths[file.sha256] = file.path
            self._busy.discard(study_id)

        def failed(error: Exception) -> None:
            with self._leadership.transaction() as session:
                if _exists(session, study_id):
                    accept.fail_study(session, study_id, f"dataset: {error}")
            self._busy.discard(study_id)

        self._chores.start(work, opened, failed)


def _check_batches(spec: StudySpec, file: PreparedFile) -> None:
    dataset = load(file.path, file.sha256)
    least = min(len(dataset.split(fold).train_index) for fold in range(spec.folds_used))
    if spec.batch_size > least:
        raise DatasetError(f"batch_size must be at most the {least:,} training images of a fold, not {spec.batch_size}")


def _exists(session: Session, study_id: str) -> bool:
    return session.query(Study.ordinal).filter(Study.id == study_id).first() is not None
