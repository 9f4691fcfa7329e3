"""The pages as a browser without scripts gets them."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import jinja2
import pytest
from jinja2 import nodes
from pages_data import HOSTILE, HTML, Page, answered, demo, get, post
from service_data import (
    Service,
    complete,
    leader,
    lease,
    opened,
    result,
    row,
    settle,
    size,
    submit,
    take_in,
)
from suite_data import suite

from service.dispatch.leader import Leadership
from service.errors import Unavailable
from service.headers import SAFE_HEADERS
from service.pages.rendering import FOLDER
from service.store.engine import Store
from studies.catalog import presets
from studies.fields import Problem, SpecError
from studies.results import Curve, Outcome


@pytest.fixture
def held(service: Service) -> Iterator[Leadership]:
    """The right to dispatch on the app's store."""
    leadership = leader(service.store)
    yield leadership
    leadership.release()


# --- what is shown


def test_home_lists_studies_with_status_progress_and_verdict(service: Service, held: Leadership) -> None:
    done = opened(service.store, held, name="all done")
    complete(held, done)
    settle(held, done)
    waiting = submit(service.store, name="waits")
    verdict = service.client.get(f"/v1/studies/{done}/comparison").json()["verdict"]
    page = answered(service.client, "/", verdict)
    assert "Does a prescribed learning rate and momentum sit near the optimum?" in page.text
    assert "0.015868" in page.text
    badges = [found["class"] for found in page.all("span") if "badge" in (found.get("class") or "")]
    assert badges == ["badge queued", "badge completed", f"badge {verdict}"]
    assert "10 of 10" in page.text
    actions = [found["action"] for found in page.all("form", method="post")]
    assert [action for action in actions if str(action).startswith("/studies/")] == [
        f"/studies/{waiting}/pause",
        f"/studies/{waiting}/cancel",
    ]


