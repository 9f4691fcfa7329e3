"""Specifications as they come back: complete, every default filled in. Their own rules describe them."""

from typing import Annotated, Any

from pydantic import WithJsonSchema
from typing_extensions import TypeAliasType

from studies.spec import StudySpec
from studies.suite import SuiteSpec

StudySpecDocument = TypeAliasType(
    "StudySpecDocument", Annotated[dict[str, Any], WithJsonSchema(StudySpec.json_schema())]
)
SuiteSpecDocument = TypeAliasType(
    "SuiteSpecDocument", Annotated[dict[str, Any], WithJsonSchema(SuiteSpec.json_schema())]
)
