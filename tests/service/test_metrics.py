"""What `/metrics` says of real studies, and that it stays cheap and bounded whatever is asked for."""

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from service_data import (
    Service,
    charge,
    complete,
    lease,
    opened,
    result,
    settle,
    size,
    submit,
    take_in,
    wish,
)
from starlette.testclient import TestClient

from service.access.scopes import routes
from service.certificates import SOON
from service.dispatch.leader import Leadership
from service.dispatch.status import DispatcherStatus
from service.dispatch.tally import MOST_WORKERS, End, Tally
from service.measured import METHODS
from service.metrics.exposed import DISPATCHER_STATES, Metrics, Sources
from service.metrics.stored import SHARE, Reader
from service.record_lag import Lag
from service.store.engine import Store
from service.store.tables import Pack, Study, now
from studies.results import Outcome

ROOT = Path(__file__).parents[2]
Labels = frozenset[tuple[str, str]]


def sources(store: Store, tmp_path: Path, tally: Tally | None = None, lag: Lag | None = None) -> Sources:
    """What metrics are read from, with one busy and one idle worker."""
    idle = {"name": "gpu-1", "address": "", "device": "H200", "threads": 1, "pid": 2, "pack": None, "study": None}
    busy: Any = idle | {"name": "gpu-0", "pack": "p", "study": "s"}
    tally, lag = tally or Tally(), lag or Lag()

    def status() -> DispatcherStatus:
        return DispatcherStatus("leading", "connected", (busy, idle), tally.snapshot(), lag.now())

    return Sources(store, tmp_path, status, os.getpid())


def families(text: bytes) -> dict[str, Metric]:
    """Every metric by the name that its samples have (a counter's ends in _total)."""
    found = text_string_to_metric_families(text.decode())
    return {f"{one.name}_total" if one.type == "counter" else one.name: one for one in found}


def values(family: Metric) -> dict[Labels, float]:
    """The samples of a metric by their labels."""
    return {frozenset(sample.labels.items()): sample.value for sample in family.samples}


def at(family: Metric, **labels: str) -> float:
    return values(family)[frozenset(labels.items())]


def read(store: Store, tmp_path: Path, **parts: Any) -> dict[str, Metric]:
    return families(Metrics(sources(store, tmp_path, **parts)).text())


def age(store: Store, table: Any, column: str, name: str, hours: float) -> None:
    """Move a time of a row into the past."""
    with store.write() as session:
        session.execute(sa.update(table).where(table.id == name).values({column: now() - timedelta(hours=hours)}))


def test_queue_is_counted_as_users_see_it(store: Store, leadership: Leadership, tmp_path: Path) -> None:
    done, running, paused, queued = (opened(store, leadership, seed=seed) for seed in range(4))
    complete(leadership, done)
    take_in(leadership, lease(leadership, running, size(4)))
    held = lease(leadership, running, size(2))
    wish(store, paused, "pause")
    settle(leadership, paused)
    wish(store, submit(store), "delete")
    age(store, Pack, "started_at", held.pack, hours=2)
    age(store, Study, "created_at", queued, hours=5)
    found = read(store, tmp_path)
    statuses = {"queued": 1, "running": 1, "paused": 1, "completed": 1, "cancelled": 0, "failed": 0}
    assert {status: at(found["goldenbench_studies"], status=status) for status in statuses} == statuses
    assert {at(found["goldenbench_pending_trainings"], status=status) for status in ("queued", "paused")} == {10}
    assert at(found["goldenbench_pending_trainings"], status="running") == 6
    assert at(found["goldenbench_packs"], state="running") == 1
    assert at(found["goldenbench_packs"], state="done") == len(done_packs(store))
    assert at(found["goldenbench_oldest_running_pack_age_seconds"]) == pytest.approx(2 * 3600, abs=60)
    assert at(found["goldenbench_oldest_queued_study_age_seconds"]) == pytest.approx(5 * 3600, abs=60)
    assert at(found["goldenbench_database_up"]) == 1
    assert at(found["goldenbench_database_size_bytes"]) > 100_000
    assert at(found["goldenbench_data_free_bytes"]) > 0


