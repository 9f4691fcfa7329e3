"""Every scenario by name."""

from collections.abc import Callable
from random import Random

from tests.chaos import scenarios_crash_points, scenarios_outages, scenarios_service, scenarios_workers
from tests.chaos.fault_log import FaultLog

Scenario = Callable[[FaultLog, Random], None]
SCENARIOS: dict[str, Scenario] = {
    "worker-kills": scenarios_workers.worker_kills,
    "freezes": scenarios_workers.freezes,
    "supervised": scenarios_workers.supervised,
    "poison": scenarios_workers.poison,
    "late-results": scenarios_workers.late_results,
    "service-kills": scenarios_service.service_kills,
    "submissions": scenarios_service.submissions,
    "stops": scenarios_service.stops,
    "takeovers": scenarios_service.takeovers,
    "crash-points": scenarios_crash_points.crash_points,
    "database-restarts": scenarios_outages.database_restarts,
    "disk-full": scenarios_outages.disk_full,
    "locked": scenarios_outages.locked,
    "scheduler-connection": scenarios_outages.scheduler_connection,
}
