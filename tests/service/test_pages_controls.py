"""What the forms and buttons of the pages do, and the page of two studies."""

from collections.abc import Iterator
from typing import Any

import pytest
from access_data import every_kind
from pages_data import HOSTILE, HTML, Page, answered, demo, get, post
from service_data import Service, complete, leader, opened, settle, submit

from service.dispatch.leader import Leadership
from service.store.engine import Store
from studies.catalog import presets


@pytest.fixture
def held(service: Service) -> Iterator[Leadership]:
    """The right to dispatch on the app's store."""
    leadership = leader(service.store)
    yield leadership
    leadership.release()


def test_submitted_form_becomes_a_study(service: Service) -> None:
    answer = post(service.client, "/studies", demo(name="from the form", runs="2", key="abc"))
    assert answer.status_code == 303
    study = service.client.get("/v1" + answer.headers["location"]).json()
    assert study["spec"] == presets()["demo"].spec.to_json() | {"name": "from the form", "runs": 2}
    again = post(service.client, "/studies", demo(name="from the form", runs="2", key="abc"))
    assert again.headers["location"] == answer.headers["location"]
    changed = post(service.client, "/studies", demo(name="from the form", runs="3", key="abc"))
    assert changed.headers["location"] != answer.headers["location"]


def test_refused_form_comes_back_with_its_values_and_the_rules(service: Service) -> None:
    answer = post(service.client, "/studies", demo(runs="0", epochs="seven", name="kept"))
    assert answer.status_code == 422
    page = Page(answer.text)
    assert page.wrong == []
    assert "must be a whole number from 1 to 10,000, not 0" in page.text
    assert "must be a whole number, not 'seven'" in page.text
    assert "2 rules are broken" in page.text
    assert page.all("input", name="name")[0]["value"] == "kept"
    assert [found["name"] for found in page.all("input") if "aria-invalid" in found] == ["runs", "epochs"]
    assert service.client.get("/v1/studies").json()["items"] == []


def test_estimate_of_the_form_is_that_of_the_api(still: Service) -> None:
    answer = post(still.client, "/estimate", demo(runs="7"))
    assert answer.status_code == 200
    estimate = still.client.post("/v1/estimates", json=presets()["demo"].spec.to_json() | {"runs": 7}).json()
    page = Page(answer.text)
    assert f"{estimate['trainings']:,}" in page.text
    assert page.all("input", name="runs")[0]["value"] == "7"
    refused = post(still.client, "/estimate", demo(runs="0"))
    assert (refused.status_code, "must be a whole number" in refused.text) == (200, True)
    assert still.client.get("/v1/studies").json()["items"] == []


@pytest.mark.parametrize(
    ("content", "status"), [(b"name=\xff", 400), (b"a=1&" * 300, 400), (b"name=" + b"x" * 300_000, 413)]
)
def test_what_is_no_form_is_refused(still: Service, content: bytes, status: int) -> None:
    answer = still.client.post("/studies", content=content, headers=HTML)
    assert answer.status_code == status
    assert Page(answer.text).wrong == []


def test_buttons_pause_resume_and_cancel(service: Service) -> None:
    study_id = submit(service.store)
    for action, status in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        page = get(service.client, f"/studies/{study_id}")
        assert f"/studies/{study_id}/{action}" in [found["action"] for found in page.all("form")]
        answer = post(service.client, f"/studies/{study_id}/{action}", {})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{study_id}")
        assert service.client.get(f"/v1/studies/{study_id}").json()["status"] == status
    late = post(service.client, f"/studies/{study_id}/pause", {})
    assert late.status_code == 409
    assert "cannot be changed any more" in Page(late.text).text