def done_packs(store: Store) -> list[str]:
    with store.read() as session:
        return list(session.scalars(sa.select(Pack.id).where(Pack.state == "done")))


def test_nothing_waits_where_nothing_is(store: Store, tmp_path: Path) -> None:
    found = read(store, tmp_path)
    assert at(found["goldenbench_oldest_running_pack_age_seconds"]) == 0
    assert at(found["goldenbench_oldest_queued_study_age_seconds"]) == 0
    assert sum(values(found["goldenbench_studies"]).values()) == 0


def test_extended_study_waits_as_long_as_it_is_queued_again(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership)
    complete(leadership, study_id)
    age(store, Study, "created_at", study_id, hours=100)
    with store.write() as session:
        session.execute(sa.update(Study).where(Study.id == study_id).values(total=20, runs=2, started_at=now()))
    stored = Reader(store).read()
    assert stored is not None
    assert stored.studies["queued"] == 1  # type: ignore[index]  # a StrEnum's member equals its value
    assert stored.oldest_queued_seconds == 0


def test_workers_and_their_trainings_are_counted(sqlite_store: Store, tmp_path: Path) -> None:
    tally = Tally()
    diverged = result(2, 0, 0, outcome=Outcome.DIVERGED, loss=None, train_loss=None, correct=None)
    for _ in range(2):
        trainings = [result(0, 0, 0), result(1, 0, 0), diverged]
        tally.accepted("gpu-0", "H200", trainings, 1.5)
    tally.ended(End.CHARGED)
    tally.ended(End.CHARGED, quarantined=True)
    tally.ended(End.GIVEN_BACK)
    found = read(sqlite_store, tmp_path, tally=tally)
    trained = {"worker": "gpu-0", "device": "H200"}
    assert at(found["goldenbench_trainings_total"], **trained, outcome="finished") == 4
    assert at(found["goldenbench_trainings_total"], **trained, outcome="diverged") == 2
    assert at(found["goldenbench_training_seconds_total"], **trained) == 3
    ends = {end: at(found["goldenbench_pack_attempts_total"], end=end.value) for end in End}
    assert ends == {End.ACCEPTED: 2, End.REFUSED: 0, End.CHARGED: 2, End.GIVEN_BACK: 1, End.STOPPED: 0}
    assert at(found["goldenbench_quarantined_trainings_total"]) == 1
    assert values(found["goldenbench_workers"]) == {
        frozenset({("device", "H200"), ("state", state)}): 1 for state in ("busy", "idle")
    }
    assert tally.rate("gpu-0") == 2
    assert tally.rate("gpu-1") is None


def test_quarantined_training_shows_among_the_packs(store: Store, leadership: Leadership, tmp_path: Path) -> None:
    study_id = opened(store, leadership)
    for _ in range(3):
        charge(leadership, lease(leadership, study_id, size(1)), "died")
    assert at(read(store, tmp_path)["goldenbench_packs"], state="quarantined") == 1


def test_dispatcher_is_in_one_state(sqlite_store: Store, tmp_path: Path) -> None:
    states = values(read(sqlite_store, tmp_path)["goldenbench_dispatcher_state"])
    assert len(states) == len(DISPATCHER_STATES)
    assert {key for key, value in states.items() if value} == {frozenset({("state", "leading")})}


def test_lag_of_the_record_counts_from_the_first_change_that_is_not_recorded() -> None:
    lag = Lag()
    assert lag.now() == (0, pytest.approx(0, abs=0.01))
    lag.due(["a"])
    time.sleep(0.05)
    lag.due(["a", "b"])
    studies, seconds = lag.now()
    assert studies == 2
    assert seconds >= 0.05
    lag.written("a")
    assert lag.now()[0] == 1
    assert lag.now()[1] < 0.05


