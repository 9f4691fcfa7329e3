"""The geometry and the numbers behind the pictures."""

import pytest
from service_data import lease, opened, result, size, take_in

from service.curves import bands
from service.dispatch.leader import Leadership
from service.plots.lattice import lattice
from service.plots.scene import Scene, contenders
from service.plots.style import rate_marks, shortfall_marks, shortfall_norm
from service.store.engine import Store
from studies.results import Curve, Outcome


def grid(rates: list[float], momenta: list[float]) -> list[dict[str, object]]:
    """Cell documents of a grid, the first rate with every momentum first."""
    points = [(rate, momentum) for rate in rates for momentum in momenta]
    return [
        {"cell": index, "learning_rate": rate, "momentum": momentum, "in_grid": True}
        for index, (rate, momentum) in enumerate(points)
    ]


def test_fields_meet_half_way_on_logarithmic_axes() -> None:
    found = lattice(grid([0.01, 0.04], [0.0, 0.9]))
    assert found.rate_edges == pytest.approx((0.005, 0.02, 0.08))
    assert found.remainders == pytest.approx((0.1, 1.0))
    assert found.remainder_edges == pytest.approx((0.1 / 10**0.5, 10**-0.5, 10**0.5))
    assert found.cells == ((1, 3), (0, 2))  # the highest momentum first


def test_lone_value_has_a_field_too() -> None:
    found = lattice(grid([0.01], [0.5]))
    assert found.rate_edges == pytest.approx((0.008, 0.0125))


def test_outline_is_the_border_of_the_members() -> None:
    cells = grid([0.01, 0.1, 1.0], [0.0, 0.9, 0.99])
    found = lattice(cells)
    corner = found.outline({0})
    assert len(corner) == 4
    assert len(found.outline({0, 3})) == 6, "no line between neighbours"
    assert len(found.outline({4})) == 4
    assert len(found.outline(set(range(9)))) == 12
    assert found.outline(set()) == []
    assert found.outline({99}) == [], "a reference off the grid has no field"


def test_grid_with_a_hole_is_refused() -> None:
    with pytest.raises(ValueError, match="every learning rate with every momentum, got 3 of 2 x 2"):
        lattice(grid([0.01, 0.1], [0.0, 0.9])[:3])


def test_shortfalls_are_linear_up_to_the_margin() -> None:
    norm = shortfall_norm(0.5, 50.0)
    assert norm(0.0) == 0
    assert norm(50.0) == 1
    assert norm(0.25) == pytest.approx(norm(0.5) / 2)
    assert norm(5.0) - norm(0.5) == pytest.approx(norm(50.0) - norm(5.0), rel=1e-6), "a decade is a decade beyond it"


def test_marks_lie_on_the_scale() -> None:
    assert shortfall_marks(0.5, 12.0) == [0.0, 0.5, 1, 3, 10]
    assert rate_marks(0.004, 0.06) == pytest.approx([0.005, 0.01, 0.02, 0.05])
    assert rate_marks(1e-4, 1.0) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])


def test_bands_hold_the_middle_of_the_replicates(store: Store, leadership: Leadership) -> None:
    study_id = opened(store, leadership, folds_used=1, runs=3)
    accuracies = {0: (0.5, 0.9), 1: (0.6, 0.8), 2: (0.7, None)}
    while True:
        try:
            found = lease(leadership, study_id, size(1))
        except AssertionError:
            break
        member = found.members[0]
        own = {}
        if member.cell == 0:
            first, last = accuracies[member.run]
            own = {"curve": Curve((first, last), (1.0, last and 0.5), (2.0, last and 1.0 + member.run))}
            if last is None:
                own |= {"outcome": Outcome.DIVERGED, "accuracy": 0.1, "loss": None, "train_loss": None, "correct": None}
        take_in(leadership, found, [result(*member.key, **own)])
    with store.read() as session:
        found_bands = bands(session, study_id, [0, 77])
    assert set(found_bands) == {0}
    band = found_bands[0]
    assert (band.n, band.diverged) == (3, 1)
    assert band.accuracy == pytest.approx((0.6, (0.9 + 0.8 + 0.1) / 3)), "diverged counts with its documented score"
    assert (band.accuracy_low[0], band.accuracy_high[0]) == pytest.approx((0.52, 0.68))
    assert band.train_loss == pytest.approx((2.0, 1.5)), "of those that had not diverged"


def test_contenders_are_in_order() -> None:
    comparison = {
        "prescribed": {"cell": 0, "label": "golden"},
        "best": {"cell": 3},
        "references": [{"cell": 3, "label": "matlab"}],
    }
    assert [(one.cell, one.name) for one in contenders(comparison)] == [
        (0, "golden (prescribed)"),
        (3, "best cell"),
        (3, "matlab"),
    ]
    assert len(contenders(comparison | {"best": None, "references": []})) == 1


def test_scene_refuses_cells_that_are_not_all() -> None:
    with pytest.raises(ValueError, match="in order"):
        Scene({}, {}, [{"cell": 1}], {})
    with pytest.raises(ValueError, match="must not be empty"):
        Scene({}, {}, [], {})
