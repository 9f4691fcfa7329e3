"""How far Optuna's record is behind the store."""

import threading
import time
from collections.abc import Collection


class Lag:
    """Since when which studies have something that is not recorded; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}

    def due(self, study_ids: Collection[str]) -> None:
        """These studies, and no others, have something that is not recorded."""
        with self._lock:
            now = time.monotonic()
            self._since = {study_id: self._since.get(study_id, now) for study_id in study_ids}

    def written(self, study_id: str) -> None:
        """A study is recorded as it was a moment ago."""
        with self._lock:
            self._since.pop(study_id, None)

    def now(self) -> tuple[int, float]:
        """How many studies wait to be recorded, and for how many seconds the one that waits longest."""
        with self._lock:
            return len(self._since), time.monotonic() - min(self._since.values(), default=time.monotonic())
