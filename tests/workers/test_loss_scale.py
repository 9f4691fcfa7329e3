"""A factor in front of the loss is a change of learning rate and weight decay, to the bit."""

from dataclasses import replace

import pytest
from worker_data import CONFIG, toy

from studies import losses
from workers.engine import SILENT
from workers.reference import Reference


@pytest.mark.parametrize("factor", [0.25, 4.0])
@pytest.mark.parametrize("loss", ["dual-process", "sse"])
def test_loss_times_a_factor_is_the_loss_at_another_rate_and_decay(
    loss: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """v <- alpha v + s g + d w and w <- w - eta v, with u = v / s: u <- alpha u + g + (d / s) w and w <- w - s eta u.

    A power of two scales float32 without rounding, so the bits agree.
    """
    dataset, config = toy(), replace(CONFIG, loss=loss, learning_rate=0.02, weight_decay=1e-3)
    rescaled = replace(config, learning_rate=0.02 * factor, weight_decay=1e-3 / factor)
    wrong = replace(config, learning_rate=0.02 * factor)
    (wanted,), (other,) = (Reference().train([one], dataset, "cpu", 1, SILENT) for one in (rescaled, wrong))
    plain = losses.LOSSES[loss]
    monkeypatch.setattr(losses, "LOSSES", {loss: lambda logits, labels: factor * plain(logits, labels)})
    (scaled,) = Reference().train([config], dataset, "cpu", 1, SILENT)
    assert scaled.correct == wanted.correct
    assert scaled.curve.accuracy == wanted.curve.accuracy
    assert scaled.brier == wanted.brier
    assert [value / factor for value in scaled.curve.train_loss if value is not None] == list(wanted.curve.train_loss)
    assert other.brier != wanted.brier
