"""The dispatcher and the recorder in a process of their own beside the one that answers requests.

In one process they took turns with every request for the interpreter's lock: at 50 requests per second the median read
waited 53 ms, and a device 0.2 s between two packs. They share nothing but the database; what `/v1/workers`, `/readyz`
and `/metrics` tell of the dispatcher comes through a pipe, four times a second.

The two end together. Where this one dies, the service says so and ends, for whoever started it to start it again.
"""

import faulthandler
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait

import structlog

from service.config import Settings
from service.dispatch.status import DispatcherStatus
from service.garbage import leave_alone_what_stays
from service.logs import configure_logs

CONTEXT = multiprocessing.get_context("spawn")
TELL_SECONDS = 0.25
"""How often the dispatcher's process tells how it fares."""
HANGS_SECONDS = 24.0
"""After which something hangs: the dispatcher takes 18 at most to end, the recorder 5."""
STOP_SECONDS = HANGS_SECONDS + 1

log = structlog.get_logger("goldenbench")


class DispatcherProcess:
    """The process, from outside.

    Args:
        settings: how it dispatches.
        on_death: called, in another thread, if it ends without having been told to.
    """

    def __init__(self, settings: Settings, on_death: Callable[[], None]) -> None:
        self._on_death = on_death
        self.died = False
        """Whether it has ended without having been told to."""
        self._orders, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=_run, args=(settings, theirs), name="goldenbench-dispatcher")
        self._process.start()
        theirs.close()
        self._stopping = False
        self._status = DispatcherStatus()
        self._listener = threading.Thread(target=self._listen, name="dispatcher-status", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def status(self) -> DispatcherStatus:
        """How it fared a moment ago."""
        return self._status

    def begin_stop(self) -> None:
        """Have it lease no more packs, and let go of what it has; returns at once."""
        if not self._stopping:
            self._stopping = True
            try:
                self._orders.send("stop")
            except OSError:  # it is gone
                return

    def stop(self) -> None:
        """End it: running packs wait again, uncharged; the lock and the cluster are let go."""
        self.begin_stop()
        self._process.join(STOP_SECONDS)
        if self._process.is_alive():
            log.warning("the dispatcher does not end and is killed; its packs wait for the next start")
            self._process.kill()
            self._process.join()
        self._listener.join()

    def _listen(self) -> None:
        """Take in what it tells, until it ends."""
        while True:
            try:
                self._status = self._orders.recv()
            except (EOFError, OSError):
                break
        if not self._stopping:
            self._process.join()
            log.error("the dispatcher has died, and the service ends with it", code=self._process.exitcode)
            self.died = True
            self._on_death()


def _run(settings: Settings, orders: Connection) -> None:
    """The process, from inside: dispatch and record until told to stop."""
    # What is imported here stays out of the process that answers requests.
    from service.dispatch.cluster import Cluster
    from service.dispatch.loop import Dispatcher
    from service.record import Record, open_storage
    from service.record_lag import Lag
    from service.recorder import Recorder
    from service.reports import Reports
    from service.store.engine import Store

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's affair, which then tells us
    told_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_stop.set())
    configure_logs()
    store = Store(settings.store_url)
    storage = open_storage(store)
    dispatcher = Dispatcher(store, settings, lambda: Cluster(settings))
    reports, lag = Reports(store), Lag()
    recorder = Recorder(store, Record(storage), dispatcher.leadership, dispatcher.leads, reports.comparison_now, lag)

    def status() -> DispatcherStatus:
        workers = tuple(dispatcher.workers())
        return DispatcherStatus(
            dispatcher.state, dispatcher.scheduler(), workers, dispatcher.tally.snapshot(), lag.now()
        )

    leave_alone_what_stays()
    dispatcher.start()
    recorder.start()
    _tell_until_stopped(orders, status, told_to_stop)
    faulthandler.dump_traceback_later(HANGS_SECONDS, exit=True)  # says where it hangs, before it is killed for that
    dispatcher.begin_stop()
    recorder.stop()
    dispatcher.stop()
    reports.close()
    storage.engine.dispose()
    store.close()
    os._exit(0)  # Python's own end would wait for a comparison that is being computed, and nobody wants any more


def _tell_until_stopped(orders: Connection, status: Callable[[], DispatcherStatus], stop: threading.Event) -> None:
    """Send the status now and then; returns when told to stop, and ends the process if the service has died."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    while not stop.is_set():
        try:
            orders.send(status())
            ready = wait([orders, parent.sentinel], TELL_SECONDS)
            if orders in ready and orders.recv() == "stop":
                return
        except (EOFError, OSError):  # as if the whole service had been killed at once
            os._exit(1)
        if parent.sentinel in ready:
            os._exit(1)
