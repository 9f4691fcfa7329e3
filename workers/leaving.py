"""A worker's nanny tells the scheduler before it ends its worker; Dask loads this into those of `goldenbench worker`.

A worker that was told to stop leaves the same trace as one that its pack killed, and only the latter's pack is to
blame. The nanny speaks, and not whoever told it to stop: systemd and SLURM send SIGTERM to every process at once.
"""

import asyncio
import signal
from typing import Any

from workers.tasks import LEAVING_TOPIC

TELL_SECONDS = 3.0
"""How long the scheduler may take to hear of it; it may be gone itself."""

# Dask listens to the first SIGTERM and then puts back what was there before, which is to die at once. A second one,
# from `goldenbench worker` after one from systemd, would come before the scheduler was told. It has to be done on
# import: Dask remembers what was there after it has loaded its preloads and before it calls them.
signal.signal(signal.SIGTERM, signal.SIG_IGN)


async def dask_teardown(nanny: Any) -> None:
    """Tell the scheduler, and only then let the nanny go on to end its worker.

    Args:
        nanny: which is about to close.
    """
    address = nanny.worker_address
    if address is None:
        return
    telling = nanny.scheduler.log_event(topic=LEAVING_TOPIC, msg={"worker": address})
    try:
        await asyncio.wait_for(telling, TELL_SECONDS)
    except (OSError, TimeoutError):
        return  # the scheduler is gone, and whatever ran there is given back for that
