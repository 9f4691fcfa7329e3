"""Loaded by each Dask worker before it registers: torch is imported once, here, and not in a first task.

A worker that registered before its imports would count as alive while it cannot answer.
"""

import os
import signal
import sys
from typing import Any

from workers.gpus import why_unusable
from workers.tasks import DEVICE_VARIABLE

UNUSABLE_CODE = 3
"""Exit code of a process whose device does not work."""


def dask_setup(worker: Any) -> None:
    """Import what training needs, and leave Ctrl-C, which a terminal sends to every process, to the service.

    Where torch cannot compute on the worker's GPU, this says why and ends the process: an exception would only be
    logged, and the worker would join and never answer.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if worker.nanny is not None:
        # systemd and SLURM send it to every process. It is the nanny's affair, which tells the scheduler first.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    import torch  # noqa: F401  # the import itself is the purpose

    import workers.train  # noqa: F401

    problem = why_unusable() if os.environ.get(DEVICE_VARIABLE) == "cuda" else None
    if problem is not None:
        print(f"goldenbench: {problem}", file=sys.stderr, flush=True)
        os._exit(UNUSABLE_CODE)
