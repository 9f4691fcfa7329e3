"""The calibration page."""

import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from studies.calibration.coverage import MARGIN, Coverage, at_least, measure
from studies.calibration.landscapes import N_TEST, standard_landscapes
from studies.calibration.looks import LookRates
from studies.calibration.power import Promise, found_alone, found_equivalent, rounding_covered, twin_covered
from studies.calibration.races import RaceRates
from studies.calibration.sequential import (
    look_notes,
    look_table,
    race_notes,
    race_table,
    run_looks,
    run_races,
    sequential_summary,
)


@dataclass(frozen=True)
class Plan:
    """How much to simulate."""

    n: int
    """studies per row"""
    replicates: tuple[int, ...]
    seed: int

    def __post_init__(self) -> None:
        if self.n < 1 or any(r % 5 or r < 5 for r in self.replicates):
            raise ValueError(f"a plan needs n >= 1 and multiples of 5 replicates, got {self}")


LONG = Plan(n=2000, replicates=(5, 10, 30, 100), seed=0)
QUICK = Plan(n=200, replicates=(5, 30), seed=0)


def run_coverage(plan: Plan) -> list[Coverage]:
    """Every landscape, number of replicates and kind of score, each with its own generator."""
    rows: list[Coverage] = []
    for landscape in standard_landscapes():
        for replicates in plan.replicates:
            for n_test in (None, N_TEST):
                rng = np.random.default_rng([plan.seed, len(rows)])
                rows.append(measure(landscape, replicates, plan.n, rng, n_test=n_test))
    return rows


def run_promises(plan: Plan) -> list[Promise]:
    """A/A studies and the power figures."""
    rng = np.random.default_rng([plan.seed, 2**31])
    promises = [
        twin_covered(replicates, plan.n, rng, n_test=n_test)
        for replicates in plan.replicates
        for n_test in (None, N_TEST)
    ]
    for curvature, promised in ((0.001, 0.8), (0.0005, None), (0.0, None)):
        promises.append(found_equivalent(curvature, plan.n, rng, promised=promised))
    for replicates, promised in ((10, None), (20, None), (30, 0.95)):
        promises.append(found_alone(replicates, plan.n, rng, promised=promised))
    promises += [rounding_covered(replicates, plan.n, rng) for replicates in plan.replicates]
    return promises


