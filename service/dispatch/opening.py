"""Opening a queued study: its data set is prepared, then its cells are stored."""

import time
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from service.dispatch import accept
from service.dispatch.chores import Chores
from service.dispatch.leader import Leadership
from service.lifecycle import Desired, Status
from service.store.tables import Study
from studies.datasets.errors import DatasetError
from studies.datasets.load import load_unchanged
from studies.datasets.prepare import prepare
from studies.datasets.prepared_file import PreparedFile
from studies.spec import StudySpec
from studies.training import check_batch

MOST_CLASSES = 64
"""Classes that every packed engine takes."""
RETRY_SECONDS = 30.0
"""Pause before a study that could not be opened is tried again."""

log = structlog.get_logger("goldenbench.opening")


class Opening:
    """Prepares data sets in another thread and remembers where the files lie."""

    def __init__(self, leadership: Leadership, chores: Chores, data: Path) -> None:
        self._leadership = leadership
        self._chores = chores
        self._data = data
        self._busy: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._paths: dict[str, Path] = {}

    def path(self, study: Study) -> Path | None:
        """The prepared file of an opened study; None while it is not known."""
        return None if study.dataset_sha256 is None else self._paths.get(study.dataset_sha256)

    def open(self, studies: list[Study]) -> None:
        """Start what is missing for studies that want to run."""
        for study in studies:
            wants = study.desired == Desired.RUN and study.status in (Status.QUEUED, Status.RUNNING)
            due = time.monotonic() >= self._not_before.get(study.id, 0.0)
            if wants and due and study.id not in self._busy and self.path(study) is None:
                self._busy.add(study.id)
                self._prepare(study.id, accept.plan(study.spec)[0], study.dataset_sha256)

    def _kept(self, spec: StudySpec, pinned: str | None) -> PreparedFile | None:
        """The file that a study began with, if it is still there and whole."""
        if pinned is None:
            return None
        path = self._data / "datasets" / f"{spec.dataset}-{spec.folds}-{pinned[:16]}.npz"
        try:
            load_unchanged(path, pinned)
        except (OSError, DatasetError):
            return None
        return PreparedFile(path, pinned)

    def _prepare(self, study_id: str, spec: StudySpec, pinned: str | None) -> None:
        def work() -> tuple[PreparedFile, int]:
            file = self._kept(spec, pinned) or prepare(spec.dataset, spec.folds, self._data)
            if pinned not in (None, file.sha256):
                raise DatasetError(f"{spec.dataset} has changed since the study began (it was {pinned})")
            return file, checked_images(spec, file)

        def opened(found: tuple[PreparedFile, int]) -> None:
            file, images = found
            with self._leadership.transaction("open") as session:
                if _exists(session, study_id):
                    accept.open_study(session, study_id, file.sha256, images)
            self._paths[file.sha256] = file.path
            self._busy.discard(study_id)

        def failed(error: Exception) -> None:
            if pinned is None and isinstance(error, DatasetError | ValueError):
                with self._leadership.transaction("refuse") as session:
                    if _exists(session, study_id):
                        accept.fail_study(session, study_id, f"dataset: {error}")
            else:  # a full disk, a lost file: the study has results or may yet get some
                log.warning("study not opened", study=study_id, error=str(error)[:300])
                self._not_before[study_id] = time.monotonic() + RETRY_SECONDS
            self._busy.discard(study_id)

        self._chores.start(work, opened, failed)


def checked_images(spec: StudySpec, file: PreparedFile) -> int:
    """The number of images in a file that can serve a study.

    Raises:
        DatasetError, ValueError: it cannot.
    """
    dataset = load_unchanged(file.path, file.sha256)
    if dataset.classes > MOST_CLASSES and _may_be_packed(spec):
        raise DatasetError(f"engine must be reference for more than {MOST_CLASSES} classes, not {spec.engine}")
    check_batch(spec.model, spec.batch_size, dataset.image_shape)
    least = min(len(dataset.split(fold).train_index) for fold in range(spec.folds_used))
    if spec.batch_size > least:
        raise DatasetError(f"batch_size must be at most the {least:,} training images of a fold, not {spec.batch_size}")
    return len(dataset.images)


def _may_be_packed(spec: StudySpec) -> bool:
    """Whether a worker would take a packed engine, which it says before it knows the data set."""
    packs = spec.model == "paper-cnn" and spec.bn_statistics == "population"
    return spec.engine.startswith("packed") or (spec.engine == "auto" and packs)


def _exists(session: Session, study_id: str) -> bool:
    return session.query(Study.ordinal).filter(Study.id == study_id).first() is not None
