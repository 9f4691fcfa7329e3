"""Drawing one picture, if there is what it needs."""

from service.errors import Conflict
from service.plots.kinds import Form, Kind
from service.plots.scene import Scene


def draw(scene: Scene, kind: Kind, form: Form) -> bytes:
    """Draw a picture; the same scene gives the same bytes with the same version of matplotlib.

    Args:
        scene: what it shows.
        kind: which.
        form: how it is encoded.

    Raises:
        Conflict: the study has nothing yet that the picture could show.
    """
    missing = _missing(scene, kind)
    if missing:
        raise Conflict(f"the picture {kind} needs {missing}")
    from service.plots.curves import draw_curves  # matplotlib stays out of the process that answers requests
    from service.plots.heatmap import draw_heatmap
    from service.plots.ridge import draw_ridge
    from service.plots.style import encode, look

    painter = {"heatmap": draw_heatmap, "curves": draw_curves, "ridge": draw_ridge}[kind]
    with look():
        return encode(painter(scene), form, f"{scene.study['name']}: {kind}")


def _missing(scene: Scene, kind: Kind) -> str | None:
    """What a picture lacks, in words; None if it can be drawn."""
    if kind == "curves":
        return None if scene.curves else "a training of the prescribed point, the best cell or a reference"
    if kind == "ridge":
        ridge = scene.comparison["ridge"]
        if ridge is None:
            return "one complete column of replicates (every cell, one fold, one run)"
        return None if ridge["diagonals"] else "two cells of one effective learning rate that never diverged"
    return None if any(cell["mean"] is not None for cell in scene.cells) else "at least one training"
