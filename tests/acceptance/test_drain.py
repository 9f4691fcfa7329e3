"""Workers that are told to stop in the middle of a pack, as by docker, kubectl, systemd and SLURM."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from running import STORM, Part, Service, eventually, free_port

STUDY = STORM | {"name": "drained", "epochs": 5}
"""8 trainings, long enough to be struck in the middle."""


class Cluster:
    """A scheduler, a service, and a worker that is struck in the middle of a pack, for which another one comes."""

    def __init__(self, folder: Path, service: Service, address: str) -> None:
        self.service, self._folder, self._address = service, folder, address
        self._started = 0
        self._worker = self._start()

    def train_through(self, strike: Callable[[Part, int], None]) -> tuple[list[dict[str, object]], str]:
        """Train STUDY, strike the worker in the middle of a pack and let a new one finish.

        Args:
            strike: given the worker's command and the process id of its Dask worker.

        Returns:
            The packs, and the service's log of it.
        """
        before = len(self.service.log)
        study = self.service.ready().submit(STUDY)
        strike(self._worker, self.service.busy_worker(study)["pid"])
        self._worker.kill()
        self._worker = self._start()
        self.service.wait(study)
        return self.service.packs(study), self.service.log[before:]

    def close(self) -> None:
        """End the worker."""
        self._worker.kill()

    def _start(self) -> Part:
        """A new worker, on a machine of its own as far as its data folder goes."""
        self._started += 1
        name = f"worker-{self._started}"
        return Part(self._folder, name, ["worker", "--scheduler", self._address, "--data", str(self._folder / name)])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("drain")
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    with Part(folder, "scheduler", ["scheduler", "--port", str(port)]) as scheduler:
        eventually(lambda: address in scheduler.printed, 30, "the scheduler says where it is")
        with (
            Service(folder, "serve", ["--scheduler", address]) as service,
            closing(Cluster(folder, service, address)) as found,
        ):
            yield found


def sigterm(command: Part, _worker: int) -> None:
    """As docker and kubectl do it: to the first process."""
    command.stop()


def sigterm_to_all(command: Part, _worker: int) -> None:
    """As systemd and SLURM do it: to every process at once."""
    os.killpg(command.process.pid, signal.SIGTERM)
    command.stop()


def sigkill(_command: Part, worker: int) -> None:
    """As the kernel does it when memory is short."""
    os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize("strike", [sigterm, sigterm_to_all])
def test_worker_that_is_told_to_stop_charges_its_pack_nothing(
    cluster: Cluster, strike: Callable[[Part, int], None]
) -> None:
    packs, log = cluster.train_through(strike)
    assert [pack["charged"] for pack in packs] == [0] * len(packs), log
    assert any(pack["attempt"] == 2 for pack in packs)  # it was struck in the middle
    assert "pack given back" in log
    assert "was told to stop" in log


def test_worker_that_is_killed_charges_its_pack(cluster: Cluster) -> None:
    packs, log = cluster.train_through(sigkill)
    assert sum(int(str(pack["charged"])) for pack in packs) == 1
    assert "died while it trained this pack" in log
