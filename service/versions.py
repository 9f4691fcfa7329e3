"""Whether the parts of a cluster fit together: scheduler, workers and service have to be of the same versions.

The scheduler tells its own to whoever asks. A worker compares before it joins, tells the scheduler why it stays away,
and ends; the service compares before it dispatches. Dask itself only warns.
"""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from distributed import Client, Scheduler
from distributed.core import rpc
from distributed.security import Security

from service.errors import SetupError

QUESTION = "goldenbench_versions"
"""Which a scheduler answers since before it listens; one that does not know it answers None."""
REFUSED_TOPIC = "goldenbench-refused"
"""Of the events about workers that stayed away."""
ASK_SECONDS = 10.0


class OtherVersion(SetupError):
    """The parts of a cluster are of different versions."""


def own_versions() -> dict[str, str]:
    """Of this process: what must be the same everywhere.

    numpy, since it draws the initial weights; torch not, since a study is pinned to a numeric class that names it.
    """
    packages = {name: version(name) for name in ("goldenbench", "distributed", "numpy")}
    return packages | {"Python": ".".join(platform.python_version_tuple()[:2])}


def difference(theirs: Any) -> str:
    """How the scheduler's versions differ from ours, in words; empty if they do not.

    Args:
        theirs: its answer.
    """
    if not isinstance(theirs, Mapping):
        return "it tells no versions: another Dask scheduler, or an older goldenbench"
    pairs = [(name, ours, theirs.get(name, "none")) for name, ours in own_versions().items()]
    return ", ".join(f"{name} {ours} here and {there} there" for name, ours, there in pairs if ours != there)


def answer_with_versions(scheduler: Scheduler) -> None:
    """Let a scheduler that has not started yet tell its versions."""
    scheduler.handlers[QUESTION] = own_versions


def compare_as_client(client: Client) -> None:
    """Compare this process with the scheduler that it is connected to.

    Raises:
        OtherVersion: they differ.
    """
    found = difference(client.sync(getattr(client.scheduler, QUESTION)))
    if found:
        raise OtherVersion(f"the scheduler is of other versions: {found}")


async def compare_with(scheduler: str, name: str, security: Security | None) -> None:
    """Compare this machine with a scheduler, and tell the scheduler if they differ.

    Args:
        scheduler: its address.
        name: of the worker that wants to join.
        security: TLS, if the address says so.

    Raises:
        OtherVersion: they differ.
        OSError: the scheduler does not answer, or not to us.
    """
    arguments = security.get_connection_args("worker") if security else None
    async with rpc(scheduler, timeout=ASK_SECONDS, connection_args=arguments) as asked:
        found = difference(await getattr(asked, QUESTION)())
        if found:
            await asked.log_event(topic=REFUSED_TOPIC, msg={"worker": name, "difference": found})
            raise OtherVersion(f"does not fit the scheduler at {scheduler}: {found}; install the same versions")
