"""The page of a study of the size of the paper's whole protocol: 121 cells x 100 trainings."""

import math
import time

import pytest
import sqlalchemy as sa
from service_data import NUMERIC_CLASS, SHA256, Service, leader, settle, submit

from service.dispatch import accept
from service.store.tables import Cell, Replicate, Study
from studies.catalog import presets

SECONDS = 1.0
BYTES = 2_000_000
WAIT_SECONDS = 120
"""For the comparison, which no page waits for."""


@pytest.fixture
def large(service: Service) -> str:
    """A completed study of 12,100 trainings, its answer computed; its id."""
    spec = presets()["paper-protocol"].spec
    leadership = leader(service.store)
    study_id = submit(service.store, **spec.to_json() | {"references": ["matlab", "plain"]})
    with leadership.transaction() as session:
        accept.open_study(session, study_id, SHA256, images=10_000)
    common = {"study_id": study_id, "outcome": "finished", "brier": 0.02, "loss": 0.1, "seconds": 1.0}
    common |= {"engine": "packed-cpu", "precision": "fp32", "device": "made up", "numeric_class": NUMERIC_CLASS}
    common |= {"pack": "made up", "attempt": 1, "correct": b"\0" * 125}
    rows = []
    with service.store.write() as session:
        stored = session.scalars(sa.select(Cell).where(Cell.study_id == study_id)).all()
        for cell in stored:
            for at in range(100):
                noise = 0.002 * math.sin(12.9898 * at + 78.233 * cell.cell)
                score = 0.99 - 0.01 * (math.log10(cell.learning_rate / (1 - cell.momentum)) + 1) ** 2 + noise
                curve = [round(score - 0.5 * math.exp(-epoch / 4) * (epoch < 29), 4) for epoch in range(30)]
                own = {"cell": cell.cell, "fold": at % 10, "run": at // 10, "accuracy": score, "train_loss": 1 - score}
                rows.append(common | own | {"curve": {"accuracy": curve, "loss": curve, "train_loss": curve}})
        session.execute(sa.insert(Replicate), rows)
        session.execute(sa.update(Cell).where(Cell.study_id == study_id).values(n=100))
        session.execute(sa.update(Study).where(Study.id == study_id).values(done=len(rows)))
    assert len(rows) >= 12_100
    assert settle(leadership, study_id) == "completed"
    leadership.release()
    end = time.monotonic() + WAIT_SECONDS
    while "Verdict:" not in service.client.get(f"/studies/{study_id}").text:
        assert time.monotonic() < end, "the answer never comes"
        time.sleep(0.2)
    return study_id


def test_large_page_is_quick_and_small(service: Service, large: str) -> None:
    took = []
    for _ in range(5):
        began = time.perf_counter()
        answer = service.client.get(f"/studies/{large}", headers={"Accept": "text/html"})
        took.append(time.perf_counter() - began)
    assert answer.status_code == 200
    assert answer.text.count('class="tile') == 121
    files = ("style.css", "figures.css", "tips.js", "live.js", "icon.svg")
    whole = len(answer.content) + sum(len(service.client.get(f"/assets/{name}").content) for name in files)
    assert whole < BYTES
    assert min(took) < SECONDS, f"the page took {min(took):.2f} s"
