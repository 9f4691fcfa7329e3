import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import findroot, mp

from studies import information
from studies.golden import GOLDEN_RATIO

LN2 = math.log(2)

probabilities = st.floats(0, 1)
inner_probabilities = st.floats(1e-6, 1 - 1e-6)


@st.composite
def distributions(draw, size, least=0.0):
    weights = draw(st.lists(st.floats(least, 1), min_size=size, max_size=size).filter(lambda w: sum(w) > 1e-3))
    total = math.fsum(weights)
    return [weight / total for weight in weights]


@st.composite
def pairs(draw, least=0.0):
    size = draw(st.integers(1, 12))
    return draw(distributions(size, least)), draw(distributions(size, least))


def test_entropy_when_known():
    assert math.isclose(information.entropy([0.5, 0.5]), LN2)
    assert math.isclose(information.entropy([0.1] * 10), math.log(10))
    assert information.entropy([0.0, 1.0, 0.0]) == 0.0
    assert math.isclose(information.entropy([0.5, 0.25, 0.25]), 1.5 * LN2)


def test_binary_entropy_when_known():
    assert information.binary_entropy(0.5) == LN2
    assert information.binary_entropy(0) == 0.0
    assert information.binary_entropy(1) == 0.0
    assert math.isclose(information.binary_entropy(1e-20), 1e-20 * (20 * math.log(10) + 1), rel_tol=1e-14)


