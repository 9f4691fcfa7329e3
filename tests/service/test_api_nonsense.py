"""What a user sends wrong is refused in milliseconds, as problem+json that names the field."""

import json
import time
from typing import Any

import pytest
import sqlalchemy as sa
from service_data import Service, TestClient, small

from service.store.tables import Study

MILLISECONDS = 250


def axis(**changes: Any) -> dict[str, Any]:
    return {"grid": {"momentum": {"factor": 1.6, "steps": 3}, "learning_rate": {"factor": 1.6, "steps": 3}} | changes}


def point(learning_rate: Any, momentum: Any) -> dict[str, Any]:
    return {"prescribed": {"learning_rate": learning_rate, "momentum": momentum}}


DEEP = "[" * 100_000 + "]" * 100_000
NONSENSE: dict[str, tuple[dict[str, Any] | str | bytes, int, str]] = {
    # name: (changes to a small study or a whole body, status, field)
    "unknown data set": ({"dataset": "imagenet"}, 422, "dataset"),
    "data set that is a path": ({"dataset": "../../etc/passwd"}, 422, "dataset"),
    "unknown model": ({"model": "resnet"}, 422, "model"),
    "unknown loss": ({"loss": "hinge"}, 422, "loss"),
    "no loss": ('{"dataset": "rotated-digits"}', 422, "loss"),
    "negative rate": (point(-0.1, 0.5), 422, "prescribed.learning_rate"),
    "rate of zero": (point(0, 0.5), 422, "prescribed.learning_rate"),
    "momentum of one": (point(0.1, 1), 422, "prescribed.momentum"),
    "momentum above one": (axis(momentum={"values": [0.5, 1.5]}), 422, "grid.momentum.values[1]"),
    "negative momentum": (axis(momentum={"values": [-0.5]}), 422, "grid.momentum.values[0]"),
    "momentum axis that leaves [0, 1)": (axis(momentum={"factor": 3, "steps": 3}), 422, "grid.momentum"),
    "10^9 cells": (axis(learning_rate={"factor": 1.1, "steps": 500_000_000}), 422, "grid.learning_rate.steps"),
    "10^18 cells": (
        axis(learning_rate={"factor": 1.1, "steps": 10**9}, momentum={"factor": 1.1, "steps": 10**9}),
        422,
        "grid.learning_rate.steps",
    ),
    "2,500 cells": (
        axis(
            learning_rate={"values": [i / 100 for i in range(1, 51)]}, momentum={"values": [i / 100 for i in range(50)]}
        ),
        422,
        "grid",
    ),
    "too many values": (
        axis(learning_rate={"values": [i / 9 for i in range(1, 9_000)]}),
        422,
        "grid.learning_rate.values",
    ),
    "too many trainings": ({"runs": 10_000, "folds": 100, "folds_used": 100}, 422, "runs"),
    "rate axis beyond floats": (axis(learning_rate={"factor": 1000, "steps": 120}), 422, "grid.learning_rate"),
    "huge integer": ({"seed": 10**400}, 422, "seed"),
    "huge rate": (point(10**400, 0.5), 422, "prescribed.learning_rate"),
    "empty list": (axis(learning_rate={"values": []}), 422, "grid.learning_rate.values"),
    "value twice": (axis(learning_rate={"values": [0.1, 0.1]}), 422, "grid.learning_rate.values"),
    "unknown field": ({"optimizer": "adam"}, 422, "optimizer"),
    "unknown field below": ({"claim": {"alpha": 0.05}}, 422, "claim.alpha"),
    "text for a number": ({"runs": "10"}, 422, "runs"),
    "fraction for a count": ({"runs": 1.5}, 422, "runs"),
    "truth for a number": ({"epochs": True}, 422, "epochs"),
    "null": ({"epochs": None}, 422, "epochs"),
    "list for an object": ({"grid": []}, 422, "grid"),
    "object for a list": ({"references": {}}, 422, "references"),
    "number for a name": ({"name": 7}, 422, "name"),
    "empty name": ({"name": ""}, 422, "name"),
    "name with control characters": ({"name": "a\u0000b"}, 422, "name"),
    "name of half a character": ({"name": "\ud800"}, 422, "name"),
    "racing": ({"racing": True}, 422, "racing"),
    "more folds used than there are": ({"folds_used": 6}, 422, "folds_used"),
    "batch above a fold": ({"batch_size": 9_000}, 422, "batch_size"),
    "folder that is not there": ({"dataset": "digit-folder"}, 422, "dataset"),
    "two references of one name": ({"references": ["matlab", "matlab"]}, 422, "references"),
    "margin of zero": ({"claim": {"margin": 0}}, 422, "claim.margin"),
    "1e999": ('{"dataset": "rotated-digits", "loss": "sse", "weight_decay": 1e999}', 422, "weight_decay"),
    "NaN": ('{"dataset": "rotated-digits", "loss": "sse", "weight_decay": NaN}', 400, "(body)"),
    "Infinity": ('{"dataset": "rotated-digits", "loss": "sse", "weight_decay": -Infinity}', 400, "(body)"),
    "number of 10,000 digits": ('{"dataset": "rotated-digits", "seed": ' + "9" * 10_000 + "}", 400, "(body)"),
    "unknown field of half a character": (
        '{"dataset": "rotated-digits", "loss": "sse", "\\ud800": 1}',
        422,
        "'\\ud800'",
    ),
    "list as body": ("[]", 422, "(body)"),
    "number as body": ("7", 422, "(body)"),
    "no body": ("", 400, "(body)"),
    "not JSON": ("learning_rate=0.1", 400, "(body)"),
    "half a JSON": ('{"dataset": "rotated-di', 400, "(body)"),
    "not UTF-8": (b'{"dataset": "\xff\xfe"}', 400, "(body)"),
    "deep nesting": (DEEP, 400, "(body)"),
    "deep nesting in a field": ('{"dataset": ' + DEEP + "}", 400, "(body)"),
    "1 MB of JSON": (json.dumps(small(name="x" * 1_000_000)), 413, "(body)"),
}


