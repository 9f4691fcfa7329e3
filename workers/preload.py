"""Loaded by each Dask worker before it registers: torch is imported once, here, and not in a first task.

A worker that registered before its imports would count as alive while it cannot answer.
"""

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Import what training needs, and leave Ctrl-C, which a terminal sends to every process, to the service."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch  # noqa: F401  # the import itself is the purpose

    import workers.train  # noqa: F401
