"""After each fault the replicate table equals that of a calm run, and nobody is charged who is not to blame."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from optuna.trial import TrialState
from running import SLOW, STORM, TINY, Service, assert_exactly_once, eventually

REPLACED_SECONDS = 60
"""Within which a frozen worker is replaced."""


class Struck:
    """A service on one data folder that is ended and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.now = self._start()

    def again(self) -> Service:
        """Start on the same data folder."""
        assert self.now.process.poll() is not None
        self.now.kill()
        self.now = self._start()
        return self.now

    def _start(self) -> Service:
        self._count += 1
        service = Service(self._folder, name=f"service-{self._count}")
        try:
            return service.ready()
        except BaseException:
            service.kill()
            raise


@pytest.fixture(scope="module")
def struck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    """A service that everything happens to."""
    found = Struck(tmp_path_factory.mktemp("struck"))
    try:
        yield found
        if found.now.process.poll() is None:
            found.now.stop()
    finally:
        found.now.kill()


def test_same_specification_gives_the_same_table_in_another_service(
    struck: Struck, calm: Service, calm_table: list[str]
) -> None:
    service = struck.now
    study = service.run(STORM)
    assert_exactly_once(service.replicates(study), 4, 2, 1)
    assert service.table(study) == calm_table
    assert all(pack["attempt"] == 1 for pack in service.packs(study))


def test_killed_worker_is_replaced_and_its_pack_runs_again(struck: Struck, calm_table: list[str]) -> None:
    service = struck.now
    study = service.submit(STORM)
    worker = service.busy_worker(study)
    os.kill(worker["pid"], signal.SIGKILL)
    service.wait(study)
    _assert_as_calm(service, study, calm_table)
    packs = {pack["id"]: pack for pack in service.packs(study)}
    assert packs[worker["pack"]]["attempt"] == 2
    assert sum(pack["charged"] for pack in packs.values()) <= 1


def test_frozen_worker_is_replaced(struck: Struck, calm_table: list[str]) -> None:
    service = struck.now
    study = service.submit(STORM)
    worker = service.busy_worker(study)
    os.kill(worker["pid"], signal.SIGSTOP)
    began = time.monotonic()

    def replaced() -> bool:
        return any(other["pid"] != worker["pid"] for other in service.get("/v1/workers")["items"])

    try:
        eventually(replaced, REPLACED_SECONDS, "another worker has taken its place")
        print(f"replaced after {time.monotonic() - began:.0f} s")
        service.wait(study)
    finally:
        if psutil.pid_exists(worker["pid"]):
            os.kill(worker["pid"], signal.SIGCONT)
    _assert_as_calm(service, study, calm_table)


def test_paused_study_rests_and_resumes(struck: Struck, calm_table: list[str]) -> None:
    service = struck.now
    study = service.submit(STORM)
    service.busy_worker(study)
    assert service.post(f"/v1/studies/{study}/pause")["status"] == "paused"
    eventually(lambda: _idle(service), 20, "its packs have ended")
    done = service.study(study)["progress"]["done"]
    time.sleep(1)
    paused = service.study(study)
    assert (paused["status"], paused["progress"]["done"]) == ("paused", done)
    assert done < paused["progress"]["total"]
    assert service.post(f"/v1/studies/{study}/resume")["status"] in ("queued", "running")
    service.wait(study)
    _assert_as_calm(service, study, calm_table)
    assert all(pack["charged"] == 0 for pack in service.packs(study))


def test_cancelled_study_stops_and_can_be_deleted(struck: Struck) -> None:
    service = struck.now
    study = service.submit(SLOW)
    name = service.study(study)["optuna_study"]
    eventually(lambda: service.get("/v1/workers")["items"][0]["study"] == study, 30, "it runs")
    assert httpx.delete(f"{service.url}/v1/studies/{study}").status_code == 409
    assert service.post(f"/v1/studies/{study}/cancel")["status"] == "cancelled"
    eventually(lambda: _idle(service), 20, "its packs have ended")
    assert httpx.post(f"{service.url}/v1/studies/{study}/resume").status_code == 409

    def failed() -> bool:
        found = service.trials(study)
        return len(found) == 4 and all(trial.state is TrialState.FAIL for trial in found)

    eventually(failed, 15, "Optuna shows its trials as failed")
    assert httpx.delete(f"{service.url}/v1/studies/{study}").status_code == 204
    assert httpx.get(f"{service.url}/v1/studies/{study}").status_code == 404
    assert study not in [item["id"] for item in service.get("/v1/studies")["items"]]
    eventually(lambda: name not in _recorded_names(service), 15, "Optuna has forgotten it")


def test_extended_study_trains_only_what_is_new(struck: Struck) -> None:
    service = struck.now
    study = service.run(TINY)
    before = service.table(study)
    extended = service.post(f"/v1/studies/{study}/extend", {"runs": 1})
    assert extended["status"] in ("queued", "running")
    assert extended["progress"]["total"] == 16
    document = service.wait(study)
    assert document["progress"]["done"] == 16
    assert_exactly_once(service.replicates(study), 8, 1, 2)
    assert [row for row in service.table(study) if '"run": 0' in row] == before
    assert service.get(f"/v1/studies/{study}/comparison")["n"] == 2

    def recorded() -> bool:
        found = service.trials(study)
        states = {trial.state for trial in found}
        return len(found) == 8 and states == {TrialState.COMPLETE} and found[0].user_attrs["n"] == 2

    eventually(recorded, 15, "Optuna knows both runs")


def test_service_told_to_stop_resumes_uncharged(struck: Struck, calm_table: list[str]) -> None:
    study = struck.now.submit(STORM)
    struck.now.busy_worker(study)
    struck.now.stop()
    service = struck.again()
    service.wait(study)
    _assert_as_calm(service, study, calm_table)
    assert all(pack["charged"] == 0 for pack in service.packs(study))


def test_service_whose_dispatcher_is_killed_says_so_ends_and_resumes(struck: Struck, calm_table: list[str]) -> None:
    study = struck.now.submit(STORM)
    struck.now.busy_worker(study)
    worker = psutil.Process(struck.now.get("/v1/workers")["items"][0]["pid"])
    dispatcher = next(parent for parent in worker.parents() if parent.ppid() == struck.now.process.pid)
    dispatcher.kill()
    assert struck.now.process.wait(20) == 1
    struck.now.assert_nothing_left(5)
    assert "the dispatcher has died" in struck.now.log
    service = struck.again()
    service.wait(study)
    _assert_as_calm(service, study, calm_table)


def test_killed_service_leaves_no_orphans_and_resumes(struck: Struck, calm_table: list[str]) -> None:
    study = struck.now.submit(STORM)
    struck.now.get(f"/v1/studies/{study}/comparison")
    struck.now.busy_worker(study)
    struck.now.sigkill()
    struck.now.assert_nothing_left(10)
    service = struck.again()
    service.wait(study)
    _assert_as_calm(service, study, calm_table)
    assert all(pack["charged"] == 0 for pack in service.packs(study))


def _assert_as_calm(service: Service, study: str, calm_table: list[str]) -> None:
    assert_exactly_once(service.replicates(study), 4, 2, 1)
    assert service.table(study) == calm_table


def _idle(service: Service) -> bool:
    return all(worker["pack"] is None for worker in service.get("/v1/workers")["items"])


def _recorded_names(service: Service) -> list[str]:
    return [study["study_name"] for study in service.get("/api/studies")["study_summaries"]]
