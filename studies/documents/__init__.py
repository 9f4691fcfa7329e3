"""The JSON of answers, field by field; what makes it, what reads it and the API's description share it."""

from typing import TypeVar

Kind = TypeVar("Kind", bound=type)


def document(kind: Kind) -> Kind:
    """Mark a TypedDict as a document: it has no other fields, and the texts below its fields are their description.

    The mark is in the words of pydantic, which describes the documents for the API and is not imported here.
    """
    kind.__pydantic_config__ = {"use_attribute_docstrings": True, "extra": "forbid"}  # type: ignore[attr-defined]
    return kind
