"""Documents that have all fields of another."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import TypeAdapter

from studies.documents import document

Kind = TypeVar("Kind", bound=type)


def document_beyond(base: type) -> Callable[[Kind], Kind]:
    """Mark a TypedDict as a document with the fields of `base`; pydantic finds no texts below inherited ones."""

    def fill(schema: dict[str, Any]) -> None:
        for name, field in TypeAdapter(base).json_schema()["properties"].items():
            if "description" in field:
                schema["properties"][name].setdefault("description", field["description"])

    def mark(kind: Kind) -> Kind:
        marked = document(kind)
        marked.__pydantic_config__["json_schema_extra"] = fill  # type: ignore[attr-defined]
        return marked

    return mark
