"""Parts that have been drawn: once for each state, for whoever asks, and not without bound."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.pages import drawings
from service.pages.drawings import Drawings


def test_part_is_drawn_again_for_another_state_only() -> None:
    kept, drawn = Drawings(), []
    for state in (1, 1, 2, 2, 1):
        assert kept.of("a", state, lambda: drawn.append("") or len(drawn)) == len(drawn)
    assert len(drawn) == 3
    assert kept.of("b", 1, lambda: "another") == "another"


def test_all_who_ask_meanwhile_wait_for_one_drawing() -> None:
    kept, go_on, drawn = Drawings(), threading.Event(), []

    def draw() -> str:
        drawn.append(threading.get_ident())
        assert go_on.wait(10)
        return "drawn"

    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(kept.of, "a", 1, draw) for _ in range(4)]
        assert kept.of("b", 1, lambda: "free") == "free", "others do not wait"
        go_on.set()
        assert {one.result(10) for one in found} == {"drawn"}
    assert len(drawn) == 1


def test_failure_is_told_and_not_kept() -> None:
    kept = Drawings()

    def fail() -> str:
        raise ValueError("the database is away")

    for _ in range(2):
        with pytest.raises(ValueError, match="the database is away"):
            kept.of("a", 1, fail)
    assert kept.of("a", 1, lambda: "drawn") == "drawn"


def test_parts_that_nobody_looks_at_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings, "KEPT", 2)
    kept, drawn = Drawings(), []
    for name in ("a", "b", "a", "c", "a", "b"):
        kept.of(name, 1, lambda name=name: drawn.append(name))
    assert drawn == ["a", "b", "c", "b"]
