"""A service on PostgreSQL, and one whose scheduler and worker run elsewhere."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from running import STORM, Part, Service, eventually, free_port, trials


@pytest.fixture
def database_url(postgresql: Any) -> Iterator[str]:
    """Address of an empty PostgreSQL database."""
    name = f"acceptance_{secrets.token_hex(4)}"
    postgresql.execute(f"CREATE DATABASE {name}")
    yield postgresql.url(name)
    postgresql.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_postgresql_gives_the_same_table(tmp_path: Path, database_url: str, calm_table: list[str]) -> None:
    plain = database_url.replace("postgresql+psycopg://", "postgresql://")  # as most people write it
    with Service(tmp_path, arguments=["--database-url", plain]) as service:
        service.ready()
        study = service.run(STORM)
        assert service.table(study) == calm_table
        name = service.study(study)["optuna_study"]

        def recorded() -> bool:
            states = [trial.state for trial in trials(database_url, name)]
            return states == [TrialState.COMPLETE] * 4

        eventually(recorded, 15, "Optuna's record in PostgreSQL is complete")
        assert service.get(f"/v1/studies/{study}/comparison")["n"] == 2
        assert not (service.data / "goldenbench.db").exists()


def test_cluster_survives_the_death_of_its_scheduler(tmp_path: Path, calm_table: list[str]) -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ["scheduler", "--port", str(port)]
    worker = ["worker", "--scheduler", address, "--data", str(tmp_path / "worker")]
    with Part(tmp_path, "worker", worker), Part(tmp_path, "scheduler", scheduler) as first:
        eventually(lambda: address in first.printed, 30, "the scheduler says where it is")
        with Service(tmp_path, "serve", ["--scheduler", address]) as service:
            service.ready()
            assert service.table(service.run(STORM)) == calm_table
            study = service.submit(STORM)
            service.busy_worker(study)
            first.sigkill()
            with Part(tmp_path, "scheduler-2", scheduler):
                service.wait(study)
                assert service.table(study) == calm_table
                assert all(pack["charged"] == 0 for pack in service.packs(study))
                service.ready()
                service.stop()  # before its scheduler, which it would look for
