"""What the service trains does learn, and what cannot learn is a result."""

from running import Service

GOLDEN_AND_ABSURD = {
    "name": "learning",
    "dataset": "rotated-digits",
    "loss": "dual-process",
    "grid": {"learning_rate": {"values": [10]}, "momentum": {"values": [0.9]}},
    "references": [],
    "folds_used": 4,
    "runs": 1,
    "epochs": 5,
}


def test_golden_point_learns_and_learning_rate_10_is_recorded(calm: Service) -> None:
    rows = calm.replicates(calm.run(GOLDEN_AND_ABSURD))
    golden = [row for row in rows if row["cell"] == 0]
    absurd = [row for row in rows if row["learning_rate"] == 10]
    assert len(golden) == len(absurd) == 4
    assert max(max(row["curve"]["accuracy"]) for row in golden) > 0.97
    for row in absurd:
        assert row["outcome"] in ("finished", "diverged")
        assert 0 <= row["accuracy"] <= 1
        if row["outcome"] == "diverged":
            assert row["accuracy"] == 0.1
            assert row["curve"]["accuracy"][-1] is None
