"""`goldenbench record`: Optuna's tables, which can be built anew from ours at any time."""

import sys
import threading
from typing import TYPE_CHECKING, Any

from service.cli.nodes import settings
from service.errors import SetupError
from service.logs import configure_logs

if TYPE_CHECKING:
    from service.store.engine import Store


def rebuild(**flags: Any) -> None:
    """Remove Optuna's record of our studies and write it anew.

    Raises:
        SetupError: the database cannot be used.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from service.store.engine import Store

    configure_logs()
    store = Store(settings(**flags).store_url)
    try:
        store.migrate()
        _rebuild(store)
    except SQLAlchemyError as error:
        raise SetupError(f"the database cannot be used: {str(error).splitlines()[0]}") from error
    finally:
        store.close()


def _rebuild(store: "Store") -> None:
    """A service that leads does the writing itself: only the leader changes our tables."""
    from service.dispatch.leader import Leadership
    from service.record import Record, open_storage
    from service.recorder import Recorder
    from service.reports import Reports

    storage, leadership, reports = open_storage(store), Leadership(store), Reports(store)
    record = Record(storage)
    try:
        if leadership.acquire():
            recorder = Recorder(store, record, leadership, threading.Event(), reports.comparison_now)
            written = recorder.rebuild()
            print(f"the record of {written} {'study' if written == 1 else 'studies'} is built anew", file=sys.stderr)
        else:
            record.clear()
            print("the record is removed; the service that runs builds it anew within a minute", file=sys.stderr)
    finally:
        leadership.release()
        reports.close()
        storage.engine.dispose()
