"""Which worker may train which study, and what becomes of a study whose model is no longer installed."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
from service_data import NUMERIC_CLASS, Service, complete, leader, opened, row, settle, small, wish

from service.dispatch.fitness import offer_of, unreadable, wants, what_lacks
from service.dispatch.leader import Leadership
from service.store.engine import Store
from service.store.tables import Study
from studies.entry_points import Origin
from studies.models.registry import MODELS
from workers.capacity import Offer
from workers.tasks import VERSION, Announcement

OFFER = Offer(NUMERIC_CLASS, at_once=2, networks=256, rate=0.6)
WORKER = Announcement(
    device="cpu",
    device_name="made up",
    threads=2,
    offers={"paper-cnn/auto/fp32/population": OFFER},
    models={"paper-cnn": ""},
    problems=(),
    pid=1,
    version=VERSION,
)


@pytest.fixture
def held(service: Service) -> Iterator[Leadership]:
    """The right to dispatch on the app's store."""
    leadership = leader(service.store)
    yield leadership
    leadership.release()


def forget_model(store: Store, study_id: str) -> None:
    """As if the study's model came from a package that has been uninstalled."""
    with store.write() as session:
        study = session.scalars(sa.select(Study).where(Study.id == study_id)).one()
        study.spec = json.dumps(json.loads(study.spec) | {"model": "gone"}, sort_keys=True, separators=(",", ":"))


def test_worker_gives_its_numeric_class(service: Service, held: Leadership) -> None:
    study = row(service.store, opened(service.store, held))
    assert offer_of(wants(study), WORKER) == OFFER
    assert what_lacks(wants(study), [WORKER]) is None
    other = replace(WORKER, offers={})
    assert offer_of(wants(study), other) is None
    assert what_lacks(wants(study), [other, WORKER]) is None
    assert what_lacks(wants(study), [other]) == "waits for a worker that can train it: engine auto, precision fp32"


def test_pinned_study_keeps_its_numeric_class(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    study = row(service.store, study_id)
    other = replace(WORKER, offers={"paper-cnn/auto/fp32/population": replace(OFFER, numeric_class="another")})
    assert offer_of(wants(study), WORKER) == OFFER
    assert offer_of(wants(study), other) is None
    assert what_lacks(wants(study), [other]) == f"waits for a worker that can train it: {NUMERIC_CLASS}"


def test_workers_package_must_be_the_services(
    service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS._origins, "paper-cnn", Origin("mine", "2"))
    study = row(service.store, opened(service.store, held))
    same = replace(WORKER, models={"paper-cnn": "mine 2"})
    older = replace(WORKER, models={"paper-cnn": "mine 1"})
    without = replace(WORKER, models={}, problems=("entry point x of mine 2: broken",))
    assert offer_of(wants(study), same) == OFFER
    assert offer_of(wants(study), older) is None
    assert offer_of(wants(study), without) is None
    told = what_lacks(wants(study), [older, without])
    assert told is not None
    assert "model paper-cnn of mine 2, where the workers have mine 1, no such model; entry point x of mine 2" in told


def test_study_whose_model_is_gone_is_told_and_holds_up_nobody(service: Service, held: Leadership) -> None:
    ended, waiting, other = (opened(service.store, held) for _ in range(3))
    complete(held, ended)
    for study_id in (ended, waiting):
        forget_model(service.store, study_id)
    told = unreadable(row(service.store, waiting))
    assert told is not None
    assert told.startswith("needs what is not installed here: model: must be one of paper-cnn")
    assert unreadable(row(service.store, other)) is None

    client = service.client
    refused = client.get(f"/v1/studies/{ended}/comparison")
    assert (refused.status_code, "not installed here: model" in refused.json()["detail"]) == (409, True)
    for path in ("", "/cells", "/replicates", "/packs"):
        assert client.get(f"/v1/studies/{ended}{path}").status_code == 200, path
    assert len(client.get("/v1/studies").json()["items"]) == 3
    assert client.post("/v1/estimates", json=small()).status_code == 200

    wish(service.store, waiting, "cancel")
    assert settle(held, waiting) == "cancelled"
    complete(held, other)
    assert client.get(f"/v1/studies/{other}/comparison").status_code == 200
