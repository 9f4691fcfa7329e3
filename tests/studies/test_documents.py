"""The comparison's parts become documents by their fields: neither may have one that the other lacks."""

from dataclasses import fields

import pytest

from studies.comparison.caution import Caution
from studies.comparison.confidence_set import ConfidenceSet
from studies.comparison.divergence import DivergenceRate
from studies.comparison.populations import Population, Populations
from studies.comparison.result import Comparison, Regret
from studies.comparison.ridge import Diagonal, Ridge, Slope
from studies.comparison.summary import CellSummary, Difference
from studies.comparison.surface import Span, Surface
from studies.documents import comparison as documents

ADDED = {"looks", "racing", "secondary", "data_note"}
"""What the answer adds to the comparison."""


@pytest.mark.parametrize(
    ("part", "document"),
    [
        (Caution, documents.WarningDocument),
        (Difference, documents.IntervalDocument),
        (Slope, documents.IntervalDocument),
        (DivergenceRate, documents.DivergenceDocument),
        (CellSummary, documents.CellSummaryDocument),
        (Regret, documents.RegretDocument),
        (ConfidenceSet, documents.ConfidenceSetDocument),
        (Diagonal, documents.DiagonalDocument),
        (Ridge, documents.RidgeDocument),
        (Span, documents.SpanDocument),
        (Surface, documents.SurfaceDocument),
        (Population, documents.PopulationDocument),
        (Populations, documents.PopulationsDocument),
        (Comparison, documents.AnswerDocument),
    ],
)
def test_part_and_document_have_the_same_fields(part: type, document: type) -> None:
    added = ADDED if part is Comparison else set()
    assert {field.name for field in fields(part)} | added == set(document.__annotations__)
