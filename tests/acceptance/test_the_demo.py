"""`goldenbench demo` without a terminal: the stranger's first minute. It runs beside the tests before these."""

import re
import sqlite3
import time
from contextlib import closing

from running import FirstDemo, goldenbench

from studies.catalog import presets
from studies.grid import cells

DEMO_SECONDS = 300
SECOND_SECONDS = 20
"""For starting a service and showing what it stores; three to five without other load."""


def test_first_demo_trains_every_replicate_once_and_prints_its_answer(first_demo: FirstDemo) -> None:
    code = first_demo.part.process.wait(DEMO_SECONDS)
    assert code == 0, first_demo.part.log
    printed = first_demo.part.printed
    assert re.search(r"^verdict: (equivalent|inferior|undecided)", printed, re.MULTILINE)
    for what, path in (("page", "/studies/"), ("comparison", "/v1/studies/"), ("Optuna", "/dashboard/studies/")):
        assert re.search(rf"^{what} +http://127\.0\.0\.1:\d+{path}", printed, re.MULTILINE), printed
    first_demo.part.assert_nothing_left(2)
    spec = presets()["demo"].spec
    wanted = [
        (cell, fold, run)
        for cell in range(len(cells(spec)))
        for fold in range(spec.folds_used)
        for run in range(spec.runs)
    ]
    with closing(sqlite3.connect(first_demo.data / "goldenbench.db")) as database:
        query = "SELECT cell, fold, run FROM gb_replicates ORDER BY cell, fold, run"
        assert database.execute(query).fetchall() == wanted


def test_demo_after_the_first_demo_shows_the_stored_answer(first_demo: FirstDemo) -> None:
    first_demo.part.process.wait(DEMO_SECONDS)
    began = time.monotonic()
    second = goldenbench("demo", "--data", str(first_demo.data), timeout=60)
    assert second.returncode == 0, second.stderr
    assert time.monotonic() - began < SECOND_SECONDS
    assert _answer(second.stdout) == _answer(first_demo.part.printed)


def _answer(printed: str) -> str:
    """What is printed from the verdict to the addresses."""
    return printed[printed.index("verdict:") : printed.index("page ")]
