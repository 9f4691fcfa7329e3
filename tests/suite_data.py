"""A small suite for the tests."""

from typing import Any

ONE_POINT = {"learning_rate": {"factor": 2, "steps": 0}, "momentum": {"factor": 2, "steps": 0}}


def study(name: str, **changes: Any) -> dict[str, Any]:
    """A study of two cells, the golden point and (eta, 0), 5 folds of which 2 are used, 2 runs: 8 trainings."""
    document = {
        "name": name,
        "dataset": "rotated-digits",
        "loss": "dual-process",
        "grid": ONE_POINT,
        "references": ["no-momentum"],
        "folds": 5,
        "folds_used": 2,
        "runs": 2,
        "epochs": 2,
    }
    return document | changes


def suite(**changes: Any) -> dict[str, Any]:
    """Two such studies, three rows, two contrasts."""
    document = {
        "name": "small suite",
        "studies": [study("squares", loss="sse"), study("dual")],
        "rows": [
            {
                "name": "off",
                "study": "squares",
                "cell": "no-momentum",
                "published": {"mean": 0.774, "std": 0.1, "source": "a paper"},
            },
            {"name": "on", "study": "squares", "cell": "prescribed"},
            {"name": "dual", "study": "dual", "cell": "prescribed"},
        ],
        "contrasts": [
            {"row": "on", "minus": "off", "note": "within a study"},
            {"row": "dual", "minus": "on"},
        ],
        "notes": ["a note"],
    }
    return document | changes
