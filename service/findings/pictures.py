"""The heat maps of the page, drawn as the service draws those of a study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from service.findings.trained import Library, Trained
from service.plots.draw import draw
from service.plots.scene import Scene


def draw_landscapes(library: Library, names: Sequence[str], folder: Path) -> list[Path]:
    """Draw FOLDER/NAME.svg for each trained study of `names`; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in names:
        if name in library:
            path = folder / f"{name}.svg"
            path.write_bytes(draw(_scene(library[name]), "heatmap", "svg"))
            written.append(path)
    return written


def _scene(study: Trained) -> Scene:
    shown = {"name": study.spec.name, "spec": study.spec.to_json()}
    return Scene(shown, study.comparison, [_cell(study, row) for row in range(len(study.grid))], {})


def _cell(study: Trained, row: int) -> dict[str, Any]:
    cell = study.grid[row]
    scores = np.array([score.accuracy for score in study.scores if score.cell == row])
    return {
        "cell": row,
        "learning_rate": cell.learning_rate,
        "momentum": cell.momentum,
        "labels": list(cell.labels),
        "in_grid": cell.in_grid,
        "n": len(scores),
        "diverged": sum(score.outcome == "diverged" for score in study.scores if score.cell == row),
        "mean": float(scores.mean()),
        "std": float(scores.std(ddof=1)) if len(scores) > 1 else None,
    }
