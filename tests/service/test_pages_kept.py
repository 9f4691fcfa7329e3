"""What is kept of a study's page: it equals the page drawn anew, whatever has happened and whoever looks."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from access_data import every_kind
from pages_data import HTML, answered, get
from service_data import (
    NUMERIC_CLASS,
    Service,
    complete,
    leader,
    lease,
    opened,
    result,
    settle,
    size,
    submit,
    take_in,
    wish,
)

from service.dispatch import accept
from service.dispatch.leader import Leadership
from service.pages import study as pages
from service.pages.drawings import Drawings
from service.store.tables import Cell, Study
from studies.results import Curve, Outcome

Act = Callable[[Service, Leadership, str], None]


@pytest.fixture
def held(service: Service) -> Iterator[Leadership]:
    """The right to dispatch on the app's store."""
    leadership = leader(service.store)
    yield leadership
    leadership.release()


@pytest.fixture(autouse=True)
def _long_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to a study that goes on stays the first one, so that two looks differ by what is kept alone."""
    monkeypatch.setattr("service.pages.answers.REST", 1e9)


def look(service: Service, study_id: str) -> bytes:
    """The page as it is answered."""
    found = service.client.get(f"/studies/{study_id}", headers=HTML)
    assert found.status_code == 200, found.text
    return found.content


def drawn_anew(service: Service, study_id: str) -> bytes:
    """The page of an app that has drawn nothing yet."""
    state = service.client.app.state  # type: ignore[attr-defined]
    state.drawings = Drawings()
    return look(service, study_id)


def begun(service: Service, held: Leadership) -> str:
    """A study with five of its ten trainings, and its answer; its id."""
    study_id = opened(service.store, held)
    take_in(held, lease(held, study_id, size(5)))
    answered(service.client, f"/studies/{study_id}")
    return study_id


# --- what happens in the store, as another process would write it


def more_results(_service: Service, held: Leadership, study_id: str) -> None:
    take_in(held, lease(held, study_id, size(1)))


def diverged_result(_service: Service, held: Leadership, study_id: str) -> None:
    found, none = lease(held, study_id, size(1)), Curve((None, None), (None, None), (None, None))
    lost: dict[str, Any] = {"accuracy": 0.1, "brier": 0.9, "loss": None, "train_loss": None, "curve": none}
    take_in(held, found, [result(*found.members[0].key, correct=None, outcome=Outcome.DIVERGED, **lost)])


def dropped_cell(service: Service, _held: Leadership, study_id: str) -> None:
    """As the end of a round of a race does."""
    with service.store.write() as session:
        session.execute(sa.update(Cell).where(Cell.study_id == study_id, Cell.cell == 1).values(dropped_after=1))


def running_pack(_service: Service, held: Leadership, study_id: str) -> None:
    lease(held, study_id, size(1))


def pack_given_back(_service: Service, held: Leadership, study_id: str) -> None:
    found = lease(held, study_id, size(1))
    with held.transaction() as session:
        accept.give_back(session, found.pack, found.attempt, "drained")


def partner(service: Service, held: Leadership, _study_id: str) -> None:
    complete(held, opened(service.store, held, name="another"))


def reason(_service: Service, held: Leadership, study_id: str) -> None:
    with held.transaction() as session:
        accept.explain(session, study_id, "no worker has the model")


def extension(service: Service, _held: Leadership, study_id: str) -> None:
    service.client.post(f"/v1/studies/{study_id}/extend", json={"runs": 1}).raise_for_status()


def end(service: Service, held: Leadership, study_id: str) -> None:
    """The dispatcher's end of it: a time in the manifest, a button to delete it."""
    wish(service.store, study_id, "cancel")
    settle(held, study_id)


def wished(what: str) -> Act:
    return lambda service, _held, study_id: wish(service.store, study_id, what)


ACTS: dict[str, Act] = {
    "results": more_results,
    "divergence": diverged_result,
    "drop": dropped_cell,
    "lease": running_pack,
    "return": pack_given_back,
    "partner": partner,
    "reason": reason,
    "extension": extension,
    "pause": wished("pause"),
    "cancel": wished("cancel"),
    "end": end,
}


# --- the tests


