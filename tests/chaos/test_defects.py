"""The planted defects still fit the code; `make chaos` sees each of them caught."""

from pathlib import Path

import pytest

from tests.chaos.defects import CONTROLS, PATCHES, plant


@pytest.mark.parametrize("name", CONTROLS)
def test_defect_can_be_planted(name: str, tmp_path: Path) -> None:
    plant(name, tmp_path)


def test_each_patch_has_a_control() -> None:
    assert {path.stem for path in PATCHES.glob("*.patch")} == set(CONTROLS)
