"""Workers die, freeze, and are killed by what they train."""

import json
import signal
import time
from random import Random

from sqlalchemy.exc import IntegrityError

from studies.results import Outcome
from tests.chaos.deployment import Deployment
from tests.chaos.fault_log import FaultLog, Violation
from tests.chaos.forked import eventually, send
from tests.chaos.invariants import check, check_unique
from tests.chaos.strikes import AGAIN_SECONDS, find_victim, seen_again, strike
from tests.chaos.studying import Key, calm_run, spec, struck_run, submit

RUNS = 10
MOST_AT_ONCE = 2
"""Workers that are killed in one moment."""
FREEZE_WORKERS = 6


def worker_kills(log: FaultLog, random: Random) -> None:
    """SIGKILL to workers in the middle of packs, one study after another, until `log.count` kills were effective."""
    with Deployment(log) as deployment:
        deployment.start()
        deployment.ready(3)
        calm = calm_run(deployment, spec(RUNS))
        while log.figures.get("effective_kills", 0) < log.count:
            study = submit(deployment, spec(RUNS))
            while not deployment.has_ended(study) and log.figures.get("effective_kills", 0) < log.count:
                _kill_some(deployment, random, study)
            struck_run(deployment, study, calm)
        check_unique(deployment, study)


def _kill_some(deployment: Deployment, random: Random, study: str) -> None:
    """Kill one worker or two at a random moment of their packs, and see each pack run again."""
    time.sleep(random.uniform(0, 0.4))
    struck = []
    for _ in range(random.randint(1, MOST_AT_ONCE)):
        victim = find_victim(deployment, random, study, frozenset(other.name for other, _ in struck))
        if victim is not None:
            deployment.log.count_up("kills")
            began = time.monotonic()
            if strike(deployment, victim, signal.SIGKILL):
                struck.append((victim, began))
    for victim, began in struck:
        seconds = seen_again(deployment, victim, began)
        if seconds is not None:
            deployment.log.count_up("effective_kills")
            deployment.log.measured("seconds_to_run_again", seconds)


def freezes(log: FaultLog, random: Random) -> None:
    """SIGSTOP to workers in the middle of packs; they are woken after their packs have run elsewhere."""
    with Deployment(log, workers=FREEZE_WORKERS, training_seconds=0.2) as deployment:
        deployment.start()
        deployment.ready(FREEZE_WORKERS)
        calm = calm_run(deployment, spec(RUNS))
        while log.figures.get("effective_freezes", 0) < log.count:
            study = submit(deployment, spec(RUNS))
            while not deployment.has_ended(study) and log.figures.get("effective_freezes", 0) < log.count:
                _freeze_most(deployment, random, study)
            struck_run(deployment, study, calm)


def _freeze_most(deployment: Deployment, random: Random, study: str) -> None:
    """Freeze all but one worker, as far as they train; wake them once their packs run elsewhere."""
    time.sleep(random.uniform(0, 0.4))
    left = deployment.log.count - deployment.log.figures.get("effective_freezes", 0)
    struck, names = [], frozenset[str]()
    while len(names) < min(left, FREEZE_WORKERS - 1):
        victim = find_victim(deployment, random, study, names)
        if victim is None:
            break
        names |= {victim.name}
        began = time.monotonic()
        struck.append((victim, began, strike(deployment, victim, signal.SIGSTOP)))
    try:
        for victim, began, effective in struck:
            seconds = seen_again(deployment, victim, began) if effective else None
            if seconds is not None:
                deployment.log.count_up("effective_freezes")
                deployment.log.measured("seconds_to_run_again", seconds)
    finally:
        for victim, _, _ in struck:
            send(victim.pid, signal.SIGCONT)
    if struck:
        time.sleep(0.5)
        deployment.ready(FREEZE_WORKERS)  # those that were given up notice it, end, and are replaced


