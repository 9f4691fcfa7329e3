"""Cells of a study: grid points around the prescribed one, the prescribed point itself and the references."""

from dataclasses import dataclass

from studies import golden
from studies.fields import Problem, SpecError
from studies.parts import LEARNING_RATE, MAX_CELLS, AxisValues, FactorAxis, Point
from studies.spec import StudySpec

SAME = 12
"""Significant digits to which two pairs have to agree to be one cell."""
LEAST_LEARNING_RATE = 1e-30
"""The least that an axis may reach; far below it a float32 weight cannot move."""
ROUNDING = 1e-12
"""How far from zero a momentum may land by rounding alone."""


@dataclass(frozen=True)
class Cell:
    """One (learning rate, momentum) of a study."""

    index: int
    """Position in the study; the prescribed point is cell 0."""
    learning_rate: float
    momentum: float
    labels: tuple[str, ...]
    """Every name this pair goes by: `golden` or `prescribed`, and the references that equal it."""
    in_grid: bool
    """Whether it is a point of the grid; the prescribed point and references may lie outside."""

    @property
    def effective_learning_rate(self) -> float:
        """learning rate / (1 - momentum): the step along a gradient that stays."""
        return golden.effective_learning_rate(self.learning_rate, self.momentum)


def prescribed(spec: StudySpec) -> Point:
    """The prescribed point: the user's own, or the one derived from the golden ratio."""
    if isinstance(spec.prescribed, Point):
        return spec.prescribed
    return Point(golden.LEARNING_RATE, golden.MOMENTUM)


def learning_rates(axis: FactorAxis | AxisValues, centre: float) -> tuple[float, ...]:
    """Learning rates in ascending order, each `factor` times the one before, with `centre` in the middle.

    Raises:
        SpecError: a value leaves [1e-30, 1e6].
    """
    if not isinstance(axis, FactorAxis):
        return axis.values
    highest = _power(axis, axis.steps) * centre
    lowest = centre / _power(axis, axis.steps)
    if not (highest <= LEARNING_RATE.maximum and lowest >= LEAST_LEARNING_RATE):
        bounds = f"[{LEAST_LEARNING_RATE:g}, {LEARNING_RATE.maximum:g}]"
        reached = f"factor {axis.factor:g} and {axis.steps} steps reach {lowest:.4g} and {highest:.4g}"
        raise SpecError(Problem("grid.learning_rate", f"must stay in {bounds}; {reached}"))
    return tuple(centre * axis.factor**k for k in range(-axis.steps, axis.steps + 1))


def momenta(axis: FactorAxis | AxisValues, centre: float) -> tuple[float, ...]:
    """Momenta in ascending order; 1 - momentum is scaled by powers of `factor` around 1 - centre.

    Raises:
        SpecError: a momentum leaves [0, 1).
    """
    if not isinstance(axis, FactorAxis):
        return axis.values
    least = 1 - (1 - centre) * _power(axis, axis.steps)
    if least < -ROUNDING:
        rule = f"must stay in [0, 1); factor {axis.factor:g} and {axis.steps} steps reach {least:.4g}"
        raise SpecError(Problem("grid.momentum", rule))
    if (1 - centre) / _power(axis, axis.steps) < ROUNDING:
        raise SpecError(Problem("grid.momentum", "must stay in [0, 1); the highest value rounds to 1"))
    exponents = range(axis.steps, -axis.steps - 1, -1)
    scaled = (centre if k == 0 else 1 - (1 - centre) * axis.factor**k for k in exponents)
    return tuple(0.0 if abs(momentum) < ROUNDING else momentum for momentum in scaled)


def cells(spec: StudySpec) -> tuple[Cell, ...]:
    """Every cell of the study, the prescribed point first, then the grid, then the references.

    Pairs that agree to twelve digits are one cell with several labels.

    Raises:
        SpecError: an axis or a reference leaves its range, or there are more than 2,000 cells.
    """
    point = prescribed(spec)
    pairs: dict[tuple[str, str], tuple[float, float]] = {}
    labels: dict[tuple[str, str], list[str]] = {}
    in_grid: set[tuple[str, str]] = set()

    def enter(learning_rate: float, momentum: float, label: str | None) -> None:
        key = (f"{learning_rate:.{SAME}g}", f"{1 - momentum:.{SAME}g}")
        pairs.setdefault(key, (learning_rate, momentum))
        labels.setdefault(key, [])
        if label is None:
            in_grid.add(key)
        elif label not in labels[key]:
            labels[key].append(label)

    enter(point.learning_rate, point.momentum, "golden" if spec.prescribed == "golden" else "prescribed")
    for learning_rate in learning_rates(spec.grid.learning_rate, point.learning_rate):
        for momentum in momenta(spec.grid.momentum, point.momentum):
            enter(learning_rate, momentum, None)
    for reference in spec.references:
        if isinstance(reference, str):
            at = shipped_reference(reference, point)
            enter(at.learning_rate, at.momentum, reference)
        else:
            enter(reference.learning_rate, reference.momentum, reference.name)
    if len(pairs) > MAX_CELLS:
        rule = f"must have at most {MAX_CELLS:,} cells with its references, not {len(pairs):,}"
        raise SpecError(Problem("grid", rule))
    return tuple(
        Cell(index, *pair, labels=tuple(labels[key]), in_grid=key in in_grid)
        for index, (key, pair) in enumerate(pairs.items())
    )


def shipped_reference(name: str, point: Point) -> Point:
    """A shipped reference beside the prescribed point (science: controls for the effective learning rate).

    `matlab` is trainingOptions('sgdm'), `pytorch` the setting of its ImageNet example, `plain` MATLAB's rate without
    momentum; `same-effective-rate` and `no-momentum` switch the prescribed momentum off, with and without correcting
    the rate for it.

    Raises:
        SpecError: the effective rate is beyond what a learning rate may be.
    """
    effective = golden.effective_learning_rate(point.learning_rate, point.momentum)
    learning_rate, momentum = {
        "matlab": (0.01, 0.9),
        "pytorch": (0.1, 0.9),
        "plain": (0.01, 0.0),
        "same-effective-rate": (effective, 0.0),
        "no-momentum": (point.learning_rate, 0.0),
    }[name]
    if learning_rate > LEARNING_RATE.maximum:
        rule = f"{name} must be at most {LEARNING_RATE.maximum:g}; the prescribed point makes it {learning_rate:.4g}"
        raise SpecError(Problem("references", rule))
    return Point(learning_rate, momentum)


def _power(axis: FactorAxis, steps: int) -> float:
    try:
        return float(axis.factor**steps)
    except OverflowError:
        return float("inf")
