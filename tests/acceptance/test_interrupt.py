"""Ctrl-C: a terminal sends it to the service and to every process that the service started."""

import os
import signal
from pathlib import Path

from running import STOP_SECONDS, Service

SMALL = {
    "dataset": "rotated-digits",
    "loss": "sse",
    "grid": {"learning_rate": {"values": [0.01]}, "momentum": {"values": [0.5]}},
    "references": [],
    "folds_used": 1,
    "runs": 2,
    "epochs": 1,
}


def test_ctrl_c_ends_everything_without_a_traceback(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.ready()
        study = service.run(SMALL)
        assert service.get(f"/v1/studies/{study}/comparison")["n"] == 2  # so the computing process is there too
        os.killpg(service.process.pid, signal.SIGINT)
        assert service.process.wait(STOP_SECONDS) == 0
        service.assert_nothing_left(2)
        assert "Traceback" not in service.log
