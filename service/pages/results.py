"""The drawn results of a study: figures and tables, which cost most of its page and change only with its trainings."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from service.api.context import Context
from service.api.data import get_cells
from service.pages import verdict as words
from service.pages.answered import Answered, answered
from service.pages.cell_table import CellTable, cell_table
from service.pages.contenders import read_contenders
from service.pages.curves import Curves, curves
from service.pages.dots import Dots, dots
from service.pages.drawings import Drawings
from service.pages.heatmap import Heatmap, heatmap
from service.pages.rendering import drawn
from service.pages.stamp import Counts
from service.plots.lattice import lattice
from service.schemas.studies import ComparisonDocument, StudyDocument


@dataclass(frozen=True)
class Figures:
    """What the templates of the results print."""

    answered: Answered | None
    heatmap: Heatmap | None
    table: CellTable | None
    curves: Curves | None
    dots: Dots | None


@dataclass(frozen=True)
class Results:
    """The results as a page has them; nothing in it depends on who looks."""

    answered: Answered | None
    figures: Markup
    table: Markup
    """the landscape as a table; empty before the study has cells"""
    has_curves: bool
    has_ridge: bool


def draw_results(
    context: Context,
    drawings: Drawings,
    study: StudyDocument,
    answer: ComparisonDocument | None,
    counts: Sequence[Counts],
) -> Results:
    """Draw the results of a study; reads the database.

    Args:
        context: the parts of the service.
        drawings: what has been drawn already.
        study: the study's document.
        answer: its comparison as far as it is known.
        counts: of each of its cells.
    """
    cells, margin = get_cells(study["id"], context)["items"], study["spec"]["claim"]["margin"]
    opened = bool(counts)  # before that an answer knows the cells already, but nothing was trained
    contenders = read_contenders(context, drawings, study["id"], answer, counts) if answer and opened else ()
    grid = lattice(cells) if cells else None
    references = [] if answer is None else words.numbered(answer)
    figures = Figures(
        answered=None if answer is None else answered(answer, cells),
        heatmap=None if grid is None else heatmap(grid, cells, margin, answer, references),
        table=None if grid is None else cell_table(grid, cells, answer),
        curves=curves(contenders) if contenders else None,
        dots=dots(contenders) if contenders else None,
    )
    return Results(
        answered=figures.answered,
        figures=drawn("study_figures.html", figures),
        table=drawn("study_table.html", figures),
        has_curves=bool(contenders),
        has_ridge=figures.answered is not None and figures.answered.ridge is not None,
    )
