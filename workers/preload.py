"""Loaded by each Dask worker before it registers: torch is imported once, here, and not in a first task.

A worker that registered before its imports would count as alive while it cannot answer.
"""

from typing import Any


def dask_setup(worker: Any) -> None:
    """Import what training needs."""
    import torch  # noqa: F401  # the import itself is the purpose

    import workers.train  # noqa: F401
