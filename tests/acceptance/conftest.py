"""Services that the acceptance tests share; every process a test starts ends with it."""

from collections.abc import Iterator

import pytest
from running import STORM, Service


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that nothing happens to."""
    with Service(tmp_path_factory.mktemp("calm")) as service:
        yield service.ready()


@pytest.fixture(scope="session")
def calm_table(calm: Service) -> list[str]:
    """The replicates of STORM after a calm run."""
    return calm.table(calm.run(STORM))