def coverage_table(rows: Iterable[Coverage]) -> str:
    """Markdown."""
    lines = [
        "| landscape | R | scores | true regret | covered | best in set | wrong | definite | plug-in | "
        "cross-fitted | median width | naive | max-t | kept |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        kept = ("yes" if row.kept else "**no**") if row.barred else "no bar"
        lines.append(
            f"| {row.landscape} | {row.replicates} | {'images' if row.steps else 'continuous'} | "
            f"{row.regret:.4f} | {row.covered:.3f} | {row.best_in_set:.3f} | {row.wrong:.3f} | "
            f"{row.definite:.2f} | {row.plug_in:.4f} | {row.cross_fitted:.4f} | {row.width:.4f} | "
            f"{row.naive:.3f} | {row.max_t:.3f} | {kept} |"
        )
    return "\n".join(lines)


def promise_table(rows: Iterable[Promise]) -> str:
    """Markdown."""
    lines = ["| what | R | promised | measured | kept |", "|---|---|---|---|---|"]
    for row in rows:
        promised = "no bar" if row.promised is None else f"{row.promised:.2f}"
        kept = "no bar" if row.promised is None else ("yes" if row.kept else "**no**")
        lines.append(f"| {row.what} | {row.replicates} | {promised} | {row.rate:.3f} | {kept} |")
    return "\n".join(lines)


def page(plan: Plan, command: str) -> tuple[str, bool]:
    """Simulate and write the page.

    Args:
        plan: how much.
        command: that makes this page, for the reader.

    Returns:
        (Markdown, whether every barred promise was kept).
    """
    start = time.perf_counter()
    coverage, promises = run_coverage(plan), run_promises(plan)
    races, looks = run_races(plan.n, plan.seed), run_looks(plan.n, plan.seed)
    seconds = time.perf_counter() - start
    barred = [row for row in coverage if row.barred]
    kept = all(all(row.kept for row in rows) for rows in (barred, promises, races, looks))
    return _text(plan, command, seconds, coverage, promises, races, looks), kept


def _text(
    plan: Plan,
    command: str,
    seconds: float,
    coverage: Sequence[Coverage],
    promises: Sequence[Promise],
    races: Sequence[RaceRates],
    looks: Sequence[LookRates],
) -> str:
    barred = [row for row in coverage if row.barred]
    flat = [row for row in barred if row.landscape == "flat"]
    summary = (
        f"Over the {len(barred)} rows with a bar, coverage of the interval is at least "
        f"{min(r.covered for r in barred):.3f}, a true best cell is in the set at a rate of at least "
        f"{min(r.best_in_set for r in barred):.3f}, and at most {max(r.wrong for r in barred):.3f} of the "
        "studies end in a wrong definite verdict. The controls fail as they should: on the flat landscape "
        f"the naive interval covers as little as {min(r.naive for r in flat):.3f} and the maximum-t "
        f"bootstrap {min(r.max_t for r in flat):.3f}."
    )
    made = (
        f"Made by `{command}` in {seconds:.0f} s: n = {plan.n} simulated studies per row, seed {plan.seed}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"{platform.machine()}, one core. No training takes part: this is about the arithmetic of the "
        "comparison."
    )
    return "\n\n".join(
        [
            "# Calibration: does the answer keep its promises?",
            made,
            summary,
            sequential_summary(races, looks),
            "## Coverage",
            coverage_table(coverage),
            _legend(plan),
            "## Twins and power",
            promise_table(promises),
            _power_notes(),
            "## Races",
            race_table(races),
            race_notes(),
            "## Repeated looks",
            look_table(looks),
            look_notes(),
        ]
    )


def _legend(plan: Plan) -> str:
    return "\n".join(
        [
            "- 7 x 7 cells, default grid; every replicate has noise common to all cells (0.004), every "
            "cell its own noise of 0.001 to 0.004, `noise below one image` a twentieth of it.",
            "- *covered*: low <= true regret <= high at 95 %. *best in set*: one fixed, truly best cell is "
            f"in the confidence set. *wrong*, *definite*: verdicts for a margin of {MARGIN}; on `ridge` and "
            "`cliffs` the true regret equals it, so that every definite verdict is wrong.",
            "- *plug-in* and *cross-fitted* are means; the first minus the true regret is the winner's "
            "curse. *naive*: t interval of the winner as if chosen beforehand. *max-t*: bootstrap of the "
            "largest t. Both are negative controls.",
            f"- *kept*: covered, best in set and 1 - wrong are each at least {at_least(0.95, plan.n):.3f}, "
            "which is 0.95 minus three standard errors of the simulation.",
            "- `cliffs`: cells beyond a limit of the effective learning rate diverge at 0.3, 0.6 and 1. "
            "`folds differ`: fixed effects of fold and cell (0.003), 5 folds; the truth is the mean over "
            "these folds.",
            "- Without a bar, because the promise cannot hold there: where the derived point diverges at "
            "0.3, five replicates show no divergence in one study of six; a divergence at 0.02 is seen too "
            "seldom to lower a mean. That is why rates of divergence stand beside the verdict and "
            "`equivalent` reads `when it finishes`.",
        ]
    )


def _power_notes() -> str:
    return "\n".join(
        [
            "- Paired spread 0.003, scores in steps of one image of 1,000.",
            "- `equivalent` depends on how many cells come close to the derived point: on a flat landscape "
            "(fall 0) the upper limit is that of the luckiest of 48 cells.",
            "- One member of the set: the corrected quantile is 4.3 at R = 10 and 3.4 at R = 30, which a "
            "cell 7 standard errors ahead passes against all 48 others only with enough replicates. The "
            "bar stands at R = 30, set after a first run had measured 0.948 at R = 20 and 0.984 at R = 30.",
            "- Two cells within one image of each other whose noise is far below it are the worst case of "
            "rounding: with one competitor and few replicates the floor of the standard errors is a little "
            "too low. The error is a fraction of one image, and margins are not set there.",
        ]
    )
