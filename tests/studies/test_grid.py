"""Cells: the prescribed point, the grid around it, the references; equal pairs are one cell."""

import itertools
import math
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from studies import golden
from studies.catalog import presets
from studies.fields import SpecError
from studies.grid import Cell, cells, learning_rates, momenta, shipped_reference
from studies.parts import FactorAxis, LearningRateValues, MomentumValues, Point
from studies.spec import StudySpec


def study(**changes: Any) -> StudySpec:
    return StudySpec.from_json({"dataset": "rotated-digits", "loss": "dual-process"} | changes)


def at(learning_rate: float, momentum: float) -> dict[str, float]:
    return {"learning_rate": learning_rate, "momentum": momentum}


def labelled(grid: tuple[Cell, ...], label: str) -> Cell:
    (found,) = [cell for cell in grid if label in cell.labels]
    return found


ONE = {"factor": 2, "steps": 0}
"""An axis of the prescribed value alone."""


# --- order and labels


def test_the_prescribed_point_is_cell_0_and_stands_in_the_grid() -> None:
    grid = cells(study())
    assert [cell.index for cell in grid] == list(range(len(grid)))
    assert grid[0].labels == ("golden",)
    assert (grid[0].learning_rate, grid[0].momentum) == (golden.LEARNING_RATE, golden.MOMENTUM)
    assert grid[0].in_grid
    assert sum(cell.in_grid for cell in grid) == 49
    assert len(grid) == 54


def test_grid_points_ascend_and_references_come_last() -> None:
    grid = cells(study())
    points = [(cell.learning_rate, cell.momentum) for cell in grid if cell.in_grid][1:]
    assert points == sorted(points)
    assert [cell.labels for cell in grid[-5:]] == [
        ("matlab",),
        ("pytorch",),
        ("plain",),
        ("same-effective-rate",),
        ("no-momentum",),
    ]
    assert not any(cell.in_grid for cell in grid[-5:])


def test_a_point_of_the_users_own_is_called_prescribed() -> None:
    grid = cells(study(prescribed=at(0.3, 0.8)))
    assert (grid[0].labels, grid[0].learning_rate, grid[0].momentum) == (("prescribed",), 0.3, 0.8)


def test_a_prescribed_point_off_a_grid_of_values_is_a_cell_of_its_own() -> None:
    axes = {"learning_rate": {"values": [0.1, 0.2]}, "momentum": {"values": [0, 0.5]}}
    grid = cells(study(prescribed=at(0.3, 0.5), grid=axes, references=[]))
    assert len(grid) == 5
    assert not grid[0].in_grid
    assert all(cell.in_grid and cell.labels == () for cell in grid[1:])


def test_the_five_references_have_their_values() -> None:
    grid = cells(study())
    found = {cell.labels[0]: (cell.learning_rate, cell.momentum) for cell in grid[-5:]}
    assert found == {
        "matlab": (0.01, 0.9),
        "pytorch": (0.1, 0.9),
        "plain": (0.01, 0.0),
        "same-effective-rate": (pytest.approx(1 - golden.MOMENTUM, rel=1e-12), 0.0),
        "no-momentum": (golden.LEARNING_RATE, 0.0),
    }


def test_references_follow_the_users_own_point() -> None:
    point = Point(0.3, 0.25)
    assert shipped_reference("same-effective-rate", point).learning_rate == pytest.approx(0.4)
    assert shipped_reference("same-effective-rate", point).momentum == 0
    assert shipped_reference("no-momentum", point) == Point(0.3, 0)
    assert shipped_reference("matlab", point) == Point(0.01, 0.9)


# --- equal pairs


def test_a_prescribed_point_that_is_matlabs_is_one_cell_with_both_labels() -> None:
    grid = cells(study(prescribed=at(0.01, 0.9)))
    assert grid[0].labels == ("prescribed", "matlab")
    assert grid[0].in_grid
    assert [cell.labels for cell in grid[49:]] == [("pytorch",), ("plain", "no-momentum"), ("same-effective-rate",)]


