"""The routes of suites."""

import json
from typing import Any

import pytest
from service_data import Service, TestClient, complete, leader, lease, row, settle, size, take_in
from suite_data import study, suite

from service.dispatch import accept
from service.dispatch.leader import Leadership
from service.store.suites import suite_studies
from service.suite_text import suite_text
from studies.catalog import suites

SUITE_FIELDS = {"id", "name", "status", "progress", "eta_seconds", "created_at", "studies", "spec", "links"}
SHA256 = "5" * 64


@pytest.fixture
def held(service: Service) -> Any:
    """The right to dispatch on the app's store."""
    leadership = leader(service.store)
    yield leadership
    leadership.release()


def submitted(client: TestClient, **changes: Any) -> dict[str, Any]:
    answer = client.post("/v1/suites", json=suite(**changes))
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def open_all(service: Service, held: Leadership, suite_id: str) -> list[str]:
    """Open the suite's studies; their ids."""
    with service.store.read() as session:
        ids = [study_id for study_id, _ in suite_studies(session, suite_id)]
    with held.transaction() as session:
        for study_id in ids:
            accept.open_study(session, study_id, SHA256, images=10_000)
    return ids


def table(service: Service, suite_id: str) -> dict[str, Any]:
    answer = service.client.get(f"/v1/suites/{suite_id}/table")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


# --- submission and listing


def test_submitted_suite_is_answered_with_its_place(client: TestClient) -> None:
    answer = client.post("/v1/suites", json=suite())
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/v1/suites/{made['id']}" == made["links"]["self"]
    assert set(made) == SUITE_FIELDS
    assert (made["name"], made["status"], made["eta_seconds"]) == ("small suite", "queued", None)
    assert made["progress"] == {"done": 0, "total": 16, "fraction": 0.0}
    assert [one["name"] for one in made["studies"]] == ["squares", "dual"]
    assert made["spec"]["studies"][0]["weight_decay"] == 1e-4
    assert client.get(answer.headers["location"]).json() == made
    for one in made["studies"]:
        assert client.get(one["links"]["self"]).json()["status"] == one["status"] == "queued"
    listed = client.get("/v1/studies").json()["items"]
    assert [one["name"] for one in listed] == ["dual", "squares"]


