"""`python -m tests.chaos SCENARIO --database sqlite --seed 1 --count 20`: strike, and hold to account."""

import argparse
import signal
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random

from tests.chaos.campaign import JOBS, campaign, failed_once
from tests.chaos.fault_log import FaultLog, Violation
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.scenarios_crash_points import POINTS, one_point

LOGS = Path("var") / "chaos"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one scenario, or all of them; the exit code: 1 if an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("scenario", choices=[*SCENARIOS, "campaign", "corpus"])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5, help="effective faults")
    parser.add_argument("--logs", type=Path, default=LOGS, help="folder for the fault logs")
    parser.add_argument("--point", choices=POINTS, help="with crash-points: this one alone")
    chosen = parser.parse_args(arguments)
    if chosen.scenario == "corpus":
        return campaign(failed_once(), chosen.logs)
    if chosen.scenario == "campaign":
        return campaign(JOBS + failed_once(), chosen.logs)
    scenario = SCENARIOS[chosen.scenario]
    if chosen.point is not None:
        scenario = partial(one_point, chosen.point)
    log = FaultLog(chosen.scenario, chosen.database, chosen.seed, chosen.count)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    try:
        run(scenario, log)
    finally:
        path = log.write(chosen.logs)
    print(f"{log.summary()}\n{path}", flush=True)
    return 1 if log.violations else 0


def run(scenario: Scenario, log: FaultLog) -> None:
    """Run one scenario to its end or to the first invariant that does not hold."""
    try:
        scenario(log, Random(log.seed))
    except Violation as found:
        invariant, _, told = str(found).partition(": ")
        log.broken(invariant, told)
        traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
