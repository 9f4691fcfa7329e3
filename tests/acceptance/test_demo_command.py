"""`goldenbench demo` without a terminal: the stranger's first minute."""

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from running import goldenbench

from studies.catalog import presets
from studies.grid import cells


def test_demo_answers_and_a_second_one_shows_the_stored_answer(tmp_path: Path) -> None:
    first = goldenbench("demo", "--data", str(tmp_path), timeout=290, GOLDENBENCH_LOG="warning")
    assert first.returncode == 0, first.stderr
    assert re.search(r"^verdict: (equivalent|inferior|undecided)", first.stdout, re.MULTILINE)
    for what, path in (("page", "/studies/"), ("comparison", "/v1/studies/"), ("Optuna", "/dashboard")):
        assert re.search(rf"^{what} +http://127\.0\.0\.1:\d+{path}", first.stdout, re.MULTILINE), first.stdout
    assert "WARNING" not in first.stderr.upper(), first.stderr

    spec = presets()["demo"].spec
    wanted = [
        (cell, fold, run)
        for cell in range(len(cells(spec)))
        for fold in range(spec.folds_used)
        for run in range(spec.runs)
    ]
    with closing(sqlite3.connect(tmp_path / "goldenbench.db")) as database:
        query = "SELECT cell, fold, run FROM gb_replicates ORDER BY cell, fold, run"
        assert database.execute(query).fetchall() == wanted

    began = time.monotonic()
    second = goldenbench("demo", "--data", str(tmp_path), timeout=60)
    assert second.returncode == 0, second.stderr
    assert time.monotonic() - began < 20
    assert _answer(second.stdout) == _answer(first.stdout)


def _answer(printed: str) -> str:
    """What is printed from the verdict to the addresses."""
    return printed[printed.index("verdict:") : printed.index("page ")]
