"""The figures: places of cells, shades, outlines, curves, dots, estimates."""

import math
import re
from typing import Any

import numpy as np
import pytest
from pages_data import documents, study_spec

from service.curves import Band
from service.pages.contenders import Contender
from service.pages.curves import curves
from service.pages.dots import MOST_DOTS, dots
from service.pages.estimates import estimates
from service.pages.heatmap import SHADES, Heatmap, heatmap, shade
from service.pages.ridge import ridge_plot
from service.pages.verdict import numbered, ridge_sentence, rows, surface_facts
from service.plots.lattice import lattice


def drawn(
    spec: Any, diverged: frozenset[int] = frozenset(), **changes: Any
) -> tuple[Heatmap, list[dict[str, Any]], Any]:
    cells, answer = documents(spec, diverged)
    answer = answer | changes
    return heatmap(lattice(cells), cells, spec.claim.margin, answer, numbered(answer)), cells, answer


def contender(scores: Any, epochs: int = 4, who: str = "golden") -> Contender:
    n = len(scores)
    column = tuple(np.linspace(0.5, float(np.mean(scores)), epochs))
    low, high = (tuple(value + by for value in column) for by in (-0.01, 0.01))
    band = Band(0, n, 0, column, low, high, column, low, high)
    return Contender(who, "(0.0159, 0.874)", np.sort(np.array(scores, dtype=float)), band)


# --- the heat map


def test_tiles_cover_the_grid_without_gaps_the_highest_momentum_on_top() -> None:
    found, cells, _ = drawn(study_spec())
    by_place = {(square.row, square.column): square for square in found.squares}
    assert sorted(by_place) == [(row, column) for row in range(3) for column in range(3)]
    for (row, column), square in by_place.items():
        if column < 2:
            assert square.x + square.width == pytest.approx(by_place[row, column + 1].x, abs=0.11)
        if row < 2:
            assert square.y + square.height == pytest.approx(by_place[row + 1, column].y, abs=0.11)
    top, bottom = by_place[0, 0], by_place[2, 0]
    highest, lowest = (pick(cell["momentum"] for cell in cells if cell["in_grid"]) for pick in (max, min))
    assert f", {highest:.3f}" in top.title
    assert f", {lowest:.3f}" in bottom.title
    assert top.width == pytest.approx(top.height, abs=0.2), "a decade is as long across as up"


def test_line_of_one_effective_rate_runs_through_the_cells_that_have_it() -> None:
    found, cells, _ = drawn(study_spec())
    line = found.line
    assert line is not None
    assert (line.y2 - line.y1) / (line.x2 - line.x1) == pytest.approx(1, abs=0.02), "momentum down, rate up"
    for square in found.squares:
        cell = next(cell for cell in cells if cell["in_grid"] and f"({cell['learning_rate']:.3g}," in square.title)
        x, y = square.x + square.width / 2, square.y + square.height / 2
        on_line = abs((y - line.y1) - (x - line.x1)) < 1
        assert on_line == (square.row == square.column), (cell["effective_learning_rate"], square.title)


def test_marks_lie_on_their_cells_and_not_on_each_other() -> None:
    cells, answer = documents(
        study_spec(references=["matlab", "plain", {"name": "twin", "learning_rate": 0.0101, "momentum": 0.9}])
    )
    found = heatmap(lattice(cells), cells, 0.001, answer, numbered(answer))
    marks = {(mark.kind, mark.number): mark for mark in found.marks}
    assert set(marks) == {("best", ""), ("prescribed", ""), ("reference", "1"), ("reference", "2"), ("reference", "3")}
    middle = next(square for square in found.squares if (square.row, square.column) == (1, 1))
    prescribed = marks["prescribed", ""]
    assert (prescribed.x, prescribed.y) == pytest.approx(
        (middle.x + middle.width / 2, middle.y + middle.height / 2), abs=0.2
    )
    first, second = marks["reference", "1"], marks["reference", "3"]
    assert second.moved
    assert math.hypot(first.x - second.x, first.y - second.y) >= 14
    assert abs(first.at_x - second.at_x) < 2
    assert "twin (0.0101, 0.9)" in second.title


def test_reference_far_away_is_left_to_the_table() -> None:
    far = [{"name": "far", "learning_rate": 1e-6, "momentum": 0.5}, "plain"]
    found, _, answer = drawn(study_spec(references=far))
    assert [mark.number for mark in found.marks if mark.kind == "reference"] == ["2"]
    assert [row.who for row in rows(answer)][-2:] == ["far", "plain"]
    assert found.squares[0].width > 30


@pytest.mark.parametrize(
    ("below", "step"),
    [(0, 0), (0.0004, 0), (0.0006, 1), (0.0011, 2), (0.0025, 3), (0.15, 8), (0.9, SHADES - 1)],
)
def test_shade_is_a_step_of_margins_below_the_best(below: float, step: int) -> None:
    assert shade(0.99 - below, 0.99, 0.001) == step
    assert shade(0.99 - below * 5, 0.99, 0.005) == step


