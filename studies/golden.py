"""The learning rate and momentum that the paper derives, with every step of the derivation.

Nothing here is typed as a decimal: the two quadratic equations are given by their coefficients and everything
else is computed. Equations 9 to 17 are algebra. Equations 28 and 29 are the paper's argument, not a theorem:
it identifies the momentum with the factor that takes the equilibrium multiplier sin(pi/4) to the golden
ratio, and the learning rate with the square of that factor's complement.

Source: S. Jaeger, The Golden Ratio in Machine Learning, IEEE AIPR 2021, eq. 9-17, 28, 29.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One equation of the derivation and the number that it yields.

    Args:
        equation: its number in the paper.
        symbol: the name of the number, in plain text.
        statement: the equation in plain text.
        value: the number, finite.

    Raises:
        ValueError: the number is not finite, or a text is empty.
    """

    equation: int
    symbol: str
    statement: str
    value: float

    def __post_init__(self) -> None:
        if not (self.symbol and self.statement):
            raise ValueError(f"a step needs a symbol and a statement, got {self.symbol!r} and {self.statement!r}")
        if not math.isfinite(self.value):
            raise ValueError(f"the value of a step must be finite, got {self.value} in equation {self.equation}")


def effective_learning_rate(learning_rate: float, momentum: float) -> float:
    """The step that a constant gradient settles at: learning_rate / (1 - momentum).

    Args:
        learning_rate: above 0, finite.
        momentum: in [0, 1).

    Returns:
        The limit of the weight change per unit of gradient; infinite where it exceeds the largest float.

    Raises:
        ValueError: an argument lies outside its range.

    Source: the fixed point of eq. 27 under a constant gradient; the name is ours.
    """
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be above 0 and finite, got {learning_rate}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must lie in [0, 1), got {momentum}")
    return learning_rate / (1 - momentum)


def _discriminant(linear: int, constant: int) -> int:
    """The discriminant of p^2 + linear p + constant."""
    return linear * linear - 4 * constant


_DISCRIMINANT = _discriminant(linear=1, constant=-1)
_DISCRIMINANT_MIRRORED = _discriminant(linear=-1, constant=-1)

GOLDEN_RATIO = (math.sqrt(_DISCRIMINANT) - 1) / 2
"""p1, the positive root of p^2 + p - 1 (eq. 11)."""

GOLDEN_RATIO_NEGATIVE = (-math.sqrt(_DISCRIMINANT) - 1) / 2
"""p2, the negative root of p^2 + p - 1 (eq. 12)."""

MOMENTUM = math.sqrt(2) * GOLDEN_RATIO
"""alpha (eq. 28)."""

LEARNING_RATE = (1 - MOMENTUM) ** 2
"""eta (eq. 29)."""

EFFECTIVE_LEARNING_RATE = effective_learning_rate(LEARNING_RATE, MOMENTUM)
"""eta / (1 - alpha), which by eq. 29 is 1 - alpha."""

DERIVATION: tuple[Step, ...] = (
    Step(
        9,
        "p",
        "p = (1 - p)/p at p = p1: true and measured probability agree",
        (1 - GOLDEN_RATIO) / GOLDEN_RATIO,
    ),
    Step(10, "D", "p^2 + p - 1 = 0, whose discriminant is D", float(_DISCRIMINANT)),
    Step(11, "p1", "p1 = (sqrt(5) - 1)/2", GOLDEN_RATIO),
    Step(12, "p2", "p2 = (-sqrt(5) - 1)/2", GOLDEN_RATIO_NEGATIVE),
    Step(13, "1 - p1", "1 - p = p^2 at p = p1: the complement is the square", GOLDEN_RATIO**2),
    Step(13, "1 - p2", "1 - p = p^2 at p = p2", GOLDEN_RATIO_NEGATIVE**2),
    Step(14, "D", "p^2 - p - 1 = 0 (p replaced by -p), whose discriminant is D", float(_DISCRIMINANT_MIRRORED)),
    Step(15, "-p1", "-p1 solves eq. 14", -GOLDEN_RATIO),
    Step(15, "-p2", "-p2 solves eq. 14", -GOLDEN_RATIO_NEGATIVE),
    Step(16, "1 + p1", "1 - p = -1/p at p = -p1", 1 / GOLDEN_RATIO),
    Step(16, "1 + p2", "1 - p = -1/p at p = -p2", 1 / GOLDEN_RATIO_NEGATIVE),
    Step(17, "p1 + p2", "p1 + p2 = -1", GOLDEN_RATIO + GOLDEN_RATIO_NEGATIVE),
    Step(17, "-p1 - p2", "-p1 - p2 = 1", -GOLDEN_RATIO - GOLDEN_RATIO_NEGATIVE),
    Step(28, "alpha", "alpha = sqrt(2) p1, the momentum", MOMENTUM),
    Step(29, "eta", "eta = (1 - alpha)^2, the learning rate", LEARNING_RATE),
)
"""The derivation in the order of the paper; a value is what its equation yields at the root that is named."""
