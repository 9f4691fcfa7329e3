"""One dispatcher per database, and no write of one that was replaced."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from service_data import leader, row, submit

from service.dispatch.leader import Leadership
from service.errors import LeadershipLost
from service.store.engine import Store
from service.store.tables import Leader, Study


def lose_lock(leadership: Leadership, store: Store) -> None:
    """Take a leader's lock from it without its notice, as a network fault or a deleted lock file would."""
    if store.is_sqlite:
        Path(store.url.removeprefix("sqlite:///")).with_suffix(".lock").unlink()
    else:
        with store.write() as session:
            mine = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
            session.execute(sa.text(mine + "(SELECT oid FROM pg_database WHERE datname = current_database())"))


def test_second_dispatcher_is_refused_until_the_first_lets_go(store: Store) -> None:
    elsewhere = Store(store.url)
    first, second = leader(store), Leadership(elsewhere)
    assert not second.acquire()
    first.release()
    second = leader(elsewhere)
    assert not first.acquire()
    second.release()
    elsewhere.close()


def test_transaction_writes_when_it_is_the_leaders(store: Store) -> None:
    study_id = submit(store)
    leadership = leader(store)
    with leadership.transaction() as session:
        session.execute(sa.update(Study).where(Study.id == study_id).values(reason="written"))
    assert row(store, study_id).reason == "written"
    leadership.release()


def test_transaction_is_refused_when_there_never_was_leadership(store: Store) -> None:
    with pytest.raises(LeadershipLost), Leadership(store).transaction():
        pytest.fail("the body must not run")


def test_old_leader_writes_nothing_when_another_took_over(store: Store) -> None:
    study_id = submit(store)
    old = leader(store)
    lose_lock(old, store)
    new = leader(store)
    with pytest.raises(LeadershipLost), old.transaction() as session:
        session.execute(sa.update(Study).where(Study.id == study_id).values(reason="from the grave"))
    assert row(store, study_id).reason is None
    with new.transaction() as session:
        assert session.get_one(Leader, 1).epoch == 2
    old.release()
    with new.transaction():
        pass  # the old one's letting go takes nothing from the new one
    new.release()


def test_leader_leads_again_when_it_asks_twice(store: Store) -> None:
    """A try that got the lock but not the database must not stand in its own way."""
    leadership = leader(store)
    deadline = time.monotonic() + 10
    while not leadership.acquire():
        assert time.monotonic() < deadline, "it waits for itself"
        time.sleep(0.02)
    with leadership.transaction() as session:
        assert session.get_one(Leader, 1).epoch == 2
    leadership.release()


def test_lock_is_free_when_its_process_was_killed(store: Store) -> None:
    program = (
        "import sys, time\nfrom service.dispatch.leader import Leadership\nfrom service.store.engine import Store\n"
        "leadership = Leadership(Store(sys.argv[1]))\nassert leadership.acquire()\n"
        "print('leads', flush=True)\ntime.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", program, store.url], stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"leads\n"
    mine = Leadership(store)
    assert not mine.acquire()
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    other.stdout.close()
    leader(store).release()
