import dataclasses
import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from studies import golden


def test_prescribed_point_when_computed_with_fifty_digits():
    with mp.workdps(50):
        p1 = (mp.sqrt(5) - 1) / 2
        alpha = mp.sqrt(2) * p1
        eta = (1 - alpha) ** 2
        assert mp.almosteq(mpf(golden.MOMENTUM), alpha, rel_eps=1e-15)
        assert mp.almosteq(mpf(golden.LEARNING_RATE), eta, rel_eps=1e-14)
        assert mp.almosteq(mpf(golden.EFFECTIVE_LEARNING_RATE), 1 - alpha, rel_eps=1e-14)


def test_prescribed_point_when_rounded_as_in_the_paper():
    assert round(golden.GOLDEN_RATIO, 3) == 0.618
    assert round(golden.GOLDEN_RATIO_NEGATIVE, 3) == -1.618
    assert round(golden.MOMENTUM, 5) == 0.87403
    assert round(golden.LEARNING_RATE, 7) == 0.0158679
    assert round(golden.EFFECTIVE_LEARNING_RATE, 5) == 0.12597


def test_effective_learning_rate_when_eta_is_the_squared_complement():
    assert math.isclose(golden.EFFECTIVE_LEARNING_RATE, 1 - golden.MOMENTUM, rel_tol=1e-15)


@pytest.mark.parametrize("p", [golden.GOLDEN_RATIO, golden.GOLDEN_RATIO_NEGATIVE])
def test_roots_when_put_into_equations_9_to_16(p):
    assert math.isclose(p, (1 - p) / p, rel_tol=1e-15)
    assert math.isclose(p * p + p, 1, rel_tol=1e-15)
    assert math.isclose(1 - p, p * p, rel_tol=1e-15)
    mirrored = -p
    assert math.isclose(mirrored * mirrored - mirrored, 1, rel_tol=1e-15)
    assert math.isclose(1 - mirrored, -1 / mirrored, rel_tol=1e-15)


def test_derivation_when_read_in_order():
    equations = [step.equation for step in golden.DERIVATION]
    assert equations == sorted(equations)
    assert set(equations) == {*range(9, 18), 28, 29}
    keys = [(step.equation, step.symbol) for step in golden.DERIVATION]
    assert len(set(keys)) == len(keys)


KNOWN = {
    (9, "p"): 0.6180339887498949,
    (10, "D"): 5,
    (11, "p1"): 0.6180339887498949,
    (12, "p2"): -1.618033988749895,
    (13, "1 - p1"): 0.3819660112501051,
    (13, "1 - p2"): 2.618033988749895,
    (14, "D"): 5,
    (15, "-p1"): -0.6180339887498949,
    (15, "-p2"): 1.618033988749895,
    (16, "1 + p1"): 1.618033988749895,
    (16, "1 + p2"): -0.6180339887498949,
    (17, "p1 + p2"): -1,
    (17, "-p1 - p2"): 1,
    (28, "alpha"): 0.8740320488976421,
    (29, "eta"): 0.01586792470492605,
}


def test_derivation_when_compared_with_known_values():
    assert {(step.equation, step.symbol) for step in golden.DERIVATION} == set(KNOWN)
    for step in golden.DERIVATION:
        assert math.isclose(step.value, KNOWN[step.equation, step.symbol], rel_tol=1e-13), step


def test_step_when_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        golden.DERIVATION[0].value = 0.0  # type: ignore[misc]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_step_when_its_value_is_not_finite(value):
    with pytest.raises(ValueError, match=rf"must be finite, got {value} in equation 9"):
        golden.Step(9, "p", "p = p", value)


def test_step_when_a_text_is_empty():
    with pytest.raises(ValueError, match="needs a symbol and a statement, got '' and 'p = p'"):
        golden.Step(9, "", "p = p", 1.0)


def test_effective_learning_rate_when_known():
    assert golden.effective_learning_rate(0.01, 0) == 0.01
    assert math.isclose(golden.effective_learning_rate(0.01, 0.9), 0.1)
    assert golden.effective_learning_rate(0.5, 0.5) == 1.0


@settings(deadline=None)
@given(
    learning_rate=st.floats(1e-6, 10),
    momentum=st.floats(0, 0.95),
)
def test_effective_learning_rate_when_a_constant_gradient_is_followed(learning_rate, momentum):
    change = 0.0
    for _ in range(1000):
        change = learning_rate + momentum * change
    assert math.isclose(change, golden.effective_learning_rate(learning_rate, momentum), rel_tol=1e-12)


@pytest.mark.parametrize("learning_rate", [0.0, -0.1, math.nan, math.inf])
def test_effective_learning_rate_when_the_learning_rate_is_out_of_range(learning_rate):
    with pytest.raises(ValueError, match=f"learning_rate must be above 0 and finite, got {learning_rate}"):
        golden.effective_learning_rate(learning_rate, 0.9)


@pytest.mark.parametrize("momentum", [1.0, -0.1, math.nan])
def test_effective_learning_rate_when_the_momentum_is_out_of_range(momentum):
    with pytest.raises(ValueError, match=rf"momentum must lie in \[0, 1\), got {momentum}"):
        golden.effective_learning_rate(0.01, momentum)


def test_import_when_torch_and_numpy_are_absent():
    program = "import sys; import studies.golden, studies.information; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
