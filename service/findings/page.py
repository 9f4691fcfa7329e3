"""The page of findings: prose by hand, tables between markers from the folders of results."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.findings.catalog import table_1, table_1_name
from service.findings.conditions import conditions, costs
from service.findings.controls import alpha, random_pairs, square_rule, table_one
from service.findings.landscapes import LANDSCAPES, losses, references, steps, verdicts
from service.findings.trained import Library
from studies.catalog import Preset


@dataclass(frozen=True)
class Table:
    """One table of the page."""

    make: Callable[[Library], str]
    needs: tuple[str, ...]
    """Studies that have to be trained."""

    def text(self, library: Library) -> str:
        """The table, or the command that trains what it waits for."""
        missing = [name for name in self.needs if name not in library]
        if missing:
            return f"Not trained yet; `python -m service.findings train {' '.join(missing)}` does it."
        return self.make(library)


TABLES: Mapping[str, Table] = {
    "verdicts": Table(verdicts, LANDSCAPES),
    "references": Table(references, LANDSCAPES),
    "losses": Table(losses, LANDSCAPES),
    "steps": Table(steps, ("steps-dual-process", "steps-sse")),
    "table-1": Table(table_one, tuple(table_1_name(study) for study in table_1().studies)),
    "alpha": Table(alpha, ("alpha",)),
    "square-rule": Table(square_rule, ("square-rule",)),
    "random-pairs": Table(random_pairs, ("random-pairs",)),
    "conditions": Table(conditions, ("batch-16", "batch-1024", "epochs-3", "scale-quadruple")),
}
_MARKED = re.compile(r"(<!-- table: (?P<name>[a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, library: Library, catalog: Mapping[str, Preset]) -> str:
    """The page with every table made anew.

    Args:
        page: Markdown with markers `<!-- table: NAME -->` and `<!-- end -->`.
        library: trained studies, at least one.
        catalog: every study.

    Raises:
        ValueError: a marker names no table, or a table has no marker.
    """
    made = {name: table.text(library) for name, table in TABLES.items()} | {"costs": costs(library, catalog)}
    named = [match["name"] for match in _MARKED.finditer(page)]
    if sorted(named) != sorted(made):
        raise ValueError(f"the page must have one marker for each of {sorted(made)}, not for {sorted(named)}")
    return _MARKED.sub(lambda match: f"{match[1]}\n{made[match['name']]}\n\n{match[3]}", page)