def supervised(log: FaultLog, random: Random) -> None:
    """Kills and freezes in turn of workers under `goldenbench worker`, whose own supervision replaces them."""
    with Deployment(log, workers=2, training_seconds=0.3, supervised=True) as deployment:
        deployment.start()
        deployment.ready(2)
        calm = calm_run(deployment, spec(RUNS))
        struck = 0
        while struck < log.count:
            study = submit(deployment, spec(RUNS))
            while not deployment.has_ended(study) and struck < log.count:
                time.sleep(random.uniform(0, 0.4))
                number = signal.SIGSTOP if struck % 2 else signal.SIGKILL
                victim = find_victim(deployment, random, study, frozenset())
                began = time.monotonic()
                if victim is None or not strike(deployment, victim, number):
                    continue
                seconds = seen_again(deployment, victim, began)
                send(victim.pid, signal.SIGCONT)
                if seconds is not None:
                    struck += 1
                    log.measured(f"seconds_to_run_again_after_{number.name}", seconds)
                deployment.ready(2)
                log.measured(f"seconds_to_replace_after_{number.name}", time.monotonic() - began)
            struck_run(deployment, study, calm)


def poison(log: FaultLog, random: Random) -> None:
    """Trainings that kill their worker each time, among many: they alone fail, each with its evidence."""
    document = spec(RUNS, seed=1)
    with Deployment(log) as deployment:
        deployment.start()
        deployment.ready(3)
        calm = calm_run(deployment, document)
        columns = random.sample([(fold, run) for fold in range(2) for run in range(RUNS)], log.count)
        culprits: set[Key] = {(random.randrange(13), fold, run) for fold, run in columns}
        deployment.poison.write_text(json.dumps({"1": sorted(culprits)}))
        log.note("poison", culprits=sorted(culprits))
        study = submit(deployment, document)
        deployment.wait(study)
        check(deployment, study, calm, culprits)
        log.count_up("culprits", len(culprits))
        log.count_up("innocents_completed", len(calm) - len(culprits))
        log.count_up("worker_deaths", sum(pack.charged for pack in deployment.packs(study)))
        items = deployment.http.get(f"/v1/studies/{study}/replicates", params={"limit": 10_000}).json()["items"]
        for row in items:
            failed = row["outcome"] == Outcome.FAILED
            if failed and row["reason"].count("died while it trained this pack") != 3:
                raise Violation(f"I1: no evidence of three deaths in {row['reason']!r}")


def late_results(log: FaultLog, random: Random) -> None:
    """Results of attempts that are no longer theirs to report, handed in again in the dispatcher's own transaction."""
    from service.dispatch import accept
    from service.store.tables import Pack
    from tests.chaos.forging import forged

    with Deployment(log, training_seconds=0.3) as deployment:
        deployment.start()
        deployment.ready(3)
        calm = calm_run(deployment, spec(4))
        study = submit(deployment, spec(4))
        while not deployment.has_ended(study):
            victim = find_victim(deployment, random, study, frozenset())
            if victim is None:
                continue
            if log.figures.get("late_results", 0) >= log.count:
                break
            if random.random() < 0.5:
                strike(deployment, victim, signal.SIGKILL)
                seen_again(deployment, victim, time.monotonic())
            else:
                deployment.http.post(f"/v1/studies/{study}/pause")
                eventually(lambda: not deployment.packs(study, ["running"]), AGAIN_SECONDS, "its packs are discarded")
                deployment.http.post(f"/v1/studies/{study}/resume")
            try:
                with deployment.store.write() as session:
                    pack = session.query(Pack).filter(Pack.id == victim.pack).one()
                    late = accept.Arrival(victim.pack, victim.attempt, forged(session, pack), 0.1)
                    taken = accept.accept(session, [late])[0]
            except IntegrityError as error:
                raise Violation(f"I1: a late result was taken, and only the key refused it: {error.orig}") from error
            log.count_up("late_results")
            log.note("late result", pack=victim.pack, attempt=victim.attempt, taken=taken)
        struck_run(deployment, study, calm)
        check_unique(deployment, study)
