"""Two services on one data folder: one dispatches, the other waits for its place."""

from pathlib import Path

from running import STORM, Service, eventually


def test_second_service_waits_and_takes_over(tmp_path: Path, calm_table: list[str]) -> None:
    with Service(tmp_path, name="first") as first:
        first.ready()
        with Service(tmp_path, name="second") as second:
            second.ready()
            assert second.get("/readyz")["checks"]["dispatcher"] == "waiting"
            study = second.submit(STORM)  # it takes studies, and the first trains them
            worker = first.busy_worker(study)
            assert second.study(study)["status"] == "running"
            assert second.replicates(study)
            assert second.get("/v1/workers")["items"] == []
            assert worker["pid"] not in [process.pid for process in second.group()]
            first.sigkill()
            eventually(lambda: second.get("/v1/workers")["items"], 60, "the second has workers of its own")
            assert second.get("/readyz")["checks"]["dispatcher"] == "leading"
            second.wait(study)
            assert second.table(study) == calm_table
            assert all(pack["charged"] == 0 for pack in second.packs(study))
