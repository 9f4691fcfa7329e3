"""What the service trains does learn, and what cannot learn is a result."""

import json

from running import Service

from studies.golden import LEARNING_RATE, MOMENTUM

GOLDEN = {
    "name": "golden point alone",
    "dataset": "rotated-digits",
    "loss": "dual-process",
    "grid": {"learning_rate": {"values": [LEARNING_RATE]}, "momentum": {"values": [MOMENTUM]}},
    "references": [],
    "folds_used": 4,
    "runs": 1,
    "epochs": 5,
}


def test_golden_point_passes_97_percent_within_five_epochs(calm: Service) -> None:
    rows = calm.replicates(calm.run(GOLDEN))
    assert [row["fold"] for row in rows] == [0, 1, 2, 3]
    assert max(max(row["curve"]["accuracy"]) for row in rows) > 0.97


def test_learning_rate_10_is_recorded_as_it_ended(calm_table: list[str]) -> None:
    rows = [row for row in map(json.loads, calm_table) if row["learning_rate"] == 10]
    assert len(rows) == 2
    for row in rows:
        assert row["outcome"] in ("finished", "diverged")
        assert 0 <= row["accuracy"] < 0.5
        if row["outcome"] == "diverged":
            assert (row["accuracy"], row["loss"]) == (0.1, None)
