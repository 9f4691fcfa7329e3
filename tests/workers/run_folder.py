"""A small study, and `python -m workers.run` on it, for tests of what it makes of its folder."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worker_data import toy

from studies.datasets.load import PreparedDataset
from studies.results import TrainingResult
from workers import run
from workers.folder import MANIFEST, REPLICATES

STUDY: dict[str, Any] = {
    "name": "small",
    "dataset": "rotated-digits",
    "loss": "dual-process",
    "prescribed": {"learning_rate": 0.05, "momentum": 0.5},
    "grid": {"learning_rate": {"factor": 2, "steps": 1}, "momentum": {"values": [0.5]}},
    "references": ["plain"],
    "folds": 3,
    "folds_used": 2,
    "runs": 2,
    "epochs": 2,
    "batch_size": 32,
    "engine": "reference",
}
TOTAL = 4 * 2 * 2


def dataset() -> PreparedDataset:
    return toy("rotated-digits")


class Folder:
    """A specification, its data and a folder for results."""

    def __init__(self, path: Path) -> None:
        self.path, self.out = path, path / "out"
        np.savez_compressed(path / "data.npz", allow_pickle=False, **dataset().arrays())
        self.write()

    def write(self, **changes: Any) -> None:
        (self.path / "spec.json").write_text(json.dumps(STUDY | changes), encoding="utf-8")

    def arguments(self, *more: str) -> list[str]:
        data = [] if "--dataset" in more else ["--dataset", str(self.path / "data.npz")]
        return [str(self.path / "spec.json"), str(self.out), *data, "--device", "cpu", *more]

    def run(self, *more: str) -> int:
        """In this process."""
        return run.main(self.arguments(*more))

    def start(self, *more: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "workers.run", *self.arguments(*more)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @property
    def lines(self) -> Path:
        return self.out / REPLICATES

    def results(self) -> list[TrainingResult]:
        text = self.lines.read_text(encoding="utf-8")
        return [TrainingResult.from_json(json.loads(line)) for line in text.splitlines()]

    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.out / MANIFEST).read_text(encoding="utf-8"))
        return document


def refused(folder: Folder, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """What a refused run says; it changes nothing."""
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert folder.run(*more) == 2
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err
