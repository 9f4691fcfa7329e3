"""What the folders of trained studies hold."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studies.answer import answer
from studies.catalog import Preset
from studies.columns import Score, score_table_of
from studies.comparison.table import ScoreTable
from studies.grid import Cell, cells
from studies.pair_answer import Member
from studies.spec import StudySpec
from workers.folder import MANIFEST, SPEC, read_manifest, read_results


@dataclass(frozen=True)
class Trained:
    """A study of which every training is there."""

    name: str
    title: str
    spec: StudySpec
    grid: tuple[Cell, ...]
    scores: tuple[Score, ...]
    manifest: Mapping[str, Any]
    """What `workers.run` noted: device, numeric class, data, seconds."""
    comparison: Mapping[str, Any]
    """As `/v1/studies/{id}/comparison` gives it."""

    @property
    def images(self) -> int:
        """Of the data set."""
        return int(self.manifest["images"])

    @property
    def member(self) -> Member:
        """The study as one of a pair."""
        return Member(self.name, self.spec, self.scores)

    def row(self, label: str) -> int:
        """The cell that goes by a label.

        Raises:
            KeyError: there is none.
        """
        return {name: cell.index for cell in self.grid for name in cell.labels}[label]

    def table(self, prescribed: int = 0) -> ScoreTable:
        """The accuracies, with any cell in the place of the prescribed one."""
        table = score_table_of(self.spec, self.grid, self.scores, {}, self.images)
        assert table is not None, "a trained study has columns"
        return replace(table, derived=prescribed)


Library = Mapping[str, Trained]
"""Trained studies by name."""


def network_epochs(spec: StudySpec) -> int:
    """What training a whole study takes: trainings times epochs."""
    return len(cells(spec)) * spec.replicates_per_cell * spec.epochs


def read_all(catalog: Mapping[str, Preset], folder: Path) -> dict[str, Trained]:
    """Every study of the catalog that is trained to its end, from its folder below `folder`."""
    found = {name: read(preset, folder / name) for name, preset in catalog.items()}
    return {name: trained for name, trained in found.items() if trained is not None}


def read(preset: Preset, folder: Path) -> Trained | None:
    """One study; None if trainings are missing: a folder that is being written to is left alone.

    Raises:
        ValueError: the folder holds another study.
    """
    grid = cells(preset.spec)
    if not (folder / MANIFEST).exists():
        return None
    manifest = read_manifest(folder)
    if manifest["trained"] < len(grid) * preset.spec.replicates_per_cell:
        return None
    stored = StudySpec.from_json_text((folder / SPEC).read_text(encoding="utf-8"))
    if stored.fingerprint != preset.spec.fingerprint:
        raise ValueError(f"{folder} holds another study than {preset.name} is now; remove it and train again")
    scores = tuple(
        Score(one.cell, one.fold, one.run, one.outcome.value, one.accuracy, one.brier, one.train_loss)
        for one in read_results(folder)
    )
    compared = answer(preset.spec, grid, scores, preset.spec.runs, "completed", int(manifest["images"]))
    return Trained(preset.name, preset.title, preset.spec, grid, scores, manifest, compared)
