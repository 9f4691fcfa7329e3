"""The dispatcher and the recorder in a process of their own beside the one that answers requests.

In one process they took turns with every request for the interpreter's lock: at 50 requests per second the median read
waited 53 ms, and a device 0.2 s between two packs. They share nothing but the database and a pipe: four times a second
the dispatcher's process tells through it what `/v1/workers`, `/readyz` and `/metrics` want to know, and now and then it
asks for a comparison, which the other one computes for users too.

The two end together. Where this one dies, the service says so and ends, for whoever started it to start it again.
"""

import faulthandler
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

import structlog

from service.config import Settings
from service.dispatch.status import DispatcherStatus
from service.dispatcher_pipe import STOP, Answer, Pipe, Question
from service.garbage import leave_alone_what_stays
from service.logs import configure_logs
from service.schemas.studies import ComparisonDocument

CONTEXT = multiprocessing.get_context("spawn")
HANGS_SECONDS = 24.0
"""After which something hangs: the dispatcher takes 18 at most to end, the recorder 5."""
STOP_SECONDS = HANGS_SECONDS + 1

log = structlog.get_logger("goldenbench")


class DispatcherProcess:
    """The process, from outside.

    Args:
        settings: how it dispatches.
        on_death: called, in another thread, if it ends without having been told to.
        compare: gives the comparison document of a study; may take minutes.
    """

    def __init__(
        self, settings: Settings, on_death: Callable[[], None], compare: Callable[[str], ComparisonDocument]
    ) -> None:
        self._on_death = on_death
        self._compare = compare
        self.died = False
        """Whether it has ended without having been told to."""
        ours, theirs = CONTEXT.Pipe()
        self._pipe = Pipe(ours)
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
            self._pipe.send(STOP)

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
        """Take in what it tells and asks, until it ends."""
        while (told := self._pipe.receive()) is not None:
            if isinstance(told, Question):
                threading.Thread(target=self._answer, args=(told,), name="dispatcher-question", daemon=True).start()
            else:
                self._status = told
        if not self._stopping:
            self._process.join()
            log.error("the dispatcher has died, and the service ends with it", code=self._process.exitcode)
            self.died = True
            self._on_death()

    def _answer(self, question: Question) -> None:
        try:
            answer = Answer(question.number, self._compare(question.study_id))
        except Exception as error:  # whoever asked is told, and asks again later
            answer = Answer(question.number, None, f"{type(error).__name__}: {error}"[:300])
        self._pipe.send(answer)


def _run(settings: Settings, orders: Connection) -> None:
    """The process, from inside: dispatch and record until told to stop."""
    # What is imported here stays out of the process that answers requests.
    from service.dispatch.cluster import Cluster
    from service.dispatch.loop import Dispatcher
    from service.dispatcher_pipe import Teller
    from service.record import Record, open_storage
    from service.record_lag import Lag
    from service.recorder import Recorder
    from service.store.engine import Store

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's affair, which then tells us
    told_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_stop.set())
    configure_logs()
    store = Store(settings.store_url)
    storage = open_storage(store)
    dispatcher = Dispatcher(store, settings, lambda: Cluster(settings))
    lag = Lag()

    def status() -> DispatcherStatus:
        workers = tuple(dispatcher.workers())
        return DispatcherStatus(
            dispatcher.state, dispatcher.scheduler(), workers, dispatcher.tally.snapshot(), lag.now()
        )

    teller = Teller(Pipe(orders), status, told_to_stop)
    recorder = Recorder(store, Record(storage), dispatcher.leadership, dispatcher.leads, teller.compare, lag)
    leave_alone_what_stays()
    dispatcher.start()
    recorder.start()
    teller.run()
    faulthandler.dump_traceback_later(HANGS_SECONDS, exit=True)  # says where it hangs, before it is killed for that
    dispatcher.begin_stop()
    recorder.stop()
    dispatcher.stop()
    storage.engine.dispose()
    store.close()
    os._exit(0)  # threads that wait for a worker's answer are not waited for