@pytest.fixture
def scraped(service: Service) -> TestClient:
    """An app whose routes have been asked for in many ways."""
    client = service.client
    for number in range(40):
        client.get(f"/v1/studies/{number:012x}")
        client.get(f"/made-up-{number}")
        client.request(f"VERB{number}", "/v1/studies")
    client.post("/v1/studies", json={"dataset": "nothing"})
    client.get("/dashboard/studies/17")
    client.get("/assets/style.css")
    return client


def requests(client: TestClient) -> list[dict[str, str]]:
    """The labels under which requests have been counted."""
    family = families(client.get("/metrics").content)["goldenbench_http_request_duration_seconds"]
    return [sample.labels for sample in family.samples if sample.name.endswith("_count")]


def test_requests_are_counted_by_route_and_never_by_path(scraped: TestClient) -> None:
    found = requests(scraped)
    app: Any = scraped.app
    declared = {route.path for route in routes(app)} | {"unknown", "optuna dashboard"}
    assert {one["route"] for one in found} <= declared
    assert {one["method"] for one in found} <= METHODS | {"other"}
    assert {one["status"] for one in found} <= {"1xx", "2xx", "3xx", "4xx", "5xx"}
    assert {"route": "/v1/studies/{study_id}", "method": "GET", "status": "4xx"} in found
    assert {"route": "/v1/studies", "method": "POST", "status": "4xx"} in found
    assert {"route": "/assets", "method": "GET", "status": "2xx"} in found
    assert len(found) < 12


def test_metrics_are_text_for_whoever_may_read(guarded: Service) -> None:
    from access_data import every_kind

    given = every_kind(guarded.store)
    answer = guarded.client.get("/metrics", headers=given.headers("read"))
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    refused = guarded.client.get("/metrics")
    assert refused.status_code == 401
    again = families(guarded.client.get("/metrics", headers=given.headers("read")).content)
    counted = again["goldenbench_http_request_duration_seconds"]
    refusals = {"route": "/metrics", "method": "GET", "status": "4xx"}
    assert refusals in [sample.labels for sample in counted.samples if sample.name.endswith("_count")]


def test_comparisons_are_timed(service: Service) -> None:
    held = Leadership(service.store)
    assert held.acquire()
    study_id = opened(service.store, held)
    complete(held, study_id)
    held.release()
    for _ in range(2):  # the second is kept from the first
        assert service.client.get(f"/v1/studies/{study_id}/comparison").status_code == 200
    family = families(service.client.get("/metrics").content)["goldenbench_comparison_duration_seconds"]
    counts = [sample.value for sample in family.samples if sample.name.endswith("_count")]
    assert counts == [1]


def test_workers_that_are_forgotten_bound_the_labels() -> None:
    tally = Tally()
    for number in range(MOST_WORKERS + 50):
        tally.accepted(f"w{number}", "cpu", [result(0, 0, 0)], 1.0)
        tally.accepted("steady", "cpu", [result(0, 0, 0)], 1.0)
    names = {row.worker for row in tally.snapshot().workers}
    assert len(names) == MOST_WORKERS
    assert "steady" in names
    assert "w0" not in names