def test_divergence_when_known():
    assert math.isclose(information.kl_divergence([1.0, 0.0], [0.5, 0.5]), LN2)
    assert math.isclose(information.kl_divergence([0.5, 0.5], [0.25, 0.75]), LN2 - 0.5 * math.log(3))
    assert information.kl_divergence([0.3, 0.7], [0.3, 0.7]) == 0.0
    assert information.kl_divergence([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert information.kl_divergence([1.0, 0.0], [1.0, 0.0]) == 0.0


def test_divergence_when_the_ratio_overflows():
    assert math.isclose(information.kl_divergence([1.0, 0.0], [5e-324, 1.0]), -math.log(5e-324))


def test_complement_divergence_when_known():
    assert information.complement_divergence(0.5) == 0.0
    assert information.complement_divergence(0) == math.inf
    assert information.complement_divergence(1) == math.inf
    assert math.isclose(information.complement_divergence(0.75), 0.5 * math.log(3))


def test_cross_entropy_when_known():
    assert information.cross_entropy([0, 1, 0], [0.25, 0.5, 0.25]) == LN2
    assert information.cross_entropy([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert information.cross_entropy([0.0, 1.0], [0.0, 1.0]) == 0.0


@settings(deadline=None)
@given(pairs(least=1e-6))
def test_cross_entropy_when_split_by_equation_4(pair):
    p, q = pair
    split = information.kl_divergence(p, q) + information.entropy(p)
    assert math.isclose(information.cross_entropy(p, q), split, rel_tol=1e-12, abs_tol=1e-14)


@settings(deadline=None)
@given(pairs())
def test_cross_entropy_when_split_by_equation_4_with_impossible_outcomes(pair):
    p, q = pair
    split = information.kl_divergence(p, q) + information.entropy(p)
    assert math.isclose(information.cross_entropy(p, q), split, rel_tol=1e-12, abs_tol=1e-14)


@settings(deadline=None)
@given(pairs())
def test_divergence_when_bounded_by_gibbs(pair):
    p, q = pair
    assert information.kl_divergence(p, q) >= -information.SUM_TOLERANCE
    assert information.kl_divergence(p, p) == 0.0


@settings(deadline=None)
@given(pairs())
def test_entropy_when_bounded_by_the_number_of_outcomes(pair):
    p, _ = pair
    assert 0 <= information.entropy(p) <= math.log(len(p)) + 1e-12


@settings(deadline=None)
@given(inner_probabilities)
def test_two_outcomes_when_compared_with_the_general_forms(p):
    both, swapped = (p, 1 - p), (1 - p, p)
    assert math.isclose(information.binary_entropy(p), information.entropy(both), rel_tol=1e-9)
    divergence = information.kl_divergence(both, swapped)
    assert math.isclose(information.complement_divergence(p), divergence, rel_tol=1e-9, abs_tol=1e-12)


@settings(deadline=None)
@given(inner_probabilities)
def test_energy_when_computed_with_fifty_digits(p):
    with mp.workdps(50):
        exact = -mp.mpf(p) * mp.log((1 - mp.mpf(p)) / mp.mpf(p))
        coupled = -mp.mpf(p) * mp.log(1 - mp.mpf(p) ** 2)
    assert math.isclose(information.energy(p), exact, rel_tol=1e-12, abs_tol=1e-15)
    assert math.isclose(information.coupled_energy(p), coupled, rel_tol=1e-9, abs_tol=1e-15)


def test_energies_when_at_the_ends():
    assert information.energy(0) == 0.0
    assert information.energy(0.5) == 0.0
    assert information.energy(1) == math.inf
    assert information.coupled_energy(0) == 0.0
    assert information.coupled_energy(1) == math.inf
    assert information.energy_at_angle(0.0) == 0.0
    assert information.energy_at_angle(math.pi / 2) == math.inf


def test_energy_at_angle_when_both_processes_agree():
    assert math.isclose(information.energy_at_angle(math.pi / 4), LN2 / math.sqrt(2))


@settings(deadline=None)
@given(inner_probabilities)
def test_equations_20_to_22_when_they_are_identities(p):
    equation_21 = -p * math.log(math.sqrt(1 - p * p)) * 2
    assert math.isclose(information.coupled_energy(p), equation_21, rel_tol=1e-6, abs_tol=1e-14)
    assert math.isclose(
        information.coupled_energy(p), information.energy_at_angle(math.asin(p)), rel_tol=1e-6, abs_tol=1e-14
    )


@settings(deadline=None)
@given(inner_probabilities)
def test_energy_when_solved_for_the_probability_by_equation_25(p):
    assert math.isclose(1 / (1 + math.exp(-information.energy(p) / p)), p, rel_tol=1e-12)


def equation_19(p):
    return -p * p * math.log(1 - p)


def test_arrow_from_18_to_20_when_it_holds_at_the_golden_ratio_only():
    assert math.isclose(information.energy(GOLDEN_RATIO), information.coupled_energy(GOLDEN_RATIO), rel_tol=1e-14)
    below = (information.energy(p / 1000) < information.coupled_energy(p / 1000) for p in range(1, 619))
    above = (information.energy(p / 1000) > information.coupled_energy(p / 1000) for p in range(619, 1000))
    assert all(below)
    assert all(above)


def test_arrow_from_18_to_19_when_it_fails_at_the_golden_ratio():
    ratio = equation_19(GOLDEN_RATIO) / information.energy(GOLDEN_RATIO)
    assert math.isclose(ratio, 2 * GOLDEN_RATIO, rel_tol=1e-14)
    crossing = float(findroot(lambda p: mp.log((1 - p) / p) - p * mp.log(1 - p), 0.7))
    assert round(crossing, 4) == 0.6963
    assert all(information.energy(p / 1000) < equation_19(p / 1000) for p in range(1, 697))
    assert all(information.energy(p / 1000) > equation_19(p / 1000) for p in range(697, 1000))


@settings(deadline=None)
@given(st.floats(1e-3, 1 - 1e-6))
def test_arrow_from_19_to_20_when_it_fails_everywhere(p):
    assert equation_19(p) > information.coupled_energy(p)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
@pytest.mark.parametrize(
    "function",
    [
        information.binary_entropy,
        information.complement_divergence,
        information.energy,
        information.coupled_energy,
    ],
)
def test_probability_when_out_of_range(function, value):
    with pytest.raises(ValueError, match=rf"probability must lie in \[0, 1\], got p = {value}"):
        function(value)


@pytest.mark.parametrize("function", [information.kl_divergence, information.cross_entropy])
def test_pair_when_lengths_differ(function):
    with pytest.raises(ValueError, match="equal lengths, got 2 and 3"):
        function([0.5, 0.5], [0.25, 0.25, 0.5])


def test_distribution_when_it_does_not_sum_to_one():
    with pytest.raises(ValueError, match=r"must sum to 1 within 1e-09, got 0\.75 for p"):
        information.entropy([0.5, 0.25])
    with pytest.raises(ValueError, match=r"must sum to 1 within 1e-09, got 1\.5 for q"):
        information.kl_divergence([0.5, 0.5], [0.75, 0.75])


def test_distribution_when_it_is_empty():
    with pytest.raises(ValueError, match="at least one probability, got none in p"):
        information.entropy([])


def test_distribution_when_an_entry_is_no_probability():
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got q\[1\] = -0\.5"):
        information.cross_entropy([0.5, 0.5], [1.5 - 0.5, -0.5])


@pytest.mark.parametrize("angle", [-0.1, 1.6, math.nan])
def test_angle_when_out_of_range(angle):
    with pytest.raises(ValueError, match=rf"angle must lie in \[0, pi/2\], got {angle}"):
        information.energy_at_angle(angle)
