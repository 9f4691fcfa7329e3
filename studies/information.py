"""Entropy, divergence, cross-entropy and the energies of the paper, in nats, on plain floats.

Conventions: 0 ln 0 = 0; a divergence or a cross-entropy is +inf where the model rules out what happens (q = 0
< p). A distribution is a sequence of probabilities in [0, 1] whose sum is 1 within `SUM_TOLERANCE`.

Source: S. Jaeger, The Golden Ratio in Machine Learning, IEEE AIPR 2021, sections III and V.
"""

import math
from collections.abc import Sequence

SUM_TOLERANCE = 1e-9
"""How far a sum of probabilities may lie from 1: the rounding of some ten million float64 summands."""


def entropy(p: Sequence[float]) -> float:
    """Shannon entropy H(p) = -sum p ln p.

    Args:
        p: distribution, [C].

    Returns:
        Entropy in nats, in [0, ln C].

    Raises:
        ValueError: p is not a distribution.

    Source: eq. 7.
    """
    _check_distribution("p", p)
    return math.fsum(-value * math.log(value) for value in p if value > 0)


def binary_entropy(p: float) -> float:
    """Shannon entropy of the two outcomes p and 1 - p.

    Args:
        p: probability in [0, 1].

    Returns:
        Entropy in nats, in [0, ln 2]; greatest at p = 1/2.

    Raises:
        ValueError: p is not a probability.

    Source: eq. 8.
    """
    _check_probability("p", p)
    if p in (0, 1):
        return 0.0
    return -p * math.log(p) - (1 - p) * math.log1p(-p)


def kl_divergence(p: Sequence[float], q: Sequence[float]) -> float:
    """Kullback-Leibler divergence D(p, q) = -sum p ln(q/p).

    Args:
        p: distribution, [C].
        q: distribution, [C].

    Returns:
        Divergence in nats; +inf where q = 0 < p. Negative only by as much as the two sums differ.

    Raises:
        ValueError: p or q is not a distribution, or their lengths differ.

    Source: eq. 5.
    """
    _check_pair(p, q)
    if any(b == 0 < a for a, b in zip(p, q, strict=True)):
        return math.inf
    # Two logarithms, not one of the ratio: p/q overflows where q is subnormal.
    return math.fsum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True) if a > 0)


def complement_divergence(p: float) -> float:
    """Kullback-Leibler divergence from (p, 1 - p) to its complement (1 - p, p).

    Args:
        p: probability in [0, 1].

    Returns:
        Divergence in nats; 0 at p = 1/2, +inf at 0 and at 1.

    Raises:
        ValueError: p is not a probability.

    Source: eq. 6.
    """
    _check_probability("p", p)
    if p in (0, 1):
        return math.inf
    return (1 - 2 * p) * (math.log1p(-p) - math.log(p))


def cross_entropy(p: Sequence[float], q: Sequence[float]) -> float:
    """Cross-entropy H(p, q) = -sum p ln q, which is D(p, q) + H(p).

    Args:
        p: distribution, [C].
        q: distribution, [C].

    Returns:
        Cross-entropy in nats; +inf where q = 0 < p.

    Raises:
        ValueError: p or q is not a distribution, or their lengths differ.

    Source: eq. 3; its decomposition is eq. 4.
    """
    _check_pair(p, q)
    if any(b == 0 < a for a, b in zip(p, q, strict=True)):
        return math.inf
    return math.fsum(-a * math.log(b) for a, b in zip(p, q, strict=True) if a > 0)


def energy(p: float) -> float:
    """The information difference E = -p ln((1 - p)/p), from which the paper's section V starts.

    Its arrows "<=>" to eq. 19-22 are not all algebraic steps. Checked for p in ]0, 1[:

    - 18 to 19, -p^2 ln(1 - p): a coupling, not an equality. The two agree at p = 0.6963... only; at the
      golden ratio eq. 19 is 2 p1 = 1.236... times eq. 18. Eq. 18 is negative below p = 1/2, eq. 19 never.
    - 18 to 20, -p ln(1 - p^2): equal at the golden ratio only, where eq. 9 and 13 make both -p ln p.
    - 19 to 20: equal nowhere, eq. 19 is the greater. At the golden ratio both are -x ln x, with x = p^2 in
      eq. 19 and x = p in eq. 20, and with the logarithm's x written as its complement by eq. 13: a
      substitution of p^2 by p.
    - 20 to 21: an identity for all p.
    - 21 to 22: the re-parametrisation p = sin(angle), exact.

    Args:
        p: probability in [0, 1].

    Returns:
        Energy in nats; 0 at 0 (the limit) and at 1/2, +inf at 1.

    Raises:
        ValueError: p is not a probability.

    Source: eq. 18.
    """
    _check_probability("p", p)
    if p == 0:
        return 0.0
    if p == 1:
        return math.inf
    return -p * (math.log1p(-p) - math.log(p))


def coupled_energy(p: float) -> float:
    """The energy after coupling, E = -p ln(1 - p^2) = -2 p ln sqrt(1 - p^2).

    Args:
        p: probability in [0, 1].

    Returns:
        Energy in nats; 0 at 0, +inf at 1. Equal to `energy` at the golden ratio and nowhere else in ]0, 1[.

    Raises:
        ValueError: p is not a probability.

    Source: eq. 20, 21.
    """
    _check_probability("p", p)
    if p == 1:
        return math.inf
    return -p * (math.log1p(-p) + math.log1p(p))


def energy_at_angle(angle: float) -> float:
    """The coupled energy on the unit circle, E = -2 sin(angle) ln cos(angle).

    Args:
        angle: in radians, in [0, pi/2].

    Returns:
        Energy in nats, `coupled_energy(sin(angle))`; 0 at 0, +inf at the float nearest to pi/2.

    Raises:
        ValueError: the angle lies outside its range.

    Source: eq. 22.
    """
    if not 0 <= angle <= math.pi / 2:
        raise ValueError(f"an angle must lie in [0, pi/2], got {angle}")
    if angle == math.pi / 2:
        return math.inf
    return -2 * math.sin(angle) * math.log(math.cos(angle))


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"a probability must lie in [0, 1], got {name} = {value}")


def _check_distribution(name: str, values: Sequence[float]) -> None:
    if len(values) == 0:
        raise ValueError(f"a distribution needs at least one probability, got none in {name}")
    for index, value in enumerate(values):
        _check_probability(f"{name}[{index}]", value)
    total = math.fsum(values)
    if abs(total - 1) > SUM_TOLERANCE:
        raise ValueError(f"a distribution must sum to 1 within {SUM_TOLERANCE}, got {total} for {name}")


def _check_pair(p: Sequence[float], q: Sequence[float]) -> None:
    _check_distribution("p", p)
    _check_distribution("q", q)
    if len(p) != len(q):
        raise ValueError(f"two distributions must have equal lengths, got {len(p)} and {len(q)}")