def test_a_reference_that_rounding_moved_off_a_grid_point_is_that_point() -> None:
    # 0.99 with factor 10 reaches 0.8999999999999999, which is matlab's 0.9.
    grid = cells(study(prescribed=at(0.01, 0.99), grid={"learning_rate": ONE, "momentum": {"factor": 10, "steps": 1}}))
    assert labelled(grid, "matlab").in_grid
    assert math.isclose(labelled(grid, "matlab").momentum, 0.9)


def test_pairs_that_differ_in_the_tenth_digit_are_two_cells() -> None:
    references = [{"name": "near", **at(0.01 * (1 + 1e-10), 0.9)}, {"name": "same", **at(0.01 * (1 + 1e-15), 0.9)}]
    grid = cells(study(prescribed=at(0.01, 0.9), references=references))
    assert grid[0].labels == ("prescribed", "same")
    assert labelled(grid, "near").index > 0


# --- axes


@given(
    learning_rate=st.floats(1e-6, 10),
    momentum=st.floats(0, 0.999),
    factor=st.floats(1.01, 3),
    steps=st.integers(0, 5),
)
def test_one_factor_puts_whole_diagonals_on_one_effective_rate(
    learning_rate: float, momentum: float, factor: float, steps: int
) -> None:
    assume((1 - momentum) * factor**steps <= 1)
    axis = FactorAxis(factor, steps)
    rates, moments = learning_rates(axis, learning_rate), momenta(axis, momentum)
    diagonals = defaultdict(list)
    for i, rate in enumerate(rates):
        for j, moment in enumerate(moments):
            diagonals[i + j].append(rate / (1 - moment))
    assert len(diagonals) == 4 * steps + 1
    for k, effective in diagonals.items():
        wanted = learning_rate / (1 - momentum) * factor ** (k - 2 * steps)
        assert effective == pytest.approx([wanted] * len(effective), rel=1e-12)


@pytest.mark.parametrize("name", ["golden-grid", "paper-protocol"])
def test_the_presets_diagonals_are_exact(name: str) -> None:
    grid = [cell for cell in cells(presets()[name].spec) if cell.in_grid]
    effective = sorted(cell.effective_learning_rate for cell in grid)
    side = math.isqrt(len(grid))
    steps = [b / a for a, b in itertools.pairwise(effective) if b / a > 1 + 1e-12]
    assert len(steps) == 2 * side - 2
    assert steps == pytest.approx([presets()[name].spec.grid.momentum.factor] * len(steps), rel=1e-12)  # type: ignore[union-attr]


@given(centre=st.floats(1e-3, 1), factor=st.floats(1.01, 3), steps=st.integers(0, 5))
def test_learning_rates_are_a_geometric_row_around_the_centre(centre: float, factor: float, steps: int) -> None:
    rates = learning_rates(FactorAxis(factor, steps), centre)
    assert rates[steps] == centre
    assert list(rates) == sorted(set(rates))
    assert rates == pytest.approx([centre * factor**k for k in range(-steps, steps + 1)], rel=1e-12)


@given(centre=st.floats(0.5, 0.999), factor=st.floats(1.01, 1.14), steps=st.integers(0, 5))
def test_momenta_scale_one_minus_momentum_around_the_centre(centre: float, factor: float, steps: int) -> None:
    found = momenta(FactorAxis(factor, steps), centre)
    assert found[steps] == centre
    assert list(found) == sorted(set(found))
    assert all(0 <= momentum < 1 for momentum in found)
    wanted = [(1 - centre) * factor**k for k in range(steps, -steps - 1, -1)]
    assert [1 - momentum for momentum in found] == pytest.approx(wanted, rel=1e-11)


