"""Every metric of the service, in the text format of Prometheus."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from service.dispatch.status import DispatcherStatus
from service.dispatch.tally import Snapshot
from service.metrics.stored import Reader, Stored
from service.store.engine import Store

DISPATCHER_STATES = ("starting", "waiting", "leading", "database away", "recovering", "stopped")
REQUEST_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds; most answers take a few milliseconds, a page of ten thousand trainings or a picture a second."""
COMPARISON_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds."""

disable_created_metrics()  # a time beside each bucket, which nothing here needs


@dataclass(frozen=True)
class Sources:
    """What the metrics are read from."""

    store: Store
    data: Path
    dispatcher: Callable[[], DispatcherStatus]
    dispatcher_pid: int
    certificates_end: Mapping[str, datetime] = field(default_factory=dict)
    """When the certificates that were read at the start expire, by use."""


class Metrics(Collector):
    """The metrics of one service.

    Args:
        sources: what they are read from.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._reader = Reader(sources.store)
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "goldenbench_http_request_duration_seconds",
            "Time until an answer begins, by declared route, method and class of the status",
            ["route", "method", "status"],
            buckets=REQUEST_BUCKETS,
            registry=self._registry,
        )
        self._comparisons = Histogram(
            "goldenbench_comparison_duration_seconds",
            "Time to compute a comparison, waiting for the computing process included",
            buckets=COMPARISON_BUCKETS,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        pid = sources.dispatcher_pid
        ProcessCollector(namespace="goldenbench_dispatcher", pid=lambda: pid, registry=self._registry)
        self._registry.register(self)

    def request(self, route: str, method: str, status: str, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, method, status).observe(seconds)

    def comparison(self, seconds: float) -> None:
        """Count a comparison that was computed."""
        self._comparisons.observe(seconds)

    def text(self) -> bytes:
        """Everything, in the text format 0.0.4."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the registry would read the database to see the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What is read when somebody asks."""
        yield InfoMetricFamily("goldenbench_build", "Installed version", {"version": version("goldenbench")})
        stored = self._reader.read()
        up = "Whether the database answered when it was last asked"
        yield GaugeMetricFamily("goldenbench_database_up", up, stored is not None)
        yield from _queue(stored) if stored is not None else ()
        free = shutil.disk_usage(self._sources.data).free
        yield GaugeMetricFamily("goldenbench_data_free_bytes", "Free space where the data folder is", free)
        yield _certificates(self._sources.certificates_end)
        dispatcher = self._sources.dispatcher()
        yield from _dispatcher(dispatcher)
        yield from _trained(dispatcher.tally)
        studies, seconds = dispatcher.record_lag
        told = "Studies with something that Optuna's record does not show"
        yield GaugeMetricFamily("goldenbench_record_behind_studies", told, studies)
        told = "How long the study waits that has waited longest for Optuna's record"
        yield GaugeMetricFamily("goldenbench_record_lag_seconds", told, seconds)


def _dispatcher(status: DispatcherStatus) -> Iterator[Metric]:
    told = "1 for the present state of this service's dispatcher, 0 for the others"
    states = {(state,): int(state == status.state) for state in DISPATCHER_STATES}
    yield _gauge("goldenbench_dispatcher_state", told, ("state",), states)
    count = Counter((one["device"], "busy" if one["pack"] else "idle") for one in status.workers)
    for device in {device for device, _ in count}:
        count.update({(device, state): 0 for state in ("busy", "idle")})
    yield _gauge("goldenbench_workers", "Workers that this service's dispatcher sees", ("device", "state"), count)


def _certificates(ends: Mapping[str, datetime]) -> Metric:
    told = "Seconds until a certificate expires that this service began with; negative afterwards"
    family = GaugeMetricFamily("goldenbench_certificate_expiry_seconds", told, labels=("use",))
    for use, end in sorted(ends.items()):
        family.add_metric((use,), (end - datetime.now(UTC)).total_seconds())
    return family


def _queue(stored: Stored) -> Iterator[Metric]:
    statuses = {(status.value,): count for status, count in stored.studies.items()}
    yield _gauge("goldenbench_studies", "Studies by the status that users see", ("status",), statuses)
    pending = {(status.value,): count for status, count in stored.pending.items()}
    told = "Trainings that are not stored, of studies that have not ended; a race may need fewer"
    yield _gauge("goldenbench_pending_trainings", told, ("status",), pending)
    packs = {(state,): count for state, count in stored.packs.items()}
    told = "Stored packs by state; one that is quarantined is one training that was given up"
    yield _gauge("goldenbench_packs", told, ("state",), packs)
    ages = {
        "goldenbench_oldest_queued_study_age_seconds": (
            "Age of the oldest study that waits for its first training",
            stored.oldest_queued_seconds,
        ),
        "goldenbench_oldest_running_pack_age_seconds": (
            "Age of the oldest attempt of a pack that runs",
            stored.oldest_running_seconds,
        ),
    }
    for name, (told, seconds) in ages.items():
        yield GaugeMetricFamily(name, f"{told}; 0 without one", seconds)
    yield GaugeMetricFamily("goldenbench_database_size_bytes", "Size of the database", stored.database_bytes)


def _trained(counted: Snapshot) -> Iterator[Metric]:
    labels = ["worker", "device"]
    trainings = CounterMetricFamily(
        "goldenbench_trainings", "Trainings stored since this dispatcher began", labels=[*labels, "outcome"]
    )
    busy = CounterMetricFamily("goldenbench_training_seconds", "Wall time of accepted packs", labels=labels)
    for row in counted.workers:
        for outcome, count in sorted(row.outcomes.items()):
            trainings.add_metric([row.worker, row.device, outcome], count)
        busy.add_metric([row.worker, row.device], row.seconds)
    yield trainings
    yield busy
    ends = CounterMetricFamily("goldenbench_pack_attempts", "Attempts of packs by how they ended", labels=["end"])
    for end, count in counted.ends.items():
        ends.add_metric([end.value], count)
    yield ends
    told = "Trainings given up since this dispatcher began"
    yield CounterMetricFamily("goldenbench_quarantined_trainings", told, counted.quarantined)


def _gauge(
    name: str, told: str, labels: tuple[str, ...], values: dict[tuple[str], int] | Counter[tuple[str, str]]
) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family
