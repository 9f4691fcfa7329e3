"""The suite specification: studies that share seeds, and a table whose rows are cells of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from studies.fields import Integer, Items, Nullable, Number, Problem, SpecError, Text
from studies.grid import Cell, cells
from studies.parts import Document, Part, PartRule
from studies.spec import UNTITLED, StudySpec

SCHEMA_VERSION = 1
SHARED = ("dataset", "folds", "folds_used", "seed")
"""What the studies of a suite have in common: a replicate (fold, run) then has the same images and seeds in each."""
PRESCRIBED = "prescribed"
"""How a row names the prescribed point of its study; other cells go by the name of a reference."""
MAX_STUDIES = 50
MAX_ROWS = 200


@dataclass(frozen=True)
class Published(Part):
    """What a paper reports for the setting of a row; fractions, not percent."""

    RULES = {"mean": Number(0, 1), "std": Nullable(Number(0, 1)), "source": Text(200)}
    REQUIRED = ("mean", "source")

    mean: float
    source: str
    """Where it stands."""
    std: float | None = None
    """As the paper gives it, whatever it is a spread of."""


@dataclass(frozen=True)
class Row(Part):
    """One row of the table: a cell of one of the studies."""

    RULES = {"name": Text(80), "study": Text(200), "cell": Text(40), "published": Nullable(PartRule(Published))}
    REQUIRED = ("name", "study", "cell")

    name: str
    study: str
    """Name of the study."""
    cell: str
    """`prescribed`, or the name of a reference of that study."""
    published: Published | None = None


@dataclass(frozen=True)
class Contrast(Part):
    """A paired difference that the table states: one row minus another."""

    RULES = {"row": Text(80), "minus": Text(80), "note": Nullable(Text(1_000))}
    REQUIRED = ("row", "minus")

    row: str
    minus: str
    note: str | None = None
    """What the difference can tell, and what it cannot."""


@dataclass(frozen=True)
class SuiteSpec(Document):
    """Several named studies with one table.

    Raises:
        SpecError: a field breaks its rule; every broken rule is named.
    """

    RULES = {
        "schema": Integer(SCHEMA_VERSION, SCHEMA_VERSION),
        "name": Text(200),
        "studies": Items(PartRule(StudySpec), 1, MAX_STUDIES),
        "rows": Items(PartRule(Row), 1, MAX_ROWS),
        "contrasts": Items(PartRule(Contrast), 0, MAX_ROWS),
        "confidence": Number(0.5, 1, open_below=True, open_above=True),
        "notes": Items(Text(2_000), 0, 20),
    }
    REQUIRED = ("studies", "rows")

    studies: tuple[StudySpec, ...]
    rows: tuple[Row, ...]
    schema: int = SCHEMA_VERSION
    name: str = UNTITLED
    contrasts: tuple[Contrast, ...] = ()
    confidence: float = 0.95
    """Of each contrast's interval by itself."""
    notes: tuple[str, ...] = ()
    """What a reader of the table has to know."""

    def __post_init__(self) -> None:
        super().__post_init__()
        problems = tuple(self._across_fields())
        if problems:
            raise SpecError(*problems)

    def study(self, name: str) -> StudySpec:
        """The study of that name.

        Raises:
            KeyError: there is none.
        """
        return {study.name: study for study in self.studies}[name]

    def cell(self, row: Row) -> Cell:
        """The cell that a row names."""
        return _named_cell(self.study(row.study), row.cell)

    def _across_fields(self) -> Iterator[Problem]:
        first = self.studies[0]
        for index, study in enumerate(self.studies):
            for name in SHARED:
                ours, theirs = getattr(study, name), getattr(first, name)
                if ours != theirs:
                    rule = f"must be {theirs!r} as in studies[0], not {ours!r}: the studies of a suite share seeds"
                    yield Problem(f"studies[{index}].{name}", rule)
            if study.racing:
                rule = "must be false in a suite: a race would leave rows with fewer replicates for their scores"
                yield Problem(f"studies[{index}].racing", rule)
        yield from _distinct("studies", [study.name for study in self.studies])
        yield from _distinct("rows", [row.name for row in self.rows])
        for index, row in enumerate(self.rows):
            yield from self._row_problems(f"rows[{index}]", row)
        names = [row.name for row in self.rows]
        for index, contrast in enumerate(self.contrasts):
            for field in ("row", "minus"):
                if getattr(contrast, field) not in names:
                    rule = f"must be the name of a row, not {getattr(contrast, field)!r}"
                    yield Problem(f"contrasts[{index}].{field}", rule)
            if contrast.row == contrast.minus:
                yield Problem(f"contrasts[{index}].minus", f"must be another row than {contrast.row!r}")

    def _row_problems(self, path: str, row: Row) -> Iterator[Problem]:
        named = [study for study in self.studies if study.name == row.study]
        if not named:
            known = ", ".join(repr(study.name) for study in self.studies)
            yield Problem(f"{path}.study", f"must be the name of a study, {known}, not {row.study!r}")
        elif row.cell not in (known_cells := _cell_names(named[0])):
            rule = f"must be one of {', '.join(known_cells)}, the cells that {row.study!r} names, not {row.cell!r}"
            yield Problem(f"{path}.cell", rule)


def quick_version(suite: SuiteSpec, *, folds_used: int, runs: int, epochs: int) -> SuiteSpec:
    """The same suite with less to train; its first note says how it differs.

    Args:
        suite: the full one.
        folds_used, runs, epochs: of every study, in place of its own.

    Raises:
        SpecError: they break a rule of a study.
    """
    less = {"folds_used": folds_used, "runs": runs, "epochs": epochs}
    document = suite.to_json()
    full = suite.studies[0]
    told = ", ".join(
        f"{number} {noun}" + (f" instead of {getattr(full, field)}" if number != getattr(full, field) else " as there")
        for (field, number), noun in zip(less.items(), ("folds", "runs per fold", "epochs"), strict=True)
    )
    note = f"This is the quick version. It trains less than the full suite: {told}. Nothing else differs."
    document["studies"] = [study | less for study in document["studies"]]
    return SuiteSpec.from_json(document | {"name": f"{suite.name}, quick", "notes": [note, *suite.notes]})


def _cell_names(study: StudySpec) -> list[str]:
    references = (reference if isinstance(reference, str) else reference.name for reference in study.references)
    return [PRESCRIBED, *references]


@lru_cache(maxsize=256)
def _named_cell(study: StudySpec, name: str) -> Cell:
    grid = cells(study)
    return grid[0] if name == PRESCRIBED else next(cell for cell in grid if name in cell.labels)


def _distinct(field: str, names: list[str]) -> Iterator[Problem]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        yield Problem(field, f"must have distinct names, not {', '.join(map(repr, twice))} more than once")