def statements(store: Store) -> Iterator[list[str]]:
    """The statements that a store sends."""
    seen: list[str] = []
    listen = (store.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    sa.event.listen(*listen)
    yield seen
    sa.event.remove(*listen)


def test_reading_asks_little_and_seldom(store: Store, leadership: Leadership) -> None:
    complete(leadership, opened(store, leadership))
    reader, seen = Reader(store), next(watched := statements(store))
    for _ in range(50):
        assert reader.read() is not None
    asked = [statement for statement in seen if statement.startswith("SELECT")]
    assert len(asked) <= 4, "it was read more than once within a second"
    assert not any("gb_replicates" in statement or "gb_cells" in statement for statement in seen)
    next(watched, None)


def test_slow_reading_is_repeated_as_seldom_as_it_is_slow(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(sqlite_store)
    calls = []

    def slow(session: Any, store: Store) -> None:
        calls.append(time.sleep(0.05))

    monkeypatch.setattr("service.metrics.stored.read", slow)
    monkeypatch.setattr("service.metrics.stored.LEAST_SECONDS", 0.0)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        reader.read()
    assert len(calls) == 1, f"0.05 s of reading are paid back in {0.05 / SHARE} s"


def test_metrics_answer_while_the_database_is_away(tmp_path: Path) -> None:
    gone = Store("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    found = read(gone, tmp_path)
    assert at(found["goldenbench_database_up"]) == 0
    assert "goldenbench_studies" not in found
    assert "goldenbench_trainings_total" in found
    gone.close()


def test_certificates_in_use_count_down(sqlite_store: Store, tmp_path: Path) -> None:
    parts = sources(sqlite_store, tmp_path)
    ends = {"dask": now() + timedelta(days=20), "https": now() - timedelta(days=1)}
    found = families(Metrics(replace(parts, certificates_end=ends)).text())["goldenbench_certificate_expiry_seconds"]
    assert at(found, use="dask") == pytest.approx(20 * 86_400, abs=60)
    assert at(found, use="https") == pytest.approx(-86_400, abs=60)
    (expr,) = re.findall(r"^\s*expr: (.*certificate.*)$", (ROOT / "deploy" / "alerts.yml").read_text(), re.MULTILINE)
    assert expr == f"min by (use) (goldenbench_certificate_expiry_seconds) < {SOON.total_seconds():.0f}"


def test_names_follow_prometheus_conventions(sqlite_store: Store, tmp_path: Path) -> None:
    tally = Tally()
    tally.accepted("w", "cpu", [result(0, 0, 0)], 1.0)
    for name, family in read(sqlite_store, tmp_path, tally=tally).items():
        assert re.fullmatch(r"(goldenbench|process)(_[a-z]+)+", name), name
        assert name.endswith("_total") == (family.type == "counter"), name
        assert family.documentation, name
        if any(unit in name for unit in ("age", "lag", "duration", "expiry")):
            assert name.endswith("_seconds"), name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent)(_|$)", name), name


def test_document_has_every_metric_with_its_labels(service: Service) -> None:
    """A table of docs/operations.md lists what is exposed, no more and no less."""
    tally = Tally()
    tally.accepted("w", "cpu", [result(0, 0, 0)], 1.0)
    metrics = service.client.app.state.context.metrics  # type: ignore[attr-defined]
    told_so_far = metrics._sources.dispatcher()
    told_now = replace(told_so_far, tally=tally.snapshot())
    metrics._sources = replace(metrics._sources, dispatcher=lambda: told_now, certificates_end={"dask": now()})
    exposed = {}
    service.client.get("/healthz")
    for name, family in families(service.client.get("/metrics").content).items():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        exposed[name] = (family.type, labels)
    document = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = {}
    for name, kind, labels in re.findall(r"^\| `([a-z_]+)` \| (\w+) \|([^|]*)\|", document, re.MULTILINE):
        told[name] = (kind, set(re.findall(r"`(\w+)`", labels)))
    assert told == {name: what for name, what in exposed.items() if name.startswith("goldenbench")}


def test_dashboard_and_alerts_ask_for_metrics_that_there_are(service: Service) -> None:
    exposed = set()
    service.client.get("/healthz")
    for name, family in families(service.client.get("/metrics").content).items():
        exposed |= {name, *(sample.name for sample in family.samples)}
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "goldenbench.json").read_text(encoding="utf-8"))
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    queries += [one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    queries += re.findall(r"^\s*expr: (.+)$", (ROOT / "deploy" / "alerts.yml").read_text(), re.MULTILINE)
    assert len(queries) > 20
    for query in queries:
        named = set(re.findall(r"\b(?:goldenbench|process)_\w+", query))
        assert named or "up{" in query, query
        assert named <= exposed, f"{query}: {sorted(named - exposed)}"
