"""A race with real workers: cells that are out of the running get no more, whatever dies meanwhile."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from running import Service, eventually

RACE = {
    "name": "race",
    "dataset": "rotated-digits",
    "loss": "dual-process",
    "grid": {"learning_rate": {"values": [1e-6, 0.01, 20]}, "momentum": {"values": [0.9]}},
    "references": [],
    "folds_used": 5,
    "runs": 4,
    "epochs": 1,
    "racing": True,
    "claim": {"margin": 0.00001},
}
"""Prescribed point and three cells, two of them hopeless; a margin out of reach, so that it runs to its end."""


@pytest.fixture(scope="module")
def raced(calm: Service) -> tuple[dict[str, Any], dict[str, Any], list[str], dict[int, int]]:
    """A completed race: its document, its comparison, its table, and how many replicates each cell has."""
    study = calm.run(RACE)
    counted = Counter(row["cell"] for row in calm.replicates(study))
    return calm.study(study), calm.get(f"/v1/studies/{study}/comparison"), calm.table(study), counted


def test_hopeless_cells_get_no_more_and_the_answer_says_what_that_spared(
    raced: tuple[dict[str, Any], dict[str, Any], list[str], dict[int, int]],
) -> None:
    study, comparison, table, counted = raced
    assert counted[0] == max(counted.values())
    assert min(counted.values()) == 5, counted  # one round: all five folds of the first run
    assert study["progress"]["done"] == study["progress"]["total"] == len(table) < 80
    racing = comparison["racing"]
    assert racing["planned"] == 80
    assert racing["saved"] == 80 - len(table) > 0
    assert racing["dropped"] >= 2
    assert comparison["level"] == pytest.approx(1 - 0.05 / len(racing["rounds"]))
    assert "racing" in {warning["code"] for warning in comparison["warnings"]}
    hopeless = {cell for cell, n in counted.items() if n == 5}
    assert not hopeless & set(comparison["confidence_set"]["cells"])


def test_a_race_whose_service_is_killed_between_rounds_ends_with_the_same_table(
    tmp_path: Path, raced: tuple[dict[str, Any], dict[str, Any], list[str], dict[int, int]]
) -> None:
    with Service(tmp_path) as first:
        study = first.ready().submit(RACE)
        eventually(lambda: first.study(study)["progress"]["done"] >= 20, 60, "the first round is stored")
        first.kill()
    with Service(tmp_path, name="again") as second:
        second.ready().wait(study)
        assert second.table(study) == raced[2]
        assert second.get(f"/v1/studies/{study}/comparison")["regret"] == raced[1]["regret"]
