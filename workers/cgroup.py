"""How many processors the control group of this process, a container's say, leaves to it."""

import math
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
"""Where a container sees its own group, of either version."""


def processor_limit(folder: Path = MOUNT) -> int | None:
    """Processors' worth of time that a group may use, rounded up; None without a limit.

    Args:
        folder: of the group: `cpu.max` in it is version 2, `cpu/cpu.cfs_quota_us` version 1.
    """
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota, period = (
                (folder / "cpu" / f"cpu.cfs_{name}_us").read_text(encoding="ascii").strip()
                for name in ("quota", "period")
            )
        except (OSError, ValueError):
            return None
    if not (quota.isdigit() and period.isdigit() and int(period) > 0):  # `max` and -1 say that there is no limit
        return None
    return max(1, math.ceil(int(quota) / int(period)))
