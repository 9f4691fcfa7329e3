"""Stores with a small data set of their own, for the tests of backups."""

from pathlib import Path
from typing import Any

import numpy as np
from service_data import submit

from service.config import Settings
from service.dispatch import accept
from service.dispatch.leader import Leadership
from service.store.engine import Store
from studies.datasets.load import from_arrays
from studies.datasets.prepared_file import PreparedFile, write

IMAGES = np.arange(20 * 4 * 4).reshape(20, 4, 4) % 251
DATASET = from_arrays("tiny", IMAGES, np.arange(20) % 2, np.arange(20) % 5)


def prepared(data: Path) -> PreparedFile:
    """A small prepared data set in a data folder."""
    return write(data / "datasets", "tiny-5", "recipe", DATASET)


def begun(store: Store, leadership: Leadership, data: Path, **changes: Any) -> str:
    """A study that is open on the small data set; its id."""
    study_id = submit(store, **changes)
    with leadership.transaction() as session:
        accept.open_study(session, study_id, prepared(data).sha256, images=20)
    return study_id


def settings(store: Store, data: Path) -> Settings:
    return Settings(data=data, database_url=store.url)
