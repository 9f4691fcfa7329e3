"""A search for garbage does not look at what stays."""

import gc
import subprocess
import sys

SCRIPT = """
import gc
from service.garbage import leave_alone_what_stays
kept = [[i] for i in range(1_000)]
assert any(one is kept for one in gc.get_objects())
leave_alone_what_stays()
assert not any(one is kept for one in gc.get_objects()), "it would be looked at again"
new = [[]]
new[0].append(new)
assert any(one is new for one in gc.get_objects())
del new
assert gc.collect() >= 2, "what comes later is garbage as before"
"""


def test_only_what_comes_later_is_searched() -> None:
    # In a process of its own: it would hold for the whole test run.
    before = gc.get_freeze_count()
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert gc.get_freeze_count() == before
