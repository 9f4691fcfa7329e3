"""A suite from its submission to its table, through the commands and the client, with real trainings."""

import json
from pathlib import Path

import pytest
from running import Service, goldenbench
from suite_data import study, suite

from service.client import Client

TINY_SUITE = suite(
    name="tiny suite",
    studies=[
        study("squares", loss="sse", folds=10, folds_used=1, epochs=1),
        study("dual", folds=10, folds_used=1, epochs=1),
    ],
)
"""Four cells, eight trainings."""


def test_suite_runs_from_submission_to_table(calm: Service, tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    path.write_text(json.dumps(TINY_SUITE))
    done = goldenbench("submit", str(path), "--wait", "--url", calm.url)
    assert done.returncode == 0, done.stderr
    made = done.stdout.split()[0]
    for words in ("tiny suite, completed", "77.4 ± 10", "published: a paper", "dual minus on: ", "stand-in: "):
        assert words in done.stdout

    shown = goldenbench("table", made, "--json", "--url", calm.url)
    assert shown.returncode == 0, shown.stderr
    table = json.loads(shown.stdout)
    assert table == calm.get(f"/v1/suites/{made}/table")
    assert (table["status"], table["complete"]) == ("completed", True)
    for row in table["rows"]:
        stored = [one for one in calm.replicates(row["study_id"]) if one["cell"] == row["cell"]]
        assert [one["momentum"] for one in stored] == [row["momentum"]] * 2
        assert row["mean"] == pytest.approx(sum(one["accuracy"] for one in stored) / 2)
        assert (row["spread_over_folds"]["std"], row["spread_over_runs"]["n"]) == (None, 2)
    assert [contrast["n"] for contrast in table["contrasts"]] == [2, 2]
    assert "off" in goldenbench("table", made, "--url", calm.url).stdout


def test_studies_of_a_suite_start_from_the_same_weights_and_images(calm: Service) -> None:
    with Client(calm.url) as client:
        made = client.submit_suite(TINY_SUITE | {"studies": [study("squares", **_alike()), study("dual", **_alike())]})
        seen: list[str] = []
        ended = client.wait_suite(made["id"], lambda document: seen.append(document["status"]))
        assert (ended["status"], seen[-1]) == ("completed", "completed")
        first, second = (calm.table(one["id"]) for one in ended["studies"])
        assert first == second
        assert client.suite_table(made["id"])["contrasts"][1]["difference"]["estimate"] == 0
        assert made["id"] in [one["id"] for one in client.suites()]


def test_table_1_is_submitted_and_cancelled_as_a_whole(calm: Service) -> None:
    done = goldenbench("submit", "table-1", "--quick", "--url", calm.url)
    assert done.returncode == 0, done.stderr
    with Client(calm.url) as client:
        made = client.suite(done.stdout.strip())
        assert made["name"] == "Table I, quick"
        assert client.cancel_suite(made["id"])["status"] == "cancelled"
        assert client.wait_suite(made["id"])["status"] == "cancelled"
        for one in made["studies"]:
            calm.wait(one["id"], "cancelled")
        table = client.suite_table(made["id"])
    assert (table["status"], len(table["rows"]), table["complete"]) == ("cancelled", 8, False)
    assert [warning["code"] for warning in table["warnings"]].count("unfinished") == 3


def test_commands_say_what_is_wrong_with_a_suite(calm: Service, tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    path.write_text(json.dumps(suite(studies=[study("squares"), study("dual", seed=1)])))
    refused = goldenbench("submit", str(path), "--url", calm.url)
    assert refused.returncode == 1
    assert "  studies[1].seed: must be 0 as in studies[0]" in refused.stderr
    for arguments in (["submit", "demo", "--quick"], ["table", "nosuchsuite"]):
        failed = goldenbench(*arguments, "--url", calm.url)
        assert (failed.returncode, failed.stdout) == (1, "")
        assert len(failed.stderr.splitlines()) == 1, failed.stderr


def _alike() -> dict[str, object]:
    return {"loss": "sse", "folds": 10, "folds_used": 1, "epochs": 1}