def test_values_are_taken_as_they_are_in_ascending_order() -> None:
    assert learning_rates(LearningRateValues((0.3, 0.1)), 7) == (0.1, 0.3)
    assert momenta(MomentumValues((0.5, 0)), 0.9) == (0, 0.5)
    axes = {"learning_rate": {"values": [0.3, 0.1]}, "momentum": {"factor": 2, "steps": 1}}
    grid = cells(study(prescribed=at(0.1, 0.75), grid=axes, references=[]))
    assert [(cell.learning_rate, cell.momentum) for cell in grid] == [
        (0.1, 0.75),
        (0.1, 0.5),
        (0.1, 0.875),
        (0.3, 0.5),
        (0.3, 0.75),
        (0.3, 0.875),
    ]


@pytest.mark.parametrize(("centre", "factor", "steps"), [(0.99, 10, 2), (0.999, 10, 3), (0.9, 10, 1), (0.75, 2, 2)])
def test_a_momentum_axis_may_reach_zero_and_then_reaches_exactly_zero(centre: float, factor: float, steps: int) -> None:
    assert momenta(FactorAxis(factor, steps), centre)[0] == 0.0


@pytest.mark.parametrize(
    ("centre", "factor", "steps", "words"),
    [
        (0.5, 2.1, 1, r"must stay in \[0, 1\); factor 2.1 and 1 steps reach -0.05"),
        (0.874, 1.6, 5, r"must stay in \[0, 1\)"),
        (0.0, 1.0001, 1, r"must stay in \[0, 1\)"),
        (0.874, 1000, 999, r"must stay in \[0, 1\)"),
        (1 - 1e-11, 50, 1, r"must stay in \[0, 1\); the highest value rounds to 1"),
    ],
)
def test_a_momentum_axis_that_leaves_its_range_is_named(centre: float, factor: float, steps: int, words: str) -> None:
    axis = {"factor": factor, "steps": steps}
    with pytest.raises(SpecError, match=words) as caught:
        cells(study(prescribed=at(0.1, centre), grid={"momentum": axis, "learning_rate": ONE}))
    assert [problem.field for problem in caught.value.problems] == ["grid.momentum"]


@pytest.mark.parametrize(("centre", "factor", "steps"), [(1e6, 1.1, 1), (1, 1000, 3), (1e-29, 10, 2), (1, 1000, 999)])
def test_a_learning_rate_axis_that_leaves_its_range_is_named(centre: float, factor: float, steps: int) -> None:
    axis = {"factor": factor, "steps": steps}
    with pytest.raises(SpecError, match=r"must stay in \[1e-30, 1e\+06\]") as caught:
        cells(study(prescribed=at(centre, 0), grid={"learning_rate": axis, "momentum": ONE}))
    assert [problem.field for problem in caught.value.problems] == ["grid.learning_rate"]


def test_a_reference_that_the_prescribed_point_pushes_out_of_range_is_named() -> None:
    point = at(1000, 0.9999)
    axes = {"learning_rate": ONE, "momentum": ONE}
    with pytest.raises(SpecError, match="same-effective-rate must be at most 1e\\+06") as caught:
        cells(study(prescribed=point, grid=axes))
    assert [problem.field for problem in caught.value.problems] == ["references"]
    assert len(cells(study(prescribed=point, grid=axes, references=["matlab"]))) == 2


# --- sizes


def test_references_may_not_push_the_study_past_2000_cells() -> None:
    axes = {
        "learning_rate": {"values": [0.001 * k for k in range(1, 41)]},
        "momentum": {"values": [0.01 * k for k in range(50)]},
    }
    # Five references, of which `plain` is a grid point, and the prescribed point.
    with pytest.raises(SpecError, match=r"^grid: must have at most 2,000 cells with its references, not 2,005$"):
        cells(study(grid=axes, runs=1, folds_used=1))


def test_the_golden_grid_is_7_by_7_with_references() -> None:
    grid = cells(presets()["golden-grid"].spec)
    assert sum(cell.in_grid for cell in grid) == 49
    assert len(grid) == 49 + 5
    assert grid[0].labels == ("golden",)


def test_the_papers_protocol_makes_12100_trainings() -> None:
    preset = presets()["paper-protocol"].spec
    grid = cells(preset)
    assert len(grid) == 121
    assert all(cell.in_grid for cell in grid)
    assert len(grid) * preset.replicates_per_cell == 12_100
