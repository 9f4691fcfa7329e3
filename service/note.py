"""What the Optuna dashboard says of a study beside its trials: Markdown with the verdict, its interval and links."""

from service.lifecycle import TERMINAL, Status
from service.schemas.studies import ComparisonDocument

NO_VERDICT = "**No verdict yet**"


def study_note(study_id: str, status: Status, done: int, total: int, comparison: ComparisonDocument | None) -> str:
    """The note of a study; it holds no text of a user's.

    Args:
        study_id: which.
        status: as a user sees it.
        done, total: stored and wanted trainings.
        comparison: as `/v1/studies/{id}/comparison` gives it; None while the study goes on.
    """
    root = f"/v1/studies/{study_id}"
    links = [("page", f"/studies/{study_id}"), ("comparison", f"{root}/comparison"), ("manifest", f"{root}/manifest")]
    links += [("trainings (CSV)", f"{root}/replicates?format=csv"), ("landscape (SVG)", f"{root}/plots/heatmap.svg")]
    listed = " · ".join(f"[{name}]({path})" for name, path in links)
    told = f"{status.value}, {done:,} of {total:,} trainings"
    trials = "A trial is one cell, its value the mean accuracy of the cell's trainings; step k of its intermediate "
    trials += "values is the mean of the first k trainings."
    if comparison is None or status not in TERMINAL:
        parts = [f"{NO_VERDICT}: the study is {told}.", trials, listed]
    else:
        parts = [f"**Verdict: {comparison['verdict']}** ({told})", comparison["sentence"], _numbers(comparison)]
        parts += [f"*What this does not say.* {comparison['not_said']}", comparison["data_note"], trials, listed]
    return "\n\n".join(part for part in parts if part)


def is_current(note: str, status: Status) -> bool:
    """Whether a note, if any, is that of a study which goes on, or of one that has ended."""
    return note != "" and note.startswith(NO_VERDICT) == (status not in TERMINAL)


def _numbers(comparison: ComparisonDocument) -> str:
    """The regret and the cells that matter, as Markdown; empty without a complete column of replicates."""
    if comparison["best"] is None:
        return ""
    regret = comparison["regret"]
    interval = f"{100 * comparison['confidence']:g} % interval {_points(regret['low'])} to {_points(regret['high'])}"
    lines = [
        f"Regret of the prescribed point, in points of accuracy: {_points(regret['estimate'])} as it stands (biased "
        f"upwards), {_points(regret['cross_fitted'])} cross-fitted, {interval}, at a margin of "
        f"{_points(comparison['margin'])}; n = {comparison['n']} paired replicates.",
        "",
        "| | trial | learning rate | momentum | accuracy, % | std | n | diverged |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in (("prescribed", comparison["prescribed"]), ("best cell", comparison["best"])):
        point = f"{row['learning_rate']:.4g} | {row['momentum']:.4g}"
        scores = f"{_points(row['mean'])} | {_points(row['std'])} | {row['n']} | {row['diverged']}"
        lines.append(f"| {name} | {row['cell']} | {point} | {scores} |")
    return "\n".join(lines)


def _points(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.2f}"
