"""Files of a study's trainings, read back by other libraries."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pandas
import pytest
from pyarrow import parquet
from service_data import Service, complete, leader, lease, opened, result, take_in

from service.api import exports
from service.dispatch.leader import Leadership
from studies.results import Curve, Outcome


@pytest.fixture
def held(service: Service) -> Iterator[Leadership]:
    """The right to dispatch on the app's store."""
    leadership = leader(service.store)
    yield leadership
    leadership.release()


def fetched(service: Service, study_id: str) -> Any:
    """The answer to a request for Parquet."""
    answer = service.client.get(f"/v1/studies/{study_id}/replicates?format=parquet")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.apache.parquet")
    assert f'filename="goldenbench-{study_id}.parquet"' in answer.headers["content-disposition"]
    return answer


@pytest.mark.parametrize("page", [1_000, 7])
def test_parquet_holds_what_json_holds(
    service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(exports, "PAGE", page)
    study_id = opened(service.store, held, runs=2)
    found = lease(held, study_id)
    lost: dict[str, Any] = {"outcome": Outcome.DIVERGED, "accuracy": 0.1, "brier": 0.9, "loss": None}
    lost |= {"train_loss": None, "correct": None, "curve": Curve((0.5, None), (1.0, None), (1.0, None))}
    take_in(held, found, [result(*m.key, **(lost if m.cell == 0 else {})) for m in found.members])
    complete(held, study_id)
    listed = service.client.get(f"/v1/studies/{study_id}/replicates").json()["items"]
    content = fetched(service, study_id).content
    assert parquet.read_table(io.BytesIO(content)).to_pylist() == listed
    assert parquet.read_schema(io.BytesIO(content)).metadata[b"goldenbench.study"] == study_id.encode()
    frame = pandas.read_parquet(io.BytesIO(content))
    assert len(frame) == 20
    assert frame["accuracy"].dtype == float


def test_study_without_trainings_is_an_empty_table(service: Service, held: Leadership) -> None:
    table = parquet.read_table(io.BytesIO(fetched(service, opened(service.store, held)).content))
    assert table.num_rows == 0
    assert table.column_names[:3] == ["cell", "learning_rate", "momentum"]


def test_large_table_comes_in_pieces(service: Service, held: Leadership, monkeypatch: pytest.MonkeyPatch) -> None:
    study_id = opened(service.store, held)
    complete(held, study_id)
    whole = fetched(service, study_id).content
    monkeypatch.setattr(exports, "CHUNK_BYTES", 100)
    monkeypatch.setattr(exports, "MEMORY_BYTES", 1)  # on disk
    assert fetched(service, study_id).content == whole


def test_csv_holds_no_formula(service: Service, held: Leadership) -> None:
    study_id = opened(service.store, held)
    found = lease(held, study_id)
    failed: dict[str, Any] = {"outcome": Outcome.FAILED, "accuracy": None, "brier": None, "loss": None}
    failed |= {"train_loss": None, "correct": None, "curve": Curve((None,), (None,), (None,))}
    reasons = ["=HYPERLINK(1)", "+1", "-1", "@x", "\t=1"]
    given = [failed | {"reason": reason} for reason in reasons] + [{} for _ in found.members[len(reasons) :]]
    take_in(held, found, [result(*m.key, **one) for m, one in zip(found.members, given, strict=True)])
    text = service.client.get(f"/v1/studies/{study_id}/replicates?format=csv").text
    told = [row["reason"] for row in csv.DictReader(io.StringIO(text, newline="")) if row["reason"]]
    assert sorted(told) == sorted(f"'{reason}" for reason in reasons)
