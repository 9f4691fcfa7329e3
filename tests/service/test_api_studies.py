"""Every route's answer to a sensible request."""

import csv
import io
import json
import threading
import time
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from service_data import (
    Service,
    TestClient,
    charge,
    complete,
    leader,
    lease,
    opened,
    result,
    row,
    rows,
    settle,
    size,
    small,
    take_in,
    wish,
)

from service.api import exports
from service.dispatch.leader import Leadership
from service.store.engine import Store
from service.store.tables import Pack, Replicate, Study
from studies import golden
from studies.racing import MOST_LOOKS

STUDY_FIELDS = {
    "id",
    "name",
    "status",
    "reason",
    "progress",
    "eta_seconds",
    "optuna_study",
    "fingerprint",
    "runs",
    "looks",
    "race_runs",
    "priority",
    "dataset_sha256",
    "numeric_class",
    "created_at",
    "started_at",
    "finished_at",
    "revision",
    "spec",
    "links",
}
REPLICATE_FIELDS = [
    *("cell", "learning_rate", "momentum", "fold", "run", "outcome", "accuracy", "brier", "loss", "train_loss"),
    *("curve", "engine", "precision", "device", "seconds", "attempt", "reason"),
]
POINT_FIELDS = {"label", "cell", "learning_rate", "momentum", "mean", "std", "n", "diverged"}


@pytest.fixture
def held(service: Service) -> Any:
    """The right to dispatch on the app's store."""
    leadership = leader(service.store)
    yield leadership
    leadership.release()


def test_submitted_study_is_answered_with_its_place(client: TestClient) -> None:
    answer = client.post("/v1/studies", json=small())
    assert answer.status_code == 201
    study = answer.json()
    assert answer.headers["location"] == f"/v1/studies/{study['id']}"
    assert set(study) == STUDY_FIELDS
    assert study["status"] == "queued"
    assert study["progress"] == {"done": 0, "total": 10, "fraction": 0.0}
    assert study["optuna_study"] == f"small [{study['id']}]"
    assert study["spec"]["weight_decay"] == 1e-4
    assert (study["eta_seconds"], study["started_at"]) == (None, None)
    assert datetime.fromisoformat(study["created_at"]).utcoffset() is not None
    assert client.get(answer.headers["location"]).json() == study
    for name, path in study["links"].items():
        if name not in ("events", "dashboard", "comparison", "page"):
            assert client.get(path).status_code == 200, path


def test_design_example_is_accepted(client: TestClient) -> None:
    example = """{"schema": 1, "name": "golden grid", "dataset": "rotated-digits", "model": "paper-cnn",
     "loss": "dual-process", "prescribed": "golden",
     "grid": {"learning_rate": {"factor": 1.6, "steps": 3}, "momentum": {"factor": 1.6, "steps": 3}},
     "references": ["matlab", "pytorch", "plain", "same-effective-rate", "no-momentum"],
     "folds": 10, "folds_used": 10, "runs": 10, "epochs": 30, "batch_size": 128, "weight_decay": 0.0001,
     "bn_statistics": "population", "engine": "auto", "precision": "fp32", "racing": false, "priority": 0, "seed": 0,
     "claim": {"metric": "accuracy", "margin": 0.001, "confidence": 0.95}}"""
    answer = client.post("/v1/studies", content=example)
    assert answer.status_code == 201
    assert answer.json()["spec"] == json.loads(example)
    least = client.post("/v1/studies", json={"dataset": "rotated-digits", "loss": "dual-process"})
    assert least.json()["fingerprint"] == answer.json()["fingerprint"]


