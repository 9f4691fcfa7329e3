"""The points at which a service can be made to die: complete, and nothing unless one is named."""

import ast
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from service import crash_points
from service.store.engine import Store
from service.store.tables import Leader

SERVICE = Path(crash_points.__file__).parent
UNNAMED = ("door.py", "tokens.py", "login.py", "postgresql.py")
"""Transactions about tokens and logins: one row each, and nothing of a study depends on them. Those of a restore,
during which nothing runs: tests/service/test_backup.py ends it half-way."""


def test_every_transaction_of_the_service_is_named_and_every_name_is_used() -> None:
    named = set()
    for file in SERVICE.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            target = ast.unparse(call.func)
            if target.endswith(("store.write", "leadership.transaction")):
                unnamed = not call.args and file.name not in UNNAMED
                assert not unnamed, f"{file.name}:{call.lineno}: a transaction without a name"
                if call.args and isinstance(call.args[0], ast.Constant):
                    named.add(call.args[0].value)
    assert named == set(crash_points.TRANSACTIONS)


def test_nothing_happens_unless_a_point_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(crash_points.VARIABLE, raising=False)
    crash_points.reach("accept", "after-commit")
    monkeypatch.setenv(crash_points.VARIABLE, "lease:after-commit:lose-answer")
    crash_points.reach("accept", "after-commit")
    crash_points.reach("lease", "before-commit")


def test_lost_answer_comes_after_the_commit(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.setenv(crash_points.VARIABLE, "lease:after-commit:lose-answer")
    monkeypatch.setattr(crash_points, "_passages", iter([1]))
    with pytest.raises(OperationalError, match="the answer was lost"), store.write("lease") as session:
        session.add(Leader(id=1, epoch=7))
    with store.read() as session:
        assert session.scalar(sa.select(Leader.epoch)) == 7