def body(sent: dict[str, Any] | str | bytes) -> bytes:
    text = json.dumps(small(**sent)) if isinstance(sent, dict) else sent
    return text.encode() if isinstance(text, str) else text


@pytest.mark.parametrize("path", ["/v1/studies", "/v1/estimates"])
@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_in_milliseconds_and_names_its_field(still: Service, path: str, name: str) -> None:
    sent, status, field = NONSENSE[name]
    content = body(sent)
    fastest, answer = float("inf"), None
    for _ in range(3):  # the machine may be busy with something else once, hardly three times
        began = time.perf_counter()
        answer = still.client.post(path, content=content)
        fastest = min(fastest, 1_000 * (time.perf_counter() - began))
        if fastest < MILLISECONDS:
            break
    assert answer is not None
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert field in [broken["field"] for broken in problem["errors"]], problem
    assert all(broken["rule"] for broken in problem["errors"])
    assert len(answer.content) < 4_000
    assert fastest < MILLISECONDS
    with still.store.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Study)) == 0


def test_every_broken_rule_is_named_when_there_are_several(still: Service) -> None:
    sent = small(dataset="imagenet", runs=0, prescribed={"learning_rate": -1, "momentum": 2}, wrong=1)
    fields = [broken["field"] for broken in still.client.post("/v1/studies", json=sent).json()["errors"]]
    assert sorted(fields) == ["dataset", "prescribed.learning_rate", "prescribed.momentum", "runs", "wrong"]


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_idempotency_key_is_refused_when_its_length_is_wrong(still: Service, key: str) -> None:
    answer = still.client.post("/v1/studies", json=small(), headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/studies?limit=0", "limit"),
        ("/v1/studies?limit=many", "limit"),
        ("/v1/studies?limit=99999999999999999999", "limit"),
        ("/v1/studies?fingerprint=xyz", "fingerprint"),
        ("/v1/studies?cursor=nonsense", "cursor"),
        ("/v1/studies?cursor=%F0%9F%99%82", "cursor"),
        ("/?cursor=nonsense", "cursor"),
    ],
)
def test_query_is_refused_when_a_parameter_breaks_its_rule(still: Service, path: str, field: str) -> None:
    answer = still.client.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [broken["field"] for broken in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "runs"),
        ({"runs": 0}, "runs"),
        ({"runs": 1, "folds": 2}, "folds"),
        ({"runs": 10_000}, "runs"),
        ([], "(body)"),
    ],
)
def test_extension_is_refused_when_it_breaks_a_rule(client: TestClient, sent: object, field: str) -> None:
    study = client.post("/v1/studies", json=small(folds=100, folds_used=100, runs=1_000)).json()
    answer = client.post(f"/v1/studies/{study['id']}/extend", json=sent)
    assert answer.status_code == 422
    assert field in [broken["field"] for broken in answer.json()["errors"]]
    assert client.get(f"/v1/studies/{study['id']}").json()["runs"] == 1_000
