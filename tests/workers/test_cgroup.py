"""How many processors a control group leaves."""

from pathlib import Path

import pytest

from workers.cgroup import processor_limit


@pytest.mark.parametrize(
    ("written", "limit"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2),
        ("250000 100000\n", 3),
        ("10000 100000\n", 1),
        ("0 100000\n", 1),
        ("200000 0\n", None),
        ("nonsense\n", None),
        ("", None),
    ],
)
def test_limit_of_version_2_is_rounded_up(tmp_path: Path, written: str, limit: int | None) -> None:
    (tmp_path / "cpu.max").write_text(written)
    assert processor_limit(tmp_path) == limit


@pytest.mark.parametrize(("quota", "limit"), [("-1", None), ("150000", 2), ("50000", 1)])
def test_limit_of_version_1_is_rounded_up(tmp_path: Path, quota: str, limit: int | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert processor_limit(tmp_path) == limit


def test_no_group_is_no_limit(tmp_path: Path) -> None:
    assert processor_limit(tmp_path) is None