def test_page_is_drawn_once_for_all_looks(service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    settle(held, study_id)
    answered(service.client, f"/studies/{study_id}")
    draw, drawn = pages.draw_results, []

    def counted(*arguments: Any) -> Any:
        drawn.append(arguments)
        return draw(*arguments)

    monkeypatch.setattr(pages, "draw_results", counted)
    looks = {look(service, study_id) for _ in range(3)}
    assert drawn == []
    assert looks == {drawn_anew(service, study_id)}
    assert len(drawn) == 1


@pytest.mark.parametrize("act", ACTS)
def test_whatever_happens_shows_at_the_next_look(service: Service, held: Leadership, act: str) -> None:
    study_id = begun(service, held)
    before = look(service, study_id)
    ACTS[act](service, held, study_id)
    kept = look(service, study_id)
    assert kept == drawn_anew(service, study_id)
    assert kept != before


def test_opening_and_first_result_of_a_study_show_at_the_next_look(service: Service, held: Leadership) -> None:
    study_id = submit(service.store)
    answered(service.client, f"/studies/{study_id}", "Nothing can be said before")
    assert b"Landscape" not in look(service, study_id)
    with held.transaction() as session:
        accept.open_study(session, study_id, "7" * 64, images=10_000)
    kept = look(service, study_id)
    assert kept == drawn_anew(service, study_id)
    assert b"Landscape" in kept
    assert b"7" * 64 in kept, "the manifest names the data"
    more_results(service, held, study_id)
    kept = look(service, study_id)
    assert kept == drawn_anew(service, study_id)
    assert NUMERIC_CLASS.encode() in kept


def test_answer_shows_as_soon_as_it_is_there(
    service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same trainings: what is drawn depends on the answer too."""
    monkeypatch.setattr("service.pages.answers.WAIT_SECONDS", 0)
    study_id = opened(service.store, held)
    complete(held, study_id)
    settle(held, study_id)
    assert b"Against the best cell" not in look(service, study_id)
    answered(service.client, f"/studies/{study_id}")
    kept = look(service, study_id)
    assert b"Against the best cell" in kept
    assert kept == drawn_anew(service, study_id)


def test_deleted_study_is_gone_from_its_page_and_from_those_of_others(service: Service, held: Leadership) -> None:
    first, second = (opened(service.store, held, name=name) for name in ("first", "second"))
    for study_id in (first, second):
        complete(held, study_id)
        settle(held, study_id)
        answered(service.client, f"/studies/{study_id}")
    assert [one["value"] for one in get(service.client, f"/studies/{first}").all("option")] == [second]
    service.client.delete(f"/v1/studies/{second}").raise_for_status()
    assert service.client.get(f"/studies/{second}", headers=HTML).status_code == 404
    assert get(service.client, f"/studies/{first}").all("option") == []
    with service.store.write() as session:
        session.execute(sa.delete(Study).where(Study.id == first))
    assert service.client.get(f"/studies/{first}", headers=HTML).status_code == 404


def test_another_process_shows_what_this_one_has_written(serve: Any, service: Service, held: Leadership) -> None:
    study_id, other = begun(service, held), serve(service.store)
    answered(other.client, f"/studies/{study_id}")
    for action, sign in (("pause", b"resume</button>"), ("resume", b"pause</button>"), ("cancel", b">cancelled<")):
        assert sign not in look(other, study_id)
        service.client.post(f"/v1/studies/{study_id}/{action}").raise_for_status()
        assert sign in look(other, study_id)


def test_kept_page_offers_only_what_who_looks_may_do(guarded: Service) -> None:
    held, given = leader(guarded.store), every_kind(guarded.store)
    study_id = opened(guarded.store, held)
    complete(held, study_id)
    settle(held, study_id)
    held.release()

    def seen(caller: str) -> tuple[bool, bool]:
        headers = HTML | given.headers(caller)
        text = guarded.client.get(f"/studies/{study_id}", headers=headers).text
        assert "Landscape" in text
        return "/extend" in text, "/delete" in text

    callers = ("admin", "read", "submit", "read", "admin")
    offered = {"read": (False, False), "submit": (True, False), "admin": (True, True)}
    assert [seen(caller) for caller in callers] == [offered[caller] for caller in callers]
    kept = guarded.client.app.state.drawings._kept  # type: ignore[attr-defined]
    results = kept[f"results {study_id}"][1].result()
    assert "<form" not in results.figures + results.table, "what is kept is the same for everybody"
