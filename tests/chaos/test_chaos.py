"""The storms in small, on both databases; `make chaos` runs them in the counts of docs/reliability.md."""

import pytest

from tests.chaos.__main__ import run
from tests.chaos.fault_log import FaultLog
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.scenarios_crash_points import one_point

SMALL = [("worker-kills", "postgresql", 5), ("service-kills", "sqlite", 2), ("stops", "postgresql", 1)]


@pytest.mark.parametrize(("scenario", "database", "count"), SMALL)
def test_storm_leaves_the_table_of_a_calm_run(scenario: str, database: str, count: int) -> None:
    log = FaultLog(scenario, database, seed=1, count=count)
    run(SCENARIOS[scenario], log)
    assert not log.violations
    assert log.figures["studies"] >= 1


def test_lease_whose_commit_is_not_confirmed_runs_again() -> None:
    log = FaultLog("crash-points", "sqlite", seed=1, count=1)
    run(lambda told, random: one_point("lease:after-commit:lose-answer", told, random), log)
    assert not log.violations
    assert log.figures["points_reached"] == 1