def test_shades_are_those_of_the_means() -> None:
    found, cells, _ = drawn(study_spec())
    highest = max(cell["mean"] for cell in cells)
    for square in found.squares:
        mean = float(re.search(r"accuracy ([\d.]+) %", square.title)[1]) / 100  # type: ignore[index]
        assert square.shade == shade(mean, highest, 0.001) or abs(mean - highest) < 1e-3
    assert [swatch.text for swatch in found.swatches] == ["0", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "20"]


def test_tiles_show_means_on_one_footing_and_say_where_a_cell_s_own_differs() -> None:
    spec = study_spec()
    _, cells, answer = drawn(spec)
    shifted = [mean - 0.05 * (index == 4) for index, mean in enumerate(answer["landscape"])]
    found, _, _ = drawn(spec, landscape=shifted)
    at = lattice(cells)
    texts = {at.cells[square.row][square.column]: square for square in found.squares}
    assert texts[4].text == f"{100 * shifted[4]:.2f}"
    assert texts[4].shade == shade(shifted[4], max(shifted), spec.claim.margin)
    assert f"{100 * cells[4]['mean']:.2f} %" in texts[4].title
    assert f"{100 * shifted[4]:.2f} % beside the prescribed point" in texts[4].title
    assert "beside" not in texts[0].title


def sides(path: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, re.findall(r"-?[\d.]+", side))) for side in path.split("M")[1:]]


def test_outline_is_the_border_of_the_confidence_set() -> None:
    cells, answer = documents(study_spec())
    for members, count in ([], 0), ([0], 4), ([0, 1], 8), (list(range(9)), 12), ([9], 0):
        answer["confidence_set"] = {"cells": members, "share": 0.5}
        found = heatmap(lattice(cells), cells, 0.001, answer, [])
        assert len(sides(found.outline)) == count, members
    answer["confidence_set"]["cells"] = [0]
    (square,) = (s for s in found.squares if (s.row, s.column) == (1, 1))
    around = sides(heatmap(lattice(cells), cells, 0.001, answer, []).outline)
    assert {x for x1, _, x2, _ in around for x in (x1, x2)} == {square.x, round(square.x + square.width, 1)}


def test_diverged_cell_is_crossed_and_says_so() -> None:
    found, _, _ = drawn(study_spec(), diverged=frozenset({0}))
    crossed = [square for square in found.squares if square.diverged]
    assert [(square.row, square.column) for square in crossed] == [(1, 1)]
    assert "1 diverged" in crossed[0].title


def test_cells_without_a_training_are_there() -> None:
    cells, _ = documents(study_spec())
    bare = [cell | {"mean": None, "std": None, "n": 0} for cell in cells]
    found = heatmap(lattice(bare), bare, 0.001, None, [])
    assert [square.shade for square in found.squares] == [None] * 9
    assert "no training yet" in found.squares[0].title
    assert found.outline == ""
    assert [mark.kind for mark in found.marks] == ["prescribed"]


def test_single_row_of_cells_is_drawn() -> None:
    found, _, _ = drawn(study_spec(grid={"learning_rate": {"values": [0.01, 0.02]}, "momentum": {"values": [0.9]}}))
    assert len(found.squares) == 2
    assert all(square.width > 20 and square.height > 20 for square in found.squares)


# --- curves, dots, ridge, estimates


def test_curves_are_thinned_but_keep_first_and_last_epoch() -> None:
    found = curves([contender([0.9, 0.95, 0.97], epochs=10_000)])
    (series,) = found.series
    points = series.line.split()
    assert len(points) == 120
    assert (points[0].split(",")[0], points[-1].split(",")[0]) == (f"{found.frame.left:g}", f"{found.frame.right:g}")
    assert len(series.band.split()) == 240
    assert len(series.stops) == 20
    assert "epoch 10000: 94.00 % (mean of 3 trainings; the middle 80 %: 93.00 % to 95.00 %)" in series.stops[-1].title


def test_single_training_has_no_band() -> None:
    (series,) = curves([contender([0.9], epochs=1)]).series
    assert series.band == ""
    assert "a single training" in series.stops[0].title