def test_home_has_older_studies_on_further_pages(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.pages.routes.LISTED", 2)
    for number in range(5):
        submit(service.store, name=f"study {number}")
    seen, path = "", "/"
    for _ in range(3):
        page = get(service.client, path)
        seen += page.text
        path = next((str(found["href"]) for found in page.all("a") if str(found["href"]).startswith("/?cursor=")), "")
    assert path == ""
    assert all(f"study {number}" in seen for number in range(5))


@pytest.mark.parametrize("preset", list(presets()))
def test_form_starts_from_a_preset_and_says_what_it_costs(still: Service, preset: str) -> None:
    page = get(still.client, f"/?preset={preset}")
    spec = presets()[preset].spec
    assert [found["href"] for found in page.all("a", aria_current="true")] == [f"/?preset={preset}#new"]
    assert page.all("input", name="claim.margin")[0]["value"] == str(spec.claim.margin)
    estimate = still.client.post("/v1/estimates", json=spec.to_json()).json()
    assert f"{estimate['trainings']:,}" in page.text
    assert f"{100 * estimate['power']['equivalent']:.0f} %" in page.text


def test_unknown_preset_is_a_page_with_404(still: Service) -> None:
    answer = still.client.get("/?preset=nothing", headers=HTML)
    assert answer.status_code == 404
    assert "there is no preset" in Page(answer.text).text


def test_queued_study_has_a_page(service: Service) -> None:
    page = get(service.client, f"/studies/{submit(service.store)}")
    assert "queued" in page.text
    assert "Nothing can be said before" in answered(service.client, f"/studies/{submit(service.store)}").text


def test_running_study_shows_what_is_there_and_is_looked_at_again(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    take_in(held, lease(held, study_id, size(5)))
    page = answered(service.client, f"/studies/{study_id}")
    assert "5 of 10" in page.text
    assert page.all("main")[0]["data-events"] == f"/v1/studies/{study_id}/events"
    assert page.all("meta", http_equiv="refresh"), "without scripts the page loads itself again"
    assert [found for found in page.all("g") if (found.get("class") or "").startswith("tile shade")]


def test_completed_study_shows_the_whole_answer(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held, runs=3)
    complete(held, study_id)
    settle(held, study_id)
    page = answered(service.client, f"/studies/{study_id}")
    comparison = service.client.get(f"/v1/studies/{study_id}/comparison").json()
    assert comparison["sentence"] in page.text
    assert comparison["not_said"] in page.text
    assert comparison["method"] in page.text
    for warning in comparison["warnings"]:
        assert warning["text"] in page.text
    for number in (comparison["regret"]["estimate"], comparison["margin"], comparison["regret"]["high"]):
        assert f"{100 * number:.2f}" in page.text
    headings = ["Landscape", "What it loses to the best", "Learning curves", "Every training", "Manifest", "matlab"]
    assert [heading for heading in headings if heading not in page.text] == []
    assert "data-refresh" not in page.all("main")[0]
    assert "data-events" not in page.all("main")[0]
    assert len([found for found in page.all("g") if "dot" in (found.get("class") or "").split()]) == 3 * 6, (
        "plain is best"
    )


def test_downloads_of_a_completed_study_are_there(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    settle(held, study_id)
    page = answered(service.client, f"/studies/{study_id}")
    addresses = {str(found["href"]) for found in page.all("a")}
    wanted = {
        f"/v1/studies/{study_id}/replicates?format=csv",
        f"/v1/studies/{study_id}/plots/heatmap.svg",
        "/dashboard",
    }
    assert wanted <= addresses
    for address in addresses - {"/dashboard"}:
        answer = service.client.get(address.partition("#")[0])
        assert answer.status_code == 200, f"{address}: {answer.text}"


def test_study_whose_trainings_all_diverged_has_a_page(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    found = lease(held, study_id)
    empty = Curve((None, None), (None, None), (None, None))
    lost = {
        "outcome": Outcome.DIVERGED,
        "accuracy": 0.1,
        "brier": 0.9,
        "loss": None,
        "train_loss": None,
        "curve": empty,
    }
    take_in(held, found, [result(*member.key, correct=None, **lost) for member in found.members])
    settle(held, study_id)
    assert "no training finished" in answered(service.client, f"/studies/{study_id}").text


def test_suite_shows_its_table_beside_the_paper(service: Service, held: Leadership) -> None:
    made = service.client.post("/v1/suites", json=suite()).json()
    assert "Its studies" in get(service.client, f"/suites/{made['id']}").text
    page = answered(service.client, f"/suites/{made['id']}", "77.4 ± 10")
    assert "within a study" in page.text
    assert page.all("main")[0]["data-refresh"]
    assert "small suite" in get(service.client, "/").text


def test_docs_list_every_route(still: Service) -> None:
    page = get(still.client, "/docs")
    for path in still.client.get("/openapi.json").json()["paths"]:
        assert path in page.text


# --- what nobody may do


@pytest.mark.parametrize("where", ["name", "reference"])
def test_names_are_inert(service: Service, held: Leadership, where: str) -> None:
    reference = {"name": "<b onclick=alert(3)>mine</b>", "learning_rate": 0.02, "momentum": 0.5}
    changes = {"name": HOSTILE} if where == "name" else {"references": [reference]}
    study_id = opened(service.store, held, **changes)
    complete(held, study_id)
    settle(held, study_id)
    shown = HOSTILE if where == "name" else reference["name"]
    page = answered(service.client, f"/studies/{study_id}")
    assert shown in page.text
    assert page.all("b") == page.all("img") == []
    if where == "name":
        assert shown in get(service.client, "/").text


def test_what_is_typed_into_the_form_is_inert(service: Service) -> None:
    answer = post(service.client, "/studies", demo(name=HOSTILE, runs=HOSTILE, **{"references.own": HOSTILE}))
    assert answer.status_code == 422
    page = Page(answer.text)
    assert page.wrong == []
    assert page.all("img") == []
    assert page.all("input", name="runs")[0]["value"] == HOSTILE


@pytest.mark.parametrize("path", ["/studies", "/estimate", "/suites", "/studies/{id}/cancel", "/studies/{id}/delete"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_foreign_page_cannot_send_a_form(service: Service, path: str, origin: str) -> None:
    study_id = submit(service.store)
    answer = post(service.client, path.format(id=study_id), demo(), Origin=origin)
    assert answer.status_code == 403
    assert "this service's own pages only" in Page(answer.text).text
    assert len(service.client.get("/v1/studies").json()["items"]) == 1
    assert row(service.store, study_id).desired == "run"


def test_own_page_tells_its_origin() -> None:
    """Under `no-referrer` a browser sends a form with `Origin: null`, which the guard refuses."""
    assert dict(SAFE_HEADERS)[b"referrer-policy"] == b"same-origin"


# --- errors


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/studies/0123456789ab", 404), ("GET", "/suites/%00", 404), ("PUT", "/", 405)],
)
def test_error_is_a_page_for_people_and_a_problem_for_programs(
    still: Service, method: str, path: str, status: int
) -> None:
    answer = still.client.request(method, path, headers=HTML)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    page = Page(answer.text)
    assert page.wrong == []
    assert f"status {status}" in page.text
    problem = still.client.request(method, path)
    assert (problem.status_code, problem.headers["content-type"]) == (status, "application/problem+json")
    assert problem.headers.get("allow") == answer.headers.get("allow")
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("path", ["/v1/studies/0123456789ab", "/v1/nothing", "/assets/nothing.css"])
def test_error_of_the_api_stays_a_problem_in_a_browser(still: Service, path: str) -> None:
    assert still.client.get(path, headers=HTML).headers["content-type"] == "application/problem+json"


def test_foreign_name_is_refused_with_a_page(still: Service) -> None:
    answer = still.client.get("/", headers=HTML | {"Host": "evil.example"})
    assert answer.status_code == 400
    assert "must name this service" in Page(answer.text).text


# --- templates


def test_templates_compute_nothing() -> None:
    environment = jinja2.Environment(autoescape=True)
    for path in FOLDER.glob("*.html"):
        tree = environment.parse(path.read_text(encoding="utf-8"))
        sums = [node for node in tree.find_all(nodes.BinExpr) if not isinstance(node, nodes.And | nodes.Or)]
        assert sums == [], f"{path.name} computes in line {[node.lineno for node in sums]}"
        assert "|safe" not in path.read_text(encoding="utf-8").replace(" ", "")


# --- an answer that takes long


def test_page_does_not_wait_for_a_long_comparison(
    service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    settle(held, study_id)
    reports = service.client.app.state.context.reports  # type: ignore[attr-defined]
    compute, go_on, asked = reports.comparison, threading.Event(), []

    async def slow(wanted: str) -> Any:
        asked.append(wanted)
        while not go_on.is_set():
            await asyncio.sleep(0.01)
        return await compute(wanted)

    monkeypatch.setattr(reports, "comparison", slow)
    page = get(service.client, f"/studies/{study_id}")
    assert "The answer is being computed" in page.text
    assert page.all("main")[0]["data-refresh"] == "1"
    assert "Landscape" in page.text
    get(service.client, f"/studies/{study_id}")
    assert asked == [study_id], "one computation serves every look"
    go_on.set()
    page = answered(service.client, f"/studies/{study_id}")
    assert "data-refresh" not in page.all("main")[0]
    assert asked == [study_id]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("secret"), "an error of the service; its log says more"),
        (Unavailable(), "The database does not answer at the moment"),
        (
            SpecError(Problem("model", "must be one of paper-cnn")),
            "the study needs what is not installed here: model: ",
        ),
    ],
)
def test_page_survives_a_comparison_that_fails(
    service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    settle(held, study_id)
    reports = service.client.app.state.context.reports  # type: ignore[attr-defined]

    async def broken(_study_id: str) -> Any:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(reports, "comparison", broken)
        page = get(service.client, f"/studies/{study_id}")
        assert f"The answer cannot be computed: {told}" in page.text
        assert "secret" not in page.text
        assert "10 of 10" in page.text
    assert "cannot be computed" not in answered(service.client, f"/studies/{study_id}").text


def test_list_shows_the_verdicts_again_after_a_restart(serve: Any, sqlite_store: Store) -> None:
    before = serve(sqlite_store)
    leadership = leader(sqlite_store)
    study_id = opened(sqlite_store, leadership)
    complete(leadership, study_id)
    settle(leadership, study_id)
    leadership.release()
    word = before.client.get(f"/v1/studies/{study_id}/comparison").json()["verdict"]
    again = serve(sqlite_store)
    first = get(again.client, "/")
    assert "being computed" in first.text
    assert first.all("main")[0]["data-refresh"] == "3"
    last = answered(again.client, "/", word)
    assert last.all("span", **{"class": f"badge {word}"})
    assert "data-refresh" not in last.all("main")[0]


def test_list_does_not_try_again_and_again_what_fails(
    service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    settle(held, study_id)
    reports, asked = service.client.app.state.context.reports, []  # type: ignore[attr-defined]

    async def broken(wanted: str) -> Any:
        asked.append(wanted)
        raise Unavailable

    monkeypatch.setattr(reports, "comparison", broken)
    page = answered(service.client, "/", "cannot be computed")
    assert "data-refresh" not in page.all("main")[0]
    for _ in range(3):
        get(service.client, "/")
    assert asked == [study_id]
