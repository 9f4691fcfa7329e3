"""The page's part about races and repeated looks."""

from collections.abc import Iterable, Sequence

import numpy as np

from studies.calibration.close_calls import one_rival, racing_landscapes
from studies.calibration.coverage import MARGIN
from studies.calibration.landscapes import N_TEST, standard_landscapes
from studies.calibration.looks import FIRST, LookRates, measure_looks
from studies.calibration.races import RaceRates, measure_race

FULL, SHORT = 100, 30
"""Replicates of a full study that is raced."""
BESIDE = 1e-5
"""How far the true regret is beside the margin where only one of the definite verdicts is wrong."""


def run_races(n: int, seed: int) -> list[RaceRates]:
    """Every racing landscape at FULL replicates, and one at SHORT, each with its own generator."""
    landscapes = racing_landscapes()
    cases = [(landscape, FULL) for landscape in landscapes] + [(landscapes[1], SHORT)]
    return [
        measure_race(landscape, replicates, n, np.random.default_rng([seed, 2**30, row]), n_test=N_TEST)
        for row, (landscape, replicates) in enumerate(cases)
    ]


def run_looks(n: int, seed: int) -> list[LookRates]:
    """Extended studies: regrets at and beside the margin, and three of the standard landscapes."""
    standard = {landscape.name: landscape for landscape in standard_landscapes()}
    beyond, inside = one_rival("rival beyond the margin", MARGIN + BESIDE), MARGIN - BESIDE
    pair = one_rival("one cell inside the margin", inside, 2)
    cases = [
        (beyond, 4, False),
        (beyond, 8, False),
        (pair, 4, False),
        (pair, 8, False),
        (one_rival("one cell at the margin", MARGIN, 2), 4, False),
        (standard["ridge"], 4, False),
        (standard["flat"], 4, False),
        (standard["derived best"], 4, False),
        (beyond, 4, True),
        (pair, 4, True),
    ]
    return [
        measure_looks(landscape, looks, n, np.random.default_rng([seed, 2**29, row]), advised=advised)
        for row, (landscape, looks, advised) in enumerate(cases)
    ]


def race_table(rows: Iterable[RaceRates]) -> str:
    """Markdown."""
    lines = [
        "| landscape | folds | runs after each round | true regret | covered | best in set | wrong | definite | "
        "definite in full | cross-fitted | trainings | saving | rounds run | wrong if unspent | kept |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.landscape} | {row.folds} | {', '.join(str(end) for end in row.ends)} | {row.regret:.4f} | "
        f"{row.covered:.3f} | {row.best_in_set:.3f} | {row.wrong:.3f} | {row.definite:.2f} | "
        f"{row.definite_in_full:.2f} | {row.cross_fitted:.4f} | {100 * row.trainings:.0f} % | "
        f"{1 / row.trainings:.1f} x | {row.rounds:.1f} | {row.unspent:.3f} | {'yes' if row.kept else '**no**'} |"
        for row in rows
    ]
    return "\n".join(lines)


def look_table(rows: Iterable[LookRates]) -> str:
    """Markdown."""
    lines = [
        "| landscape | cells | looks | sizes | true regret | wrong, at most | wrong | definite | wrong if unpaid | "
        "all covered | kept |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        promised = "no bar" if row.promised is None else f"{row.promised:.2f}"
        kept = "no bar" if row.promised is None else ("yes" if row.kept else "**no**")
        lines.append(
            f"| {row.landscape} | {row.cells} | {row.looks} | {'advised' if row.advised else 'doubled'} | "
            f"{row.regret:.5f} | {promised} | {row.wrong:.3f} | {row.definite:.2f} | {row.unpaid:.3f} | "
            f"{row.covered:.3f} | {kept} |"
        )
    return "\n".join(lines)


def sequential_summary(races: Sequence[RaceRates], looks: Sequence[LookRates]) -> str:
    """One paragraph for the top of the page."""
    plateaus = [row for row in races if row.landscape.startswith("plateau") and row.ends[-1] * row.folds == FULL]
    error = [row for row in looks if row.promised is not None and row.promised < 0.06]
    return (
        f"A race ends in a wrong definite verdict at a rate of at most {max(r.wrong for r in races):.3f} "
        f"({max(r.unspent for r in races):.3f} if its rounds did not share the error), and takes "
        f"{100 * min(r.trainings for r in plateaus):.0f} to {100 * max(r.trainings for r in plateaus):.0f} % of the "
        "trainings where the plateau is at most 15 % of the box. A study that is extended until it has an answer, "
        f"eight looks at most, gives a wrong one at a rate of at most {max(r.wrong for r in error):.3f} "
        f"({max(r.unpaid for r in error):.3f} if looks were not paid for), unless its true regret is the margin itself."
    )


def race_notes() -> str:
    """What the columns of `race_table` mean."""
    return "\n".join(
        [
            f"- Scores in steps of one image of {N_TEST:,}, margin {MARGIN}. `plateau`: cells in a circle, or on one "
            "effective learning rate, that are as good as the derived point, 10 and 14 % of the box; the others fall "
            "off steeply. `one rival at the margin`: one cell is ahead by the margin, so that either definite "
            "verdict is wrong, and all others are 0.05 below.",
            "- *covered*, *best in set*, *wrong*: of the interval, set and verdict after the last round that was run, "
            "whichever the data made that. *definite in full*: the same studies without racing, all replicates "
            "trained and no error shared; the gap is the price of the race. *cross-fitted*: mean; the choice of the "
            "cells that go on has a part in it, so it is only nearly free of bias.",
            "- *trainings*: of the full study. *saving*: its inverse. The saving is bounded by 1/(share of the first "
            "round + share of the plateau), unless the verdict comes early; on a flat landscape there is nothing to "
            "drop, and in a short study the first round alone is a large share.",
            "- *wrong if unspent*: the same races if every round takes the whole error, the negative control.",
        ]
    )


def look_notes() -> str:
    """What the columns of `look_table` mean."""
    return "\n".join(
        [
            f"- A study of {FIRST} replicates is extended while its verdict is undecided. *wrong*: a definite verdict "
            "at any of its looks was wrong. *wrong if unpaid*: the same with the whole error at each look, the "
            "negative control, which grows with the looks.",
            "- *wrong, at most*: a = 0.05, and 2a where the true regret is the margin itself, since then both definite "
            "verdicts are wrong. Where both are rare, as on `ridge`, far fewer are.",
            "- *all covered*: the intervals of all looks taken hold the truth; it may fall to 1 - 2a.",
            "- *advised*: the number of replicates of the next look is what the answer says is needed. It depends on "
            "the data, for which nothing is promised (docs/method.md 6); so there is no bar.",
        ]
    )
