"""What a study's page says of its comparison."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.pages import verdict as words
from service.pages import wording
from service.pages.estimates import Estimates, estimates
from service.pages.ridge import RidgePlot, ridge_plot
from service.pages.verdict import Row, Secondary, Verdict
from service.pages.wording import Fact
from service.schemas.data import CellDocument
from service.schemas.studies import ComparisonDocument


@dataclass(frozen=True)
class Answered:
    """What the comparison gives."""

    verdict: Verdict
    headline: tuple[tuple[str, Fact], ...]
    """the numbers behind the verdict"""
    estimates: Estimates | None
    rows: tuple[Row, ...]
    secondary: tuple[Secondary, ...]
    ridge: RidgePlot | None
    ridge_sentence: str
    surface: tuple[tuple[str, Fact], ...]


def answered(answer: ComparisonDocument, cells: Sequence[CellDocument]) -> Answered:
    """Put a comparison into words and drawings.

    Args:
        answer: the comparison.
        cells: cell documents by index.
    """
    return Answered(
        verdict=words.verdict(answer),
        headline=_headline(answer, len(cells)),
        estimates=estimates(answer),
        rows=words.rows(answer) if answer["n"] else (),
        secondary=words.secondary(answer),
        ridge=ridge_plot(answer, cells),
        ridge_sentence=words.ridge_sentence(answer),
        surface=words.surface_facts(answer),
    )


def _headline(answer: ComparisonDocument, cells: int) -> tuple[tuple[str, Fact], ...]:
    margin = Fact(f"{wording.points(answer['margin'])} points", "fixed before the run: a smaller loss does not matter")
    n = Fact(f"{answer['n']:,}", "paired replicates: columns (fold, run) that are complete for every cell")
    found = [("Margin", margin), ("Paired replicates", n)]
    share = words.share_fact(answer, cells)
    if share is not None:
        found.append(("Confidence set", share))
    prescribed = answer["prescribed"]
    if prescribed["percentile"] is not None:
        meaning = "share of grid cells whose mean is not higher; the box is centred on the claim, so this says little"
        found.append(("Percentile in the grid", Fact(f"{100 * prescribed['percentile']:.0f} %", meaning)))
    needed = answer["replicates_needed"]
    if needed is not None:
        meaning = "would settle it with a probability of 80 %, if the truth is as these data suggest"
        found.append(("Replicates needed", Fact(f"{needed:,}", meaning)))
    race = answer["racing"]
    if race is not None:
        meaning = (
            f"of the {race['planned']:,} planned; {race['dropped']:,} cells were out of the running before the end"
        )
        found.append(("Trainings spared by racing", Fact(f"{race['saved']:,}", meaning)))
    return tuple(found)