def test_same_key_gives_the_same_201_and_another_body_422(client: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post("/v1/suites", json=suite(), headers=headers)
    again = client.post("/v1/suites", content=json.dumps(suite(), indent=4), headers=headers)
    assert (again.status_code, again.headers["location"]) == (201, first.headers["location"])
    other = client.post("/v1/suites", json=suite(confidence=0.9), headers=headers)
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert len(client.get("/v1/suites").json()["items"]) == 1


def test_list_gives_every_suite_once_from_the_newest_on(client: TestClient) -> None:
    made = [submitted(client)["id"] for _ in range(5)]
    seen, path = [], "/v1/suites?limit=2"
    while True:
        page = client.get(path).json()
        assert set(page) == {"items", "next"}
        seen += page["items"]
        if page["next"] is None:
            break
        path = f"/v1/suites?limit=2&cursor={page['next']}"
    assert [one["id"] for one in seen] == made[::-1]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"studies": [study("squares"), study("dual", seed=1)]}, "studies[1].seed"),
        ({"studies": [study("squares"), study("dual", folds_used=1)]}, "studies[1].folds_used"),
        ({"studies": [study("squares", loss="cubes"), study("dual")]}, "studies[0].loss"),
        ({"studies": [study("squares", batch_size=9_000), study("dual")]}, "studies[0].batch_size"),
        ({"rows": [{"name": "a", "study": "squares", "cell": "matlab"}], "contrasts": []}, "rows[0].cell"),
        ({"contrasts": [{"row": "on", "minus": "nothing"}]}, "contrasts[0].minus"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_refused_suite_names_the_field_and_stores_nothing(
    client: TestClient, changes: dict[str, Any], field: str
) -> None:
    answer = client.post("/v1/suites", json=suite(**changes))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert client.get("/v1/suites").json()["items"] == client.get("/v1/studies").json()["items"] == []


def test_what_is_not_there_is_a_404(client: TestClient) -> None:
    for suite_id in ("nosuchsuite", "%00", "a'b"):
        for method, path in (("GET", ""), ("GET", "/table"), ("POST", "/cancel")):
            answer = client.request(method, f"/v1/suites/{suite_id}{path}")
            assert answer.status_code == 404, path
            assert answer.headers["content-type"] == "application/problem+json"


def test_presets_list_suites_that_are_accepted_as_they_are_shown(client: TestClient) -> None:
    page = client.get("/v1/presets").json()
    assert [ready["name"] for ready in page["suites"]] == list(suites())
    for ready in page["suites"]:
        for version in (ready, ready["quick"]):
            made = client.post("/v1/suites", json=version["spec"]).json()
            assert made["progress"]["total"] == version["trainings"]


# --- the table


def test_table_of_a_completed_suite(service: Service, held: Leadership) -> None:
    made = submitted(service.client)
    for study_id in open_all(service, held, made["id"]):
        complete(held, study_id)
    found = table(service, made["id"])
    assert (found["suite"], found["status"], found["complete"]) == (made["id"], "completed", True)
    assert [row["name"] for row in found["rows"]] == ["off", "on", "dual"]
    # Made-up accuracies: 0.9 + cell/100 + fold/1000 + run/10,000 in either study.
    assert [row["mean"] for row in found["rows"]] == pytest.approx([0.91055, 0.90055, 0.90055])
    assert [contrast["difference"]["estimate"] for contrast in found["contrasts"]] == pytest.approx([-0.01, 0.0])
    assert found["rows"][0]["published"]["mean"] == 0.774
    assert found["rows"][0]["spread_over_folds"]["std"] == pytest.approx(0.001 / 2**0.5)
    assert found["rows"][0]["spread_over_runs"]["std"] == pytest.approx(0.0001 / 2**0.5)
    document = service.client.get(f"/v1/suites/{made['id']}").json()
    assert (document["status"], document["eta_seconds"]) == ("completed", 0.0)
    assert document["progress"] == {"done": 16, "total": 16, "fraction": 1.0}


def test_table_of_a_running_suite_shows_what_is_stored(service: Service, held: Leadership) -> None:
    made = submitted(service.client)
    first, _second = open_all(service, held, made["id"])
    assert all(row["mean"] is None for row in table(service, made["id"])["rows"])
    take_in(held, lease(held, first, size(2)))
    found = table(service, made["id"])
    assert (found["status"], found["complete"]) == ("running", False)
    assert [row["n"] for row in found["rows"]] == [1, 1, 0]
    document = service.client.get(f"/v1/suites/{made['id']}").json()
    assert document["progress"]["fraction"] == pytest.approx(2 / 16)
    assert document["eta_seconds"] == pytest.approx(14 * 3.0 / 2)  # two trainings took three seconds
    assert document["studies"][1]["status"] == "queued"


def test_extended_study_widens_its_rows(service: Service, held: Leadership) -> None:
    made = submitted(service.client)
    ids = open_all(service, held, made["id"])
    for study_id in ids:
        complete(held, study_id)
    assert service.client.post(f"/v1/studies/{ids[0]}/extend", json={"runs": 1}).status_code == 200
    found = table(service, made["id"])
    assert (found["complete"], found["rows"][0]["wanted"], found["rows"][2]["wanted"]) == (False, 6, 4)
    assert [contrast["confidence"] for contrast in found["contrasts"]] == [0.975, 0.975]


def test_deleted_study_leaves_rows_that_say_so(service: Service, held: Leadership) -> None:
    made = submitted(service.client)
    ids = open_all(service, held, made["id"])
    for study_id in ids:
        complete(held, study_id)
    assert service.client.delete(f"/v1/studies/{ids[1]}").status_code == 204
    for carried_out in (False, True):
        if carried_out:
            with held.transaction() as session:
                accept.delete_study(session, ids[1])
        found = table(service, made["id"])
        assert (found["status"], found["complete"]) == ("cancelled", False)
        assert [row["study_status"] for row in found["rows"]] == ["completed", "completed", "deleted"]
        assert (found["rows"][2]["n"], found["contrasts"][1]["difference"]["estimate"]) == (0, None)
        document = service.client.get(f"/v1/suites/{made['id']}").json()
        assert document["progress"] == {"done": 8, "total": 8, "fraction": 1.0}
        gone = document["studies"][1]
        assert (gone["id"], gone["name"], gone["status"], gone["links"]) == (ids[1], "dual", "deleted", None)


def test_suite_of_deleted_studies_is_still_shown(service: Service, held: Leadership) -> None:
    made = submitted(service.client)
    for study_id in open_all(service, held, made["id"]):
        complete(held, study_id)
        service.client.delete(f"/v1/studies/{study_id}")
    document = service.client.get(f"/v1/suites/{made['id']}").json()
    assert document["progress"] == {"done": 0, "total": 0, "fraction": 0.0}
    assert all(row["mean"] is None for row in table(service, made["id"])["rows"])
    assert service.client.post(f"/v1/suites/{made['id']}/cancel").status_code == 409


# --- control


def test_cancel_ends_every_study_that_goes_on(service: Service, held: Leadership) -> None:
    made = submitted(service.client)
    first, second = open_all(service, held, made["id"])
    complete(held, first)
    before = row(service.store, second).revision
    answer = service.client.post(f"/v1/suites/{made['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert [one["status"] for one in answer.json()["studies"]] == ["completed", "cancelled"]
    assert (row(service.store, first).desired, row(service.store, second).desired) == ("run", "cancel")
    assert row(service.store, second).revision > before
    assert settle(held, second) == "cancelled"
    again = service.client.post(f"/v1/suites/{made['id']}/cancel")
    assert again.status_code == 409
    assert "every study of the suite has ended" in again.json()["detail"]


def test_studies_of_a_suite_are_controlled_one_by_one(service: Service, held: Leadership) -> None:
    made = submitted(service.client)
    ids = open_all(service, held, made["id"])
    for study_id in ids:
        assert service.client.post(f"/v1/studies/{study_id}/pause").status_code == 200
    document = service.client.get(f"/v1/suites/{made['id']}").json()
    assert (document["status"], document["eta_seconds"]) == ("paused", None)
    service.client.post(f"/v1/studies/{ids[0]}/resume")
    assert service.client.get(f"/v1/suites/{made['id']}").json()["status"] == "queued"


# --- as text


def test_text_of_a_table_is_that_of_its_numbers(service: Service, held: Leadership) -> None:
    made = submitted(service.client)
    first, second = open_all(service, held, made["id"])
    complete(held, first)
    take_in(held, lease(held, second, size(1)))
    text = suite_text(table(service, made["id"]))
    off, _on, dual = text.lines
    assert (off.mean, off.over_folds, off.over_runs, off.n) == ("91.05", "0.07", "0.01", "4")
    assert (off.learning_rate, off.momentum, off.published, off.source) == ("0.0159", "0", "77.4 ± 10", "a paper")
    assert (dual.over_folds, dual.n, dual.published, dual.study_status) == ("–", "1 of 4", "–", "running")
    assert dual.divergence == "0 of 1 diverged, 95 % limits 0 to 1"
    assert text.sources == ("a paper",)
    assert text.contrasts[0][0].startswith("on minus off: −1.00 points")
    assert [code for code, _ in text.warnings] == ["stand-in", "unfinished"]


def test_published_figures_have_the_papers_digits() -> None:
    row = {"divergence": None, "spread_over_folds": {"std": None}, "spread_over_runs": {"std": None}, "mean": None}
    row |= {"study_id": "s", "study_status": "queued", "loss": "sse", "learning_rate": 0.01, "momentum": 0.9}
    row |= {"n": 0, "wanted": 4, "complete": False, "diverged": 0}
    figures = [one.published for one in suites()["table-1"].spec.rows if one.published is not None]
    rows = [row | {"name": "r", "published": vars(one)} for one in figures]
    parts = {"name": "t", "status": "queued", "complete": False, "contrasts": [], "notes": [], "warnings": []}
    text = suite_text(parts | {"rows": rows, "method": "m"})
    assert [line.published for line in text.lines] == ["77.4 ± 10", "98.9 ± 1", "99.4 ± 0.06"]
