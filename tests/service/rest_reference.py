"""docs/rest.md from the OpenAPI description and from answers of a real app. Pure: documents in, Markdown out."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

INTRODUCTION = """\
# REST

Made by `make docs` from the service's own OpenAPI description (`/openapi.json`) and from its answers; a test fails when
it is stale. The name beside each route is its operation id, which stays.

- Bodies and answers are JSON; scores and margins are fractions, times are UTC.
- Lists answer `{"items": [...], "next": cursor or null}`; give `next` as `cursor` for the following page.
- Errors are RFC 9457 problem+json; `errors` names each field and its rule. 404 no such thing, 409 the state forbids it,
  422 a rule is broken, 503 with `Retry-After` while the database is away.
- An `Idempotency-Key` makes submitting again safe: the same key and specification give the same study, another
  specification 422.
- A study is `queued`, `running`, `paused`, `completed`, `cancelled` or `failed`.

Each route names the document that it answers with; [the documents](#documents) and their fields stand below the routes.
The answers shown are from a made-up study and are shortened: `...` stands for what is left out.
"""
TITLES = {
    "studies": "Studies",
    "suites": "Suites",
    "data": "Data of a study",
    "answers": "Answers of a study",
    "catalog": "What there is to choose from",
    "operations": "Operations",
}
"""Heading of each tag; those without one follow under their own name."""
SPECIFICATIONS = {"StudySpecDocument": "A study's specification", "SuiteSpecDocument": "A suite's specification"}
"""Documents that are sent as well as answered, and their headings."""
DEPTH = 3
"""Levels of an answer that are shown."""
LONGEST = 60
"""Characters of a text that are shown."""
MOST_FIELDS = 30


@dataclass(frozen=True)
class Example:
    """A request and what came back."""

    url: str
    """Path and query, with `$STUDY` and the like for ids."""
    body: dict[str, Any] | None
    status: int
    media_type: str
    answer: Any
    """Parsed JSON, or the text of another kind; None for what is no text."""


def reference(schema: Mapping[str, Any], examples: Mapping[str, Example]) -> str:
    """The reference of every operation.

    Args:
        schema: the OpenAPI description.
        examples: one for each operation id.
    """
    parts = [INTRODUCTION]
    seen: set[frozenset[str] | None] = set()
    """Fields of the answers shown so far: a document that has been shown is cut shorter."""
    for tag, operations in _by_tag(schema).items():
        parts.append(f"## {TITLES.get(tag, tag.capitalize())}\n")
        for method, path, operation in operations:
            example = examples[operation["operationId"]]
            fields = frozenset(example.answer) if isinstance(example.answer, dict) else None
            depth = 1 if fields is not None and fields in seen else DEPTH
            seen.add(fields)
            parts.append(_operation(method, path, operation, example, depth))
    documents = schema["components"]["schemas"]
    parts.append("## Documents\n")
    parts += [_document(name, documents[name]) for name in sorted(documents) if name not in SPECIFICATIONS]
    for name, title in SPECIFICATIONS.items():
        parts.append(f"## {title}\n\n`{name}`; an answer has every field.\n")
        parts.append(_fields(documents[name]))
    return "\n".join(parts)


def operation_ids(schema: Mapping[str, Any]) -> list[str]:
    """The id of every operation."""
    return [operation["operationId"] for _, _, operation in _operations(schema)]


def _operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _by_tag(schema: Mapping[str, Any]) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {tag: [] for tag in TITLES}
    for method, path, operation in _operations(schema):
        found.setdefault(operation.get("tags", ["other"])[0], []).append((method, path, operation))
    return {tag: operations for tag, operations in found.items() if operations}


def _operation(method: str, path: str, operation: Mapping[str, Any], example: Example, depth: int) -> str:
    lines = [
        f"### `{method} {path}`\n",
        f"`{operation['operationId']}`: {' '.join(operation['description'].split())}\n",
    ]
    if operation.get("parameters"):
        lines += ["| parameter | in | what |", "|---|---|---|"]
        for one in operation["parameters"]:
            told = "; ".join(part for part in (one.get("description"), rule(one["schema"])) if part)
            lines.append(f"| `{one['name']}` | {one['in']} | {told} |")
        lines.append("")
    answers = _answers(operation)
    return "\n".join([*lines, "```sh", _curl(method, example), "```\n", _answer(example, depth), answers])


def _answers(operation: Mapping[str, Any]) -> str:
    """The document of success, and the statuses of what can go wrong."""
    told = []
    for status, response in operation["responses"].items():
        reference = response.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref")
        if reference:
            told.append(f"{status}: {_link(reference)}.")
    wrong = [status for status, response in operation["responses"].items() if _is_problem(response)]
    return " ".join([*told, f"Problems: {', '.join(sorted(wrong))}.\n"])


def _is_problem(response: Mapping[str, Any]) -> bool:
    return "application/problem+json" in response.get("content", {})


def _link(reference: str) -> str:
    name = reference.rpartition("/")[2]
    anchor = SPECIFICATIONS.get(name, name).lower().replace(" ", "-").replace("'", "")
    return f"[{name}](#{anchor})"


def _document(name: str, schema: Mapping[str, Any]) -> str:
    if "properties" not in schema:
        return f"### {name}\n\n{rule(schema)}\n"
    lines = [f"### {name}\n"]
    if schema.get("description"):
        lines.append(f"{schema['description']}\n")
    lines += ["| field | type | |", "|---|---|---|"]
    for field, one in schema["properties"].items():
        optional = "" if field in schema["required"] else " (may be missing)"
        lines.append(f"| `{field}`{optional} | {_type(one)} | {one.get('description', '')} |".replace("  |", " |"))
    return "\n".join(lines) + "\n"


def _type(schema: Mapping[str, Any]) -> str:
    """What a field of an answer holds, in a few words."""
    if "$ref" in schema:
        return _link(schema["$ref"])
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    if kind == "object" and "properties" not in schema:
        return f"texts by name, each {_type(schema['additionalProperties'])}"
    return "null" if kind == "null" else rule(schema)


def _curl(method: str, example: Example) -> str:
    verb = "" if method == "GET" else f" -X {method}"
    address = f"localhost:8765{example.url}"
    quoted = f'"{address}"' if "$" in address or "?" in address else address
    body = "" if example.body is None else f" \\\n  -d '{json.dumps(example.body)}'"
    return f"curl -s{verb} {quoted}{body}"


def _answer(example: Example, depth: int) -> str:
    if example.answer is None or example.answer == "":
        told = f" {example.media_type}" if example.media_type else ", empty"
        return f"{example.status}{told}\n"
    if isinstance(example.answer, str):
        lines = example.answer.splitlines()[:3]
        text = "\n".join(line if len(line) <= 2 * LONGEST else line[: 2 * LONGEST] + "..." for line in lines)
        return f"{example.status} {example.media_type}\n\n```text\n{text}\n...\n```\n"
    text = re.sub(
        r'"\.\.\."(?:: null)?', "...", json.dumps(_shortened(example.answer, depth), indent=1, ensure_ascii=False)
    )
    return f"{example.status} {example.media_type}\n\n```text\n{_compact(text)}\n```\n"


def _shortened(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        if depth == 0 and value:
            return {"...": None}
        shown = {name: _shortened(value[name], depth - 1) for name in list(value)[:MOST_FIELDS]}
        return shown | ({"...": None} if len(value) > MOST_FIELDS else {})
    if isinstance(value, list):
        return [_shortened(one, depth - 1) for one in value[:1]] + (["..."] if len(value) > 1 else [])
    if isinstance(value, str) and len(value) > LONGEST:
        return value[:LONGEST].rstrip() + "..."
    if isinstance(value, float):
        return float(f"{value:.12g}")  # the last digits of a fit depend on the processor
    return value


def _compact(text: str) -> str:
    """Objects and lists without others inside on one line, where they are short."""

    def joined(match: re.Match[str]) -> str:
        flat = re.sub(r"\s*\n\s*", " ", match[0])
        return flat if len(flat) <= 100 else match[0]

    for _ in range(DEPTH):
        text = re.sub(r"[\[{][^\[\]{}]*[\]}]", joined, text)
    return text


def _fields(schema: Mapping[str, Any]) -> str:
    lines = ["| field | default | what it may be |", "|---|---|---|"]
    for name, one in schema["properties"].items():
        default = json.dumps(one["default"]) if "default" in one else one.get("description", "")
        shown = "required" if name in schema["required"] else f"`{default}`" if "default" in one else default
        lines.append(f"| `{name}` | {shown} | {rule(one)} |")
    return "\n".join(lines) + "\n"


def rule(schema: Mapping[str, Any]) -> str:
    """What a JSON schema accepts, in a few words."""
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{one}`" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(rule(one) for one in schema["anyOf"] if one.get("type") != "null")
    kind = schema.get("type")
    if kind == "object":
        inside = ", ".join(f"`{name}`: {rule(one)}" for name, one in schema["properties"].items())
        return f"{{{inside}}}"
    if kind == "array":
        return f"list of {schema['minItems']} to {schema['maxItems']:,}: {rule(schema['items'])}"
    if kind == "string":
        longest = f" of {schema['minLength']} to {schema['maxLength']} characters" if "maxLength" in schema else ""
        return f"text{longest}"
    if kind == "boolean":
        return "true or false"
    return f"{'a whole number' if kind == 'integer' else 'a number'}{_range(schema)}"


def _range(schema: Mapping[str, Any]) -> str:
    if schema.get("minimum", 0) == schema.get("maximum"):
        return f", {schema['minimum']}"
    parts = []
    for name, words in (
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
    ):
        if name in schema:
            parts.append(f"{words} {schema[name]:,}")
    return " " + " ".join(parts) if parts else ""
