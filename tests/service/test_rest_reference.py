"""docs/rest.md: made from the app and held to it; `make docs` writes it anew."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rest_reference import Example, operation_ids, reference
from service_data import Service, complete, leader, opened, small, wish
from suite_data import suite

PAGE = Path(__file__).parents[2] / "docs" / "rest.md"
WRITE = "GOLDENBENCH_WRITE_DOCS"
"""Environment variable: write the page instead of comparing it."""
SQUARE: dict[str, Any] = {
    "name": "an example",
    "grid": {"learning_rate": {"factor": 2, "steps": 1}, "momentum": {"factor": 2, "steps": 1}},
    "references": ["matlab"],
}
STABLE = {
    *("submit_study", "estimate_study", "get_studies", "get_study", "delete_study"),
    *("cancel_study", "pause_study", "resume_study", "extend_study"),
    *("get_cells", "get_replicates", "get_packs", "get_manifest", "get_comparison", "get_events", "get_plot"),
    *("submit_suite", "get_suites", "get_suite", "get_suite_table", "cancel_suite"),
    *("get_derived", "get_presets", "get_datasets", "get_models", "get_workers", "healthz", "readyz"),
}
"""Operation ids that programs may have been generated from; none of them may go or change."""
BODIES: dict[str, dict[str, Any]] = {
    "submit_study": {"dataset": "rotated-digits", "loss": "dual-process", "folds_used": 1, "runs": 2, "epochs": 1},
    "estimate_study": {"dataset": "rotated-digits", "loss": "dual-process"},
    "extend_study": {"runs": 2},
    "submit_suite": suite(),
}
QUERIES = {"get_replicates": "limit=1", "get_packs": "limit=1", "get_studies": "limit=1", "get_suites": "limit=1"}
VARYING = {
    r'"[0-9a-f]{64}"': '"0f5e..."',
    r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00": "2026-11-23T08:00:00+00:00",
    r'"(python|goldenbench|torch|numpy|optuna|distributed)": "[^"]*"': r'"\1": "..."',
}
"""What differs between two runs or installations."""


@pytest.fixture
def schema(service: Service) -> dict[str, Any]:
    """The app's OpenAPI description."""
    found: dict[str, Any] = service.client.get("/openapi.json").json()
    return found


@pytest.fixture
def places(service: Service) -> Iterator[dict[str, str]]:
    """Ids by operation: each acts on something in a state in which it can succeed."""
    leadership = leader(service.store)
    done, other, gone = (opened(service.store, leadership, **SQUARE) for _ in range(3))
    for study in (done, other, gone):
        complete(leadership, study)
    waiting, paused, cancelled = (opened(service.store, leadership, **SQUARE) for _ in range(3))
    wish(service.store, paused, "pause")
    found = {"": done, "other": other, "resume_study": paused, "pause_study": waiting, "cancel_study": cancelled}
    found |= {"delete_study": gone, "extend_study": waiting, "get_events": done}
    found["suite"] = service.client.post("/v1/suites", json=suite()).json()["id"]
    yield found
    leadership.release()


def request(path: str, operation: Mapping[str, Any], places: Mapping[str, str]) -> tuple[str, str]:
    """The address of an example, as it is sent and as it is shown."""
    name = operation["operationId"]
    fill = {"study_id": places.get(name, places[""]), "other": places["other"], "suite_id": places["suite"]}
    fill |= {"kind": "heatmap", "form": "svg"}
    show = fill | {"study_id": "$STUDY", "other": "$OTHER", "suite_id": "$SUITE"}
    query = f"?{QUERIES[name]}" if name in QUERIES else ""
    return path.format_map(fill) + query, path.format_map(show) + query


def asked(
    service: Service,
    schema: dict[str, Any],
    method: str,
    path: str,
    operation: Mapping[str, Any],
    places: dict[str, str],
) -> Example:
    """Send the example of an operation; its answer has to be as the description says."""
    sent, shown = request(path, operation, places)
    body = BODIES.get(operation["operationId"])
    answer = service.client.request(method, sent, json=body)
    assert answer.status_code < 400, f"{method} {sent}: {answer.status_code} {answer.text}"
    media_type = answer.headers.get("content-type", "").partition(";")[0] if answer.content else ""
    conforms(schema, operation, answer.status_code, media_type, answer.json() if "json" in media_type else None)
    if media_type == "application/json":
        document = json.loads(_settled(answer.text, places))
        return Example(shown, body, answer.status_code, media_type, document)
    text = _settled(answer.text, places) if media_type.startswith("text/") else None
    return Example(shown, body, answer.status_code, media_type, text)


def conforms(
    schema: Mapping[str, Any], operation: Mapping[str, Any], status: int, media_type: str, document: Any
) -> None:
    """Hold an answer to what the description says of its operation."""
    described = operation["responses"][str(status)].get("content", {})
    assert (media_type in described) or not (described or media_type)
    if document is not None:
        whole = described[media_type]["schema"] | {"components": schema["components"]}
        jsonschema.Draft202012Validator(whole).validate(document)


def _settled(text: str, places: Mapping[str, str]) -> str:
    """A text without what differs between two runs."""
    for pattern, instead in VARYING.items():
        text = re.sub(pattern, instead, text)
    known = dict.fromkeys(places.values(), "c1f9b2309122") | {places["suite"]: "5d0c6a1be0f3"}
    for study, instead in known.items():
        text = text.replace(study, instead)
    return re.sub(r"\b(?!5d0c6a1be0f3)[0-9a-f]{12}\b", "c1f9b2309122", text)


def test_page_is_what_the_app_says(service: Service, schema: dict[str, Any], places: dict[str, str]) -> None:
    examples = {
        operation["operationId"]: asked(service, schema, method.upper(), path, operation, places)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    page = reference(schema, examples)
    if WRITE in os.environ:
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "docs/rest.md is stale: run `make docs`"


def test_every_route_under_v1_names_its_document(schema: dict[str, Any]) -> None:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            (success,) = [status for status in operation["responses"] if status.startswith("2")]
            described = operation["responses"][success].get("content", {})
            if path.startswith("/v1") and "application/json" in described:
                name = described["application/json"]["schema"]["$ref"].rpartition("/")[2]
                document = schema["components"]["schemas"][name]
                assert document["additionalProperties"] is False, f"{method} {path}"
                assert set(document["required"]) == set(document["properties"]), f"{method} {path}"


def test_examples_of_what_goes_wrong_are_problems(schema: dict[str, Any]) -> None:
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/problem+json")
                if content is not None and path.startswith("/v1"):
                    conforms(schema, operation, int(status), "application/problem+json", content["example"])
                    assert content["example"]["status"] == int(status)


def test_operation_ids_are_unique_and_stay(schema: dict[str, Any]) -> None:
    ids = operation_ids(schema)
    assert len(ids) == len(set(ids))
    assert set(ids) >= STABLE, f"gone: {sorted(STABLE - set(ids))}"


def test_every_operation_says_what_it_does_and_takes(schema: dict[str, Any]) -> None:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation["description"].strip().endswith("."), f"{method} {path}"
            assert operation.get("tags"), f"{method} {path}"


def test_smallest_specification_of_the_page_is_accepted(service: Service) -> None:
    assert service.client.post("/v1/studies", json=BODIES["submit_study"]).status_code == 201
    assert service.client.post("/v1/studies", json=small()).status_code == 201
