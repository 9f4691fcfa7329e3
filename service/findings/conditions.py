"""Tables of what moves the optimum under a fixed prescription, and of what every study costs."""

from collections.abc import Mapping

from service.findings.markdown import made, points, regret, spread, table
from service.findings.trained import Library, Trained, network_epochs
from studies.catalog import Preset
from studies.comparison.interval import competitor_limits, read_verdict, regret_interval

CONDITIONS = {
    "base": "batch 128, 10 epochs, loss times 1",
    "batch-16": "batch 16",
    "batch-64": "batch 64",
    "batch-256": "batch 256",
    "batch-1024": "batch 1024",
    "epochs-3": "3 epochs",
    "epochs-30": "30 epochs",
    "epochs-100": "100 epochs",
    "scale-quarter": "loss times 1/4",
    "scale-half": "loss times 1/2",
    "scale-double": "loss times 2",
    "scale-quadruple": "loss times 4",
}
"""Studies to what each changes, in the order of the table."""


def conditions(library: Library) -> str:
    """The regret of the derived point, and of MATLAB's default, where something else changes."""
    studies = {name: library[name] for name in CONDITIONS if name in library}
    rows: list[tuple[str, ...]] = []
    for name, study in studies.items():
        found = study.comparison
        rows.append(
            (
                CONDITIONS[name],
                spread(found["prescribed"]),
                f"{spread(found['best'])} ({_shift(study)})",
                *regret(found["regret"]),
                found["verdict"],
                _matlab(study),
            )
        )
    headings = (
        "changed",
        "derived point, %",
        "best cell, % (rate / prescribed rate, momentum)",
        "regret as it stands",
        "cross-fitted",
        "95 % interval",
        "verdict at 0.50 points",
        "the same for MATLAB's default",
    )
    return f"{table(headings, rows)}\n\n{made(list(studies.values()))}"


def _shift(study: Trained) -> str:
    best = study.comparison["best"]
    return f"x {best['learning_rate'] / study.grid[0].learning_rate:.3g}, {best['momentum']:.3g}"


def _matlab(study: Trained) -> str:
    """Interval and verdict of the regret with MATLAB's default in the place of the prescribed point."""
    (label,) = (label for cell in study.grid for label in cell.labels if label.startswith("matlab"))
    interval = regret_interval(competitor_limits(study.table(study.row(label)), study.spec.claim.confidence))
    verdict = read_verdict(interval, study.spec.claim.margin)
    return f"{points(interval.low)} to {points(interval.high)}, {verdict}"


def costs(library: Library, catalog: Mapping[str, Preset]) -> str:
    """Every study with what it takes, and what is not trained yet at the pace of the others."""
    done = [library[name] for name in catalog if name in library]
    pace = sum(network_epochs(study.spec) for study in done) / sum(study.manifest["seconds"] for study in done)
    rows: list[tuple[str, ...]] = []
    for name, preset in catalog.items():
        spec = preset.spec
        work = network_epochs(spec)
        seconds = (
            f"{library[name].manifest['seconds']:,.0f}" if name in library else f"not run; about {work / pace:,.0f}"
        )
        rows.append((f"`{name}`", preset.title, f"{work // spec.epochs:,}", f"{work:,}", seconds))
    headings = ("study", "what", "trainings", "network-epochs", "seconds")
    note = f"One network-epoch is one pass over the training images; {pace:.1f} of them a second on average."
    return f"{table(headings, rows)}\n\n{note}"