def test_every_training_is_a_dot_until_there_are_too_many() -> None:
    few = dots([contender([0.9, 0.95, 0.97]), contender([0.8], who="matlab")])
    assert [len(strip.dots) for strip in few.strips] == [3, 1]
    assert few.each == "one training"
    assert few.strips[0].dots[0].title == "golden: 90.00 %"
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.9, 0.99, (4, 5_000))
    many = dots([contender(row) for row in scores])
    assert [len(strip.dots) for strip in many.strips] == [MOST_DOTS // 4] * 4
    assert "even share" in many.each
    middle = many.strips[0].dots[50].title
    assert float(middle.split()[1]) == pytest.approx(100 * np.median(scores[0]), abs=0.2)


def test_dots_stay_in_their_strip() -> None:
    found = dots([contender([0.9] * 100, who="same"), contender([0.91] * 100)])
    for strip in found.strips:
        assert all(strip.line_y < dot.y < strip.bottom_y + 3 for dot in strip.dots)


def test_ridge_has_a_line_for_each_effective_rate_the_prescribed_last() -> None:
    cells, answer = documents(study_spec())
    found = ridge_plot(answer, cells)
    assert found is not None
    assert [diagonal.prescribed for diagonal in found.diagonals] == [False] * (len(found.diagonals) - 1) + [True]
    assert [len(diagonal.spots) for diagonal in found.diagonals][-1] == 3
    assert "the strong one is the prescribed point's" in found.caption
    xs = [spot.x for spot in found.diagonals[-1].spots]
    assert xs == sorted(xs), "the momentum grows to the right"
    assert found.near_height > 0


def test_ridge_needs_two_cells_of_one_rate() -> None:
    cells, answer = documents(
        study_spec(grid={"learning_rate": {"values": [0.01]}, "momentum": {"values": [0.9]}}, references=[])
    )
    answer["ridge"]["diagonals"] = []
    assert ridge_plot(answer, cells) is None
    assert ridge_plot(answer | {"ridge": None}, cells) is None


def test_estimates_stand_side_by_side_with_the_margin() -> None:
    _, answer = documents(study_spec())
    found = estimates(answer)
    assert found is not None
    names = [bar.name for bar in found.bars]
    assert names == ["as it stands (biased upwards)", "cross-fitted", "95 % interval"]
    biased, fair, interval = found.bars
    assert (biased.hollow, fair.hollow, interval.strong) == (True, False, True)
    assert all("6 paired replicates" in bar.meaning for bar in found.bars)
    assert interval.ends is not None
    assert interval.ends[0] <= biased.point <= interval.ends[1]  # type: ignore[operator]
    assert found.zero < found.margin
    assert found.margin_text == "margin 0.10"


def test_interval_without_upper_limit_is_open() -> None:
    _, answer = documents(study_spec())
    answer["regret"]["high"] = None
    found = estimates(answer)
    assert found is not None
    assert found.bars[2].open
    assert found.bars[2].value.endswith("to no upper limit")
    assert found.bars[2].ends[1] == found.frame.right  # type: ignore[index]


def test_level_of_the_limits_is_that_of_the_look() -> None:
    _, answer = documents(study_spec())
    found = estimates(answer | {"level": 0.975})
    assert found is not None
    assert found.bars[2].name == "97.5 % interval"


def test_without_a_complete_column_there_is_nothing_to_draw() -> None:
    _, answer = documents(study_spec())
    answer["regret"] = dict.fromkeys(answer["regret"])
    assert estimates(answer) is None


# --- the table and the sentences


def test_rows_say_who_how_much_and_of_how_many() -> None:
    cells, answer = documents(study_spec(), diverged=frozenset({0}))
    prescribed, best, matlab, plain = rows(answer)
    assert (prescribed.who, prescribed.note, prescribed.difference.text) == ("golden", "prescribed", "–")
    assert (best.who, best.note) == ("best cell", "")
    assert (matlab.who, matlab.number, plain.number) == ("matlab", "1", "2")
    assert prescribed.mean.text == f"{100 * cells[0]['mean']:.2f} %"
    assert "6 trainings" in prescribed.mean.meaning
    assert (prescribed.diverged.text, prescribed.rank) == ("1", "9")
    assert "95 % limits of the rate" in prescribed.diverged.meaning
    assert re.fullmatch(r"[+−]\d+\.\d\d \([+−]\d+\.\d\d to [+−]\d+\.\d\d\)", plain.difference.text)


def test_prescribed_point_of_ones_own_is_not_named_twice() -> None:
    _, answer = documents(study_spec(prescribed={"learning_rate": 0.02, "momentum": 0.8}))
    assert (rows(answer)[0].who, rows(answer)[0].note) == ("prescribed", "")


def test_ridge_and_surface_in_words() -> None:
    _, answer = documents(study_spec())
    said = ridge_sentence(answer)
    assert "effective learning rate (0.126) the momentum was varied from 0.748 to 0.937 in 3 cells" in said
    assert "(p = " in said
    names = [name for name, _ in surface_facts(answer)]
    assert names[0].startswith("Highest point of a fitted surface")
    assert ridge_sentence(answer | {"ridge": None}) == ""
    assert surface_facts(answer | {"surface": None}) == ()


def test_figure_bounds_hold_every_shape() -> None:
    found, _, _ = drawn(study_spec())
    frame = found.frame
    for mark in found.marks:
        assert frame.left <= mark.at_x <= frame.right
        assert frame.top <= mark.at_y <= frame.bottom