def test_same_key_gives_the_same_201_and_another_body_422(client: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post("/v1/studies", json=small(), headers=headers)
    again = client.post("/v1/studies", content=json.dumps(small(), indent=4), headers=headers)
    assert (again.status_code, again.headers["location"]) == (201, first.headers["location"])
    assert again.json() == first.json()
    other = client.post("/v1/studies", json=small(runs=2), headers=headers)
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"
    assert len(client.get("/v1/studies").json()["items"]) == 1


def test_list_gives_every_study_once_from_the_newest_on(client: TestClient) -> None:
    made = [client.post("/v1/studies", json=small(runs=1 + number % 2)).json() for number in range(7)]
    seen, path = [], "/v1/studies?limit=3"
    while True:
        page = client.get(path).json()
        assert set(page) == {"items", "next"}
        seen += page["items"]
        if page["next"] is None:
            break
        path = f"/v1/studies?limit=3&cursor={page['next']}"
    assert [study["id"] for study in seen] == [study["id"] for study in reversed(made)]
    found = client.get(f"/v1/studies?fingerprint={made[0]['fingerprint']}").json()["items"]
    assert [study["id"] for study in found] == [study["id"] for study in reversed(made[::2])]


def test_list_ends_when_the_last_page_is_full(client: TestClient) -> None:
    for _ in range(2):
        client.post("/v1/studies", json=small())
    assert client.get("/v1/studies?limit=2").json()["next"] is None


def test_actions_show_at_once(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    lease(held, study_id)
    root = f"/v1/studies/{study_id}"
    seen = [service.client.get(root).json()["revision"]]
    for action, status in [("pause", "paused"), ("resume", "running"), ("pause", "paused"), ("cancel", "cancelled")]:
        answer = service.client.post(f"{root}/{action}")
        assert (answer.status_code, answer.json()["status"]) == (200, status)
        assert service.client.get(root).json()["status"] == status
        seen.append(answer.json()["revision"])
    assert seen == sorted(set(seen))


def test_actions_are_a_conflict_when_the_study_has_ended(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    for action in ("cancel", "pause", "resume"):
        answer = service.client.post(f"/v1/studies/{study_id}/{action}")
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        assert "completed" in answer.json()["detail"]
    assert row(service.store, study_id).desired == "run"


def test_extension_adds_runs_also_to_a_completed_study(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    answer = service.client.post(f"/v1/studies/{study_id}/extend", json={"runs": 2})
    assert answer.status_code == 200
    assert answer.json()["status"] == "queued"
    assert (answer.json()["runs"], answer.json()["progress"]["total"]) == (3, 30)
    assert service.client.delete(f"/v1/studies/{study_id}").status_code == 409
    settle(held, study_id)
    complete(held, study_id)
    assert service.client.get(f"/v1/studies/{study_id}").json()["status"] == "completed"


def test_extension_after_results_is_a_look_that_is_paid_for(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    root = f"/v1/studies/{study_id}"
    assert service.client.post(f"{root}/extend", json={"runs": 9}).json()["looks"] == 1  # nothing was to be seen yet
    complete(held, study_id)
    first = service.client.get(f"{root}/comparison").json()
    assert (first["level"], first["looks"]) == (0.95, 1)
    for look, level in ((2, 0.975), (3, 0.9875)):
        assert service.client.post(f"{root}/extend", json={"runs": 1}).json()["looks"] == look
        settle(held, study_id)
        complete(held, study_id)
        later = service.client.get(f"{root}/comparison").json()
        assert (later["level"], later["looks"], later["confidence"]) == (level, look, 0.95)
        assert [warning["code"] for warning in later["warnings"]].count("looks") == 1


def test_looks_end_and_a_race_is_not_extended(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held, racing=True, runs=12)
    answer = service.client.post(f"/v1/studies/{study_id}/extend", json={"runs": 1})
    assert (answer.status_code, row(service.store, study_id).runs) == (409, 12)
    assert "rounds" in answer.json()["detail"]
    study_id = opened(service.store, held)
    complete(held, study_id)
    with service.store.write() as session:
        session.execute(sa.update(Study).where(Study.id == study_id).values(looks=MOST_LOOKS))
    answer = service.client.post(f"/v1/studies/{study_id}/extend", json={"runs": 1})
    assert (answer.status_code, row(service.store, study_id).runs) == (409, 1)
    assert "looked at 20 times" in answer.json()["detail"]


def test_deletion_needs_an_end_and_hides_the_study(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    root = f"/v1/studies/{study_id}"
    assert service.client.delete(root).status_code == 409
    complete(held, study_id)
    answer = service.client.delete(root)
    assert (answer.status_code, answer.content) == (204, b"")
    assert service.client.get(root).status_code == 404
    assert service.client.delete(root).status_code == 404
    assert service.client.get("/v1/studies").json()["items"] == []


def test_cells_show_means_as_they_stand(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    take_in(held, lease(held, study_id))
    items = service.client.get(f"/v1/studies/{study_id}/cells").json()["items"]
    assert [item["cell"] for item in items] == [0, 1, 2, 3, 4]
    assert items[0]["labels"] == ["golden"]
    assert items[0]["learning_rate"] == golden.LEARNING_RATE
    assert items[0]["effective_learning_rate"] == pytest.approx(golden.EFFECTIVE_LEARNING_RATE)
    assert items[2]["mean"] == pytest.approx(0.92)
    assert (items[2]["n"], items[2]["std"], items[2]["diverged"], items[2]["failed"]) == (1, None, 0, 0)


def test_replicates_come_once_each_across_pages(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held, runs=2)
    complete(held, study_id)
    seen, path = [], f"/v1/studies/{study_id}/replicates?limit=7"
    while path:
        page = service.client.get(path).json()
        seen += page["items"]
        path = page["next"] and f"/v1/studies/{study_id}/replicates?limit=7&cursor={page['next']}"
    assert [list(one) for one in seen] == [REPLICATE_FIELDS] * 20
    places = [(one["cell"], one["fold"], one["run"]) for one in seen]
    assert places == [(one.cell, one.fold, one.run) for one in rows(service.store, Replicate, study_id)]
    assert len(set(places)) == 20
    assert seen[0]["curve"] == {"accuracy": [0.5, 0.9], "loss": [1.0, 0.5], "train_loss": [1.0, 0.25]}


@pytest.mark.parametrize("kind", ["sqlite_store", "postgresql_store"])
def test_pages_hold_together_on_both_databases(request: Any, serve: Any, kind: str) -> None:
    store: Store = request.getfixturevalue(kind)
    service, leadership = serve(store), leader(store)
    study_id = opened(store, leadership)
    complete(leadership, study_id)
    leadership.release()
    first = service.client.get(f"/v1/studies/{study_id}/replicates?limit=4").json()
    rest = service.client.get(f"/v1/studies/{study_id}/replicates?cursor={first['next']}").json()
    assert len({(one["cell"], one["fold"]) for one in first["items"] + rest["items"]}) == 10
    assert rest["next"] is None


def test_csv_gives_every_row_once_when_it_takes_several_reads(
    service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = opened(service.store, held, runs=2)
    complete(held, study_id)
    whole = service.client.get(f"/v1/studies/{study_id}/replicates?format=csv")
    assert whole.headers["content-type"].startswith("text/csv")
    assert study_id in whole.headers["content-disposition"]
    for chunk in (7, 20, 1):
        monkeypatch.setattr(exports, "PAGE", chunk)
        assert service.client.get(f"/v1/studies/{study_id}/replicates?format=csv").text == whole.text
    table = list(csv.DictReader(io.StringIO(whole.text)))
    assert list(table[0]) == REPLICATE_FIELDS
    listed = service.client.get(f"/v1/studies/{study_id}/replicates").json()["items"]
    for line, item in zip(table, listed, strict=True):
        assert [float(line[name]) for name in ("accuracy", "learning_rate")] == [
            item["accuracy"],
            item["learning_rate"],
        ]
        assert json.loads(line["curve"]) == item["curve"]
        assert line["reason"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_quotes_text_that_a_spreadsheet_would_run(service: Service, held: Leadership, start: str) -> None:
    study_id = opened(service.store, held)
    found = lease(held, study_id)
    device = f'{start}cmd|"/c calc"!A1'
    take_in(held, found, [result(*member.key, device=device) for member in found.members])
    text = service.client.get(f"/v1/studies/{study_id}/replicates?format=csv").text
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {line["device"] for line in table} == {f"'{device}"}
    listed = service.client.get(f"/v1/studies/{study_id}/replicates").json()["items"]
    assert {item["device"] for item in listed} == {device}


def test_packs_tell_their_story(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    charge(held, lease(held, study_id, size(2)), "died of something")
    complete(held, study_id)
    first = service.client.get(f"/v1/studies/{study_id}/packs?limit=1").json()
    rest = service.client.get(f"/v1/studies/{study_id}/packs?limit=200&cursor={first['next']}").json()
    packs = first["items"] + rest["items"]
    assert [pack["id"] for pack in packs] == [pack.id for pack in rows(service.store, Pack, study_id)]
    assert (packs[0]["state"], packs[0]["attempt"], packs[0]["charged"]) == ("done", 2, 1)
    assert "died of something" in packs[0]["log"]
    assert set(packs[0]["members"][0]) == {"cell", "fold", "run"}


def test_manifest_says_what_is_needed_to_repeat_the_study(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    manifest = service.client.get(f"/v1/studies/{study_id}/manifest").json()
    assert manifest["study"] == study_id
    assert manifest["spec"] == service.client.get(f"/v1/studies/{study_id}").json()["spec"]
    assert manifest["dataset"]["sha256"] == "5" * 64
    assert manifest["dataset"]["is_paper_data"] is False
    assert manifest["packs"]["done"] == manifest["packs"]["attempts"] == len(rows(service.store, Pack, study_id))
    assert manifest["packs"]["device_seconds"] == 3.0 * manifest["packs"]["done"]
    assert set(manifest["versions"]) == {"python", "goldenbench", "torch", "numpy", "optuna", "distributed"}


def test_manifest_totals_are_those_of_all_packs_and_reads_none(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    path, nothing = f"/v1/studies/{study_id}/manifest", {"done": 0, "attempts": 0, "charged": 0, "device_seconds": 0.0}
    assert service.client.get(path).json()["packs"] == nothing
    for _ in range(2):
        charge(held, lease(held, study_id, size(4)), "died")
    take_in(held, lease(held, study_id, size(4)))
    seen: list[str] = []
    listen = (service.store.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    sa.event.listen(*listen)
    told = service.client.get(path).json()["packs"]
    sa.event.remove(*listen)
    packs = rows(service.store, Pack, study_id)
    assert [pack.state for pack in packs] == ["split", "done", "waiting"]
    assert told == {
        "done": sum(pack.state == "done" for pack in packs),
        "attempts": sum(pack.attempt for pack in packs),
        "charged": sum(pack.charged for pack in packs),
        "device_seconds": sum(pack.seconds or 0.0 for pack in packs),
    }
    assert not any("gb_packs.members" in statement or "gb_packs.log" in statement for statement in seen)


def test_comparison_has_the_fields_of_the_design(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held, runs=3)
    root = f"/v1/studies/{study_id}/comparison"
    nothing = service.client.get(root)
    assert nothing.status_code == 200
    complete(held, study_id)
    found = service.client.get(root).json()
    fields = (
        "study verdict sentence margin confidence n regret replicates_needed prescribed best references confidence_set "
    )
    fields += "ridge populations secondary warnings method data_note"
    for document in (nothing.json(), found):
        assert set(fields.split()) <= set(document)
        assert document["study"] == study_id
        assert set(document["regret"]) == {"estimate", "cross_fitted", "low", "high"}
        assert set(document["confidence_set"]) == {"cells", "share"}
        assert set(document["populations"]) == {"seeds", "new_data"}
        assert set(document["secondary"]) == {"brier", "train_loss"}
        assert POINT_FIELDS | {"rank", "percentile"} <= set(document["prescribed"])
        assert all(set(warning) == {"code", "text"} for warning in document["warnings"])
        assert "stand in" in document["data_note"]
    assert (nothing.json()["verdict"], nothing.json()["n"], nothing.json()["best"]) == ("undecided", 0, None)
    assert found["n"] == 6
    assert found["verdict"] in ("equivalent", "inferior", "undecided")
    assert set(found["best"]) >= POINT_FIELDS
    assert (found["best"]["cell"], found["best"]["label"]) == (4, "plain")
    assert [reference["label"] for reference in found["references"]] == ["matlab", "plain"]
    for reference in found["references"]:
        assert set(reference) >= POINT_FIELDS
        assert set(reference["difference"]) == {"estimate", "low", "high"}
    assert found["regret"]["estimate"] == pytest.approx(0.04)
    assert found["secondary"]["brier"]["lower_is_better"] is True


def test_comparison_is_undecided_while_the_study_runs(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held, runs=10)
    while row(service.store, study_id).done < 60:
        take_in(held, lease(held, study_id))
    root = f"/v1/studies/{study_id}/comparison"
    running = service.client.get(root).json()
    assert running["verdict"] == "undecided"
    assert "unfinished" in {warning["code"] for warning in running["warnings"]}
    complete(held, study_id)
    ended = service.client.get(root).json()
    assert ended["verdict"] == "inferior"  # every replicate of `plain` is 0.04 above the prescribed point's
    assert "unfinished" not in {warning["code"] for warning in ended["warnings"]}
    service.client.post(f"/v1/studies/{study_id}/extend", json={"runs": 1})
    assert service.client.get(root).json()["verdict"] == "undecided"


def test_estimate_learns_from_packs_that_are_done(service: Service, held: Leadership) -> None:
    before = service.client.post("/v1/estimates", json=small()).json()
    assert (before["cells"], before["trainings"], before["epochs"]) == (5, 10, 20)
    assert (before["device_seconds"], before["eta_seconds"], before["measured_on_trainings"]) == (None, None, 0)
    study_id = opened(service.store, held)
    complete(held, study_id)
    packs = len(rows(service.store, Pack, study_id))
    after = service.client.post("/v1/estimates", json=small(epochs=4, runs=2)).json()
    assert after["measured_on_trainings"] == 10
    assert after["device_seconds"] == pytest.approx(3.0 * packs / 20 * 20 * 4)
    assert (after["devices"], after["eta_seconds"]) == (1, after["device_seconds"])
    assert (
        service.client.post("/v1/estimates", json=small(loss="sse", engine="reference")).json()["device_seconds"]
        is None
    )
    assert service.client.get("/v1/studies").json()["items"][0]["id"] == study_id  # it queued nothing


@pytest.mark.parametrize(
    "changes",
    [
        {"folds_used": 1, "runs": 1},
        {"references": [], "grid": {"learning_rate": {"values": [0.1]}, "momentum": {"values": [0.5]}}},
        {"grid": {"learning_rate": {"factor": 1.01, "steps": 20}, "momentum": {"values": [i / 50 for i in range(48)]}}},
        {"folds_used": 5, "runs": 40},
    ],
)
def test_estimate_gives_a_probability_for_studies_of_any_size(client: TestClient, changes: dict[str, Any]) -> None:
    began = time.monotonic()
    answer = client.post("/v1/estimates", json=small(**changes))
    assert answer.status_code == 200
    power = answer.json()["power"]
    assert 0 <= power["equivalent"] <= 1
    assert power["margin_in_test_images"] == pytest.approx(2.0)
    assert time.monotonic() - began < 5


def test_eta_follows_the_pace(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    take_in(held, lease(held, study_id))  # 5 trainings in 3 seconds
    running = lease(held, study_id, size(2))
    with held.transaction() as session:
        session.get_one(Pack, 2).epochs_done = 2  # of 4 epochs of the pack's two networks
    study = service.client.get(f"/v1/studies/{study_id}").json()
    assert len(running.members) == 2
    assert study["progress"]["fraction"] == pytest.approx((5 + 1) / 10)
    assert study["eta_seconds"] == pytest.approx(4 * 3 / 5)
    complete_pack = take_in(held, running)
    assert complete_pack
    wish(service.store, study_id, "pause")
    assert service.client.get(f"/v1/studies/{study_id}").json()["eta_seconds"] is None


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/presets", {"name", "title", "trainings", "spec"}),
        ("/v1/datasets", {"name", "title", "licence", "checksums", "is_paper_data", "note"}),
        ("/v1/models", {"name"}),
        ("/v1/workers", {"name", "device", "study"}),
    ],
)
def test_catalog_lists(client: TestClient, path: str, fields: set[str]) -> None:
    page = client.get(path).json()
    assert {"items", "next"} <= set(page)
    assert page["items"]
    assert all(fields <= set(item) for item in page["items"])


def test_presets_are_accepted_as_they_are_shown(client: TestClient) -> None:
    for preset in client.get("/v1/presets").json()["items"]:
        study = client.post("/v1/studies", json=preset["spec"]).json()
        assert study["progress"]["total"] == preset["trainings"]


def test_derivation_gives_the_numbers(client: TestClient) -> None:
    derived = client.get("/v1/derived").json()
    assert (derived["learning_rate"], derived["momentum"]) == (golden.LEARNING_RATE, golden.MOMENTUM)
    assert len(derived["steps"]) > 5


def test_operations_answer(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (
        200,
        {"database": "ok", "schema": "ok", "dispatcher": "leading", "scheduler": "connected", "workers": 1},
    )


def test_pages_are_rendered(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held, name="<script>alert(1)</script>")
    home = service.client.get("/")
    assert home.status_code == 200
    assert "&lt;script&gt;" in home.text
    assert "<script>alert" not in home.text
    assert 'http-equiv="refresh"' in service.client.get(f"/studies/{study_id}").text
    complete(held, study_id)
    service.client.get(f"/v1/studies/{study_id}/comparison")  # a page does not wait for it
    page = service.client.get(f"/studies/{study_id}")
    assert page.status_code == 200
    assert 'http-equiv="refresh"' not in page.text
    assert "golden" in page.text
    assert "/v1/studies/{study_id}/events" in service.client.get("/docs").text


def test_openapi_describes_every_route(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert {"/v1/studies", "/v1/studies/{study_id}/events", "/v1/estimates", "/readyz"} <= set(schema["paths"])
    body = schema["paths"]["/v1/studies"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/StudySpecDocument"}
    assert schema["components"]["schemas"]["StudySpecDocument"]["required"] == ["dataset", "loss"]
    stream = schema["paths"]["/v1/studies/{study_id}/events"]["get"]["responses"]["200"]["content"]
    assert "text/event-stream" in stream


def events(text: str) -> list[dict[str, str]]:
    """The events of a stream, each with its fields."""
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def test_events_of_an_ended_study_tell_it_and_end(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    answer = service.client.get(f"/v1/studies/{study_id}/events")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    told, end = events(answer.text)
    study = service.client.get(f"/v1/studies/{study_id}").json()
    assert (told["event"], told["id"]) == ("study", str(study["revision"]))
    assert json.loads(told["data"]) == study
    assert (end["event"], json.loads(end["data"])) == ("end", {"status": "completed"})


def test_events_go_on_behind_the_last_one_seen(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    path = f"/v1/studies/{study_id}/events"
    last = int(events(service.client.get(path).text)[0]["id"])
    kinds = {
        seen: [event["event"] for event in events(service.client.get(path, headers={"Last-Event-ID": seen}).text)]
        for seen in (str(last), str(last - 1), "nonsense", b"\xb2", "9" * 5_000)
    }
    assert kinds[str(last)] == ["end"]
    assert kinds[str(last - 1)] == kinds["nonsense"] == kinds[b"\xb2"] == ["study", "end"]
    assert kinds["9" * 5_000] == ["study", "end"]


def test_events_follow_a_study_to_its_end(service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.answers.POLL_SECONDS", 0.02)
    monkeypatch.setattr("service.api.answers.KEEPALIVE_SECONDS", 0.05)
    study_id = opened(service.store, held)

    def work() -> None:
        for _ in range(2):
            time.sleep(0.3)
            take_in(held, lease(held, study_id, size(3)))
        time.sleep(0.3)
        wish(service.store, study_id, "cancel")
        settle(held, study_id)

    worker = threading.Thread(target=work)
    worker.start()
    answer = service.client.get(f"/v1/studies/{study_id}/events")
    worker.join()
    *told, end = events(answer.text)
    documents = [json.loads(event["data"]) for event in told]
    assert [event["id"] for event in told] == [str(document["revision"]) for document in documents]
    assert sorted({document["revision"] for document in documents}) == [d["revision"] for d in documents]
    done = [document["progress"]["done"] for document in documents]
    assert (done[0], done[-1]) == (0, row(service.store, study_id).done)
    assert documents[-1]["status"] == "cancelled"
    assert json.loads(end["data"]) == {"status": "cancelled"}
    assert ": ping" in answer.text


def test_events_end_when_the_study_is_deleted(
    service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.answers.POLL_SECONDS", 0.02)
    study_id = opened(service.store, held)
    timer = threading.Timer(0.3, lambda: wish(service.store, study_id, "delete"))
    timer.start()
    *_, end = events(service.client.get(f"/v1/studies/{study_id}/events").text)
    timer.join()
    assert json.loads(end["data"]) == {"status": "deleted"}
