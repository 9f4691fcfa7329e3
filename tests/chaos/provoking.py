"""What makes a service pass the points that a study by itself does not lead to."""

import secrets
import signal
from collections.abc import Callable
from random import Random
from typing import Any

import httpx
import sqlalchemy as sa

from tests.chaos.deployment import Deployment
from tests.chaos.forked import eventually, send
from tests.chaos.strikes import Victim, find_victim
from tests.chaos.studying import spec, submit

SECONDS = 120


def provoke(deployment: Deployment, study: str, transaction: str) -> None:
    """Have the service do `transaction`, if it would not anyway for an ordinary study."""
    deed = _DEEDS.get(transaction)
    if deed is not None:
        deed(deployment, study)


def _pause_and_resume(deployment: Deployment, study: str) -> None:
    insist(deployment, f"/v1/studies/{study}/pause")
    eventually(lambda: deployment.status(study) in ("paused", "completed"), SECONDS, "it rests")
    insist(deployment, f"/v1/studies/{study}/resume")


def _drop_the_scheduler(deployment: Deployment, study: str) -> None:
    _running(deployment, study)
    assert deployment.proxy is not None
    deployment.proxy.drop()


def _kill_a_worker(deployment: Deployment, study: str) -> None:
    send(_running(deployment, study).pid, signal.SIGKILL)


def _ask_for_another_engine(deployment: Deployment, _study: str) -> None:
    """A study that no worker can train has its reason explained."""
    other = submit(deployment, spec(1) | {"name": "of another engine", "model": "paper-cnn", "engine": "packed-cuda"})
    eventually(lambda: "waits for a worker" in str(_document(deployment, other).get("reason")), SECONDS, "it is told")
    insist(deployment, f"/v1/studies/{other}/cancel")


def _race(deployment: Deployment, _study: str) -> None:
    grid = {"learning_rate": {"values": [0.1]}, "momentum": {"values": [0.5]}}
    deployment.wait(submit(deployment, spec(20) | {"name": "race", "racing": True, "grid": grid}))


def _submit_and_cancel_a_suite(deployment: Deployment, _study: str) -> None:
    studies = [spec(1, name=name) for name in ("first", "second")]
    rows = [{"name": name, "study": name, "cell": "prescribed"} for name in ("first", "second")]
    document = {"name": "suite", "studies": studies, "rows": rows, "contrasts": [], "notes": []}
    key = secrets.token_hex(8)
    suite = insist(deployment, "/v1/suites", document, key).json()["id"]
    again = insist(deployment, "/v1/suites", document, key).json()["id"]
    assert suite == again, "one key made two suites"
    insist(deployment, f"/v1/suites/{suite}/cancel")


def _stop_with_packs_running(deployment: Deployment, study: str) -> None:
    _running(deployment, study)
    send(deployment.service, signal.SIGTERM)


def _submit_without_data(deployment: Deployment, _study: str) -> None:
    """A study whose data set cannot be prepared is refused."""
    other = submit(deployment, spec(1) | {"name": "without data", "dataset": "chaos-nothing"})
    eventually(lambda: deployment.status(other) == "failed", SECONDS, "it is refused")


def _damage_the_record(deployment: Deployment, _study: str) -> None:
    """A study that Optuna's tables do not hold any more is noticed within a minute."""
    with deployment.store.write() as session:
        oldest = "SELECT min(study_id) FROM studies"  # that of the calm run, which nobody writes to any more
        session.execute(sa.text(f"DELETE FROM study_user_attributes WHERE study_id = ({oldest})"))
    restarted = deployment.service
    log = deployment.folder / "service.log"

    def noticed() -> bool:
        return deployment.service != restarted or "crash point record-check" in log.read_text()

    eventually(noticed, SECONDS, "the damage is noticed")


def _running(deployment: Deployment, study: str) -> Victim:
    """A worker that trains a pack of the study."""
    found = eventually(lambda: find_victim(deployment, Random(0), study, frozenset()), SECONDS, "a pack runs")
    assert found is not None
    return found


def _document(deployment: Deployment, study: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = deployment.http.get(f"/v1/studies/{study}").json()
    except (httpx.TransportError, ValueError):
        return {}
    return document


def insist(deployment: Deployment, path: str, document: Any = None, key: str = "") -> httpx.Response:
    """Ask until there is an answer other than that nobody is there."""

    def ask() -> httpx.Response | None:
        try:
            answer = deployment.http.post(path, json=document, headers={"Idempotency-Key": key} if key else {})
        except httpx.TransportError:
            return None
        return None if answer.status_code == 503 else answer

    answer = eventually(ask, SECONDS, f"an answer to POST {path}")
    assert answer is not None
    return answer


_DEEDS: dict[str, Callable[[Deployment, str], None]] = {
    "wish": _pause_and_resume,
    "settle": _pause_and_resume,
    "give-back": _drop_the_scheduler,
    "charge": _kill_a_worker,
    "explain": _ask_for_another_engine,
    "race": _race,
    "refuse": _submit_without_data,
    "record-check": _damage_the_record,
    "submit-suite": _submit_and_cancel_a_suite,
    "wish-suite": _submit_and_cancel_a_suite,
    "stop": _stop_with_packs_running,
}
