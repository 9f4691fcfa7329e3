"""That the native library exists where it could have been built: every other test of it is skipped without."""

import shutil

import pytest

from workers.native import library


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_library_was_built_with_the_installation() -> None:
    assert library.usable_isas(), "reinstall with: pip install --no-deps --no-build-isolation -e ."