def test_extending_by_the_form_adds_runs_or_says_what_is_wrong(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    settle(held, study_id)
    assert "one more look" in get(service.client, f"/studies/{study_id}").text
    for runs, rule in (("0", "from 1 to 10,000"), ("two", "must be a whole number"), ("", "must be a whole number")):
        refused = post(service.client, f"/studies/{study_id}/extend", {"runs": runs})
        assert (refused.status_code, rule in Page(refused.text).text) == (422, True)
    answer = post(service.client, f"/studies/{study_id}/extend", {"runs": " 2 "})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{study_id}")
    study = service.client.get(f"/v1/studies/{study_id}").json()
    assert (study["runs"], study["looks"], study["status"]) == (3, 2, "queued")


@pytest.mark.parametrize("status", ["racing", "cancelled"])
def test_what_cannot_be_extended_has_no_form_for_it(service: Service, status: str) -> None:
    study_id = submit(service.store, **({"racing": True, "runs": 10} if status == "racing" else {}))
    if status == "cancelled":
        service.client.post(f"/v1/studies/{study_id}/cancel")
    actions = [found["action"] for found in get(service.client, f"/studies/{study_id}").all("form")]
    assert f"/studies/{study_id}/extend" not in actions


def test_study_that_has_ended_can_be_deleted_by_a_button_behind_a_question(service: Service) -> None:
    study_id = submit(service.store)
    early = post(service.client, f"/studies/{study_id}/delete", {})
    assert (early.status_code, "cancel it before" in early.text) == (409, True)
    assert "/delete" not in str(get(service.client, f"/studies/{study_id}").all("form"))
    service.client.post(f"/v1/studies/{study_id}/cancel")
    page = get(service.client, f"/studies/{study_id}")
    assert page.all("form", action=f"/studies/{study_id}/delete")
    assert "nothing brings them back" in page.text
    answer = post(service.client, f"/studies/{study_id}/delete", {})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert service.client.get(f"/v1/studies/{study_id}").status_code == 404


def test_only_an_administrator_is_offered_to_delete(serve: Any, sqlite_store: Store) -> None:
    guarded = serve(sqlite_store, require_tokens=True)
    given = every_kind(guarded.store)
    study_id = submit(guarded.store)
    path = f"/studies/{study_id}"
    guarded.client.post(f"/v1{path}/cancel", headers={"Authorization": f"Bearer {given.admin}"})
    for token, offered, status in ((given.submit, False, 403), (given.admin, True, 303)):
        bearer = {"Authorization": f"Bearer {token}"}
        page = Page(guarded.client.get(path, headers=HTML | bearer).text)
        assert bool(page.all("form", action=f"{path}/delete")) == offered
        assert post(guarded.client, f"{path}/delete", {}, **bearer).status_code == status


# --- two studies


def test_two_studies_are_compared_on_a_page(service: Service, held: Leadership) -> None:
    ids = [
        opened(service.store, held, name=name, loss=loss, runs=2) for name, loss in (("a", "sse"), (HOSTILE, "energy"))
    ]
    for study_id in ids:
        complete(held, study_id)
        settle(held, study_id)
    elsewhere, bare = opened(service.store, held, seed=1), opened(service.store, held)
    complete(held, elsewhere)
    page = get(service.client, f"/studies/{ids[0]}")
    assert [option["value"] for option in page.all("option")] == [ids[1]], "same seed, and with trainings"
    assert page.all("form", method="get")[0]["action"] == f"/studies/{ids[0]}/comparison"
    led = service.client.get(f"/studies/{ids[0]}/comparison?other={ids[1]}", follow_redirects=False)
    assert (led.status_code, led.headers["location"]) == (303, f"/studies/{ids[0]}/comparison/{ids[1]}")
    page = answered(service.client, led.headers["location"], "A minus B")
    answer = service.client.get(f"/v1{led.headers['location']}").json()
    for told in (answer["sentence"], answer["not_said"], answer["method"], HOSTILE):
        assert told in page.text
    bars = [found for found in page.all("g") if found.get("class") == "estimate strong"]
    assert len(bars) == 2
    assert len(page.all("tr")) == 1 + 2 * 3, "the prescribed points and two selections, of both studies"
    assert "data-refresh" not in page.all("main")[0]
    assert f"/studies/{ids[1]}/comparison/{ids[0]}" in [found.get("href") for found in page.all("a")]
    for other, status in ((elsewhere, 200), (bare, 200), ("0123456789ab", 404), ("..%2F..%2F", 404)):
        found = service.client.get(f"/studies/{ids[0]}/comparison/{other}", headers=HTML)
        assert found.status_code == status, other


@pytest.mark.parametrize("other", ["itself", "other data"])
def test_studies_that_cannot_be_compared_say_why(service: Service, held: Leadership, other: str) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    second = study_id if other == "itself" else opened(service.store, held, seed=1)
    rule = "must be another study" if other == "itself" else "seed: must be the same in both studies"
    page = answered(service.client, f"/studies/{study_id}/comparison/{second}", "cannot be computed")
    assert rule in page.text


def test_suite_is_started_and_ended_by_buttons(service: Service) -> None:
    answer = post(service.client, "/suites", {"preset": "table-1", "version": "quick", "key": "k"})
    assert answer.status_code == 303
    again = post(service.client, "/suites", {"preset": "table-1", "version": "quick", "key": "k"})
    assert again.headers["location"] == answer.headers["location"]
    assert "Table I" in get(service.client, answer.headers["location"]).text
    ended = post(service.client, answer.headers["location"] + "/cancel", {})
    assert (ended.status_code, ended.headers["location"]) == (303, answer.headers["location"])
    assert service.client.get("/v1" + ended.headers["location"]).json()["status"] == "cancelled"
    assert post(service.client, "/suites", {"preset": "nothing", "version": "quick"}).status_code == 422


def test_token_for_reading_sees_no_forms(serve: Any, sqlite_store: Store) -> None:
    guarded = serve(sqlite_store, require_tokens=True)
    given = every_kind(guarded.store)
    study_id = submit(guarded.store)
    for token, forms in ((given.read, 0), (given.submit, 3)):
        headers = HTML | {"Authorization": f"Bearer {token}"}
        page = Page(guarded.client.get(f"/studies/{study_id}", headers=headers).text)
        assert len(page.all("form", method="post")) == forms
        home = Page(guarded.client.get("/", headers=headers).text)
        assert ("New study" in home.text) == (forms > 0)
        assert home.wrong == page.wrong == []
        assert "log out" not in home.text, "a program has no login"


def test_login_can_be_ended_from_every_page(serve: Any, sqlite_store: Store) -> None:
    guarded = serve(sqlite_store, require_tokens=True)
    given = every_kind(guarded.store)
    assert post(guarded.client, "/login", {"token": given.read, "next": "/"}).status_code == 303
    for path in ("/", "/docs", "/nothing"):
        page = Page(guarded.client.get(path, headers=HTML).text)
        assert [found["action"] for found in page.all("form")] == ["/logout"], path
