"""Metrics: what the processes say of themselves, each defined once, for Prometheus and for CloudWatch.

Names and units follow Prometheus's conventions (prometheus.io, "Metric and label naming"): base units, at the
end of the name; `_total` ends a counter's. How a reading is written: exposition.py, emf.py.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple, TypeVar

from msgspec import Struct

_LATENCIES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
_SIZES = (256, 512, 1_024, 2_048, 4_096, 8_192, 12_000, 16_000, 20_000, 24_000, 262_144)
_UNITS = {"seconds": "Seconds", "bytes": "Bytes"}


class Kind(StrEnum):
    """As Prometheus has them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(Struct, frozen=True, kw_only=True):
    """A metric. `dimensions` are the labels that CloudWatch is told, too: each combination of their values
    is billed there, so over the others it is told a counter's sum and a gauge's greatest. `bounds` are a
    histogram's, each included."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def unit(self) -> str:
        """As CloudWatch calls it (Amazon CloudWatch API Reference, MetricDatum)."""
        return _UNITS.get(self.name.rpartition("_")[2], "Count")


class Histogram:
    """How often what was observed, since the start. Observing costs a third of a microsecond."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, metric: Metric) -> None:
        self.bounds = metric.bounds
        self.counts = [0] * (len(metric.bounds) + 1)
        """One for each bound, and one for what is above the last."""
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    def __sub__(self, other: "Histogram") -> "Histogram":
        """What was observed since `other`, a copy of this as it was."""
        since = self.copy()
        since.counts = [now - then for now, then in zip(self.counts, other.counts, strict=True)]
        since.sum = self.sum - other.sum
        return since

    def copy(self) -> "Histogram":
        same = object.__new__(Histogram)
        same.bounds, same.counts, same.sum = self.bounds, [*self.counts], self.sum
        return same


Labels = TypeVar("Labels", bound=tuple[str, ...])


class Reading(NamedTuple):
    """A metric as it is now; `labels` are in the order of the metric's."""

    metric: Metric
    value: float | Histogram
    labels: tuple[str, ...] = ()


def counted(metric: Metric, counts: Mapping[Labels, int]) -> Iterator[Reading]:
    """Readings of a counter, by its labels."""
    for labels, count in counts.items():
        yield Reading(metric, count, labels)


def _counter(name: str, meaning: str, *labels: str, dimensions: tuple[str, ...] = ()) -> Metric:
    return Metric(name=name, kind=Kind.COUNTER, meaning=meaning, labels=labels, dimensions=dimensions)


def _gauge(name: str, meaning: str, *labels: str, dimensions: tuple[str, ...] = ()) -> Metric:
    return Metric(name=name, kind=Kind.GAUGE, meaning=meaning, labels=labels, dimensions=dimensions)


def _histogram(name: str, meaning: str, bounds: Iterable[float]) -> Metric:
    return Metric(name=name, kind=Kind.HISTOGRAM, meaning=meaning, bounds=tuple(bounds))


LINK_UP = _gauge("tracker_link_up", "1 while changes of core data reach this task, else 0")
STALENESS = _gauge(
    "tracker_core_data_staleness_seconds", "How long core data may have been stale; 0 while it is fresh"
)
STALE_ANSWERS = _counter(
    "tracker_core_data_stale_answers_total", "Reads of a program that no level could check"
)
READS = _counter(
    "tracker_core_data_reads_total",
    "Reads of a program, by the level that answered: memory, redis, dynamodb, or none",
    "level",
    dimensions=("level",),
)
INVALIDATION_DELAY = _histogram(
    "tracker_invalidation_delay_seconds",
    "From when a change of a program that is held was asked for until it was applied here",
    _LATENCIES_S,
)
PROGRAMS = _gauge("tracker_programs", "Programs held in memory")
BUFFER = _gauge("tracker_buffer_bytes", "Events accepted and not yet confirmed, in bytes")
BUFFER_LIMIT = _gauge("tracker_buffer_limit_bytes", "What the buffer takes at most")
UNACKNOWLEDGED = _gauge("tracker_unacknowledged_events", "Events accepted and not yet confirmed")
LANES = _gauge("tracker_lanes", "Shards this task puts events on")
ACKNOWLEDGEMENT = _histogram(
    "tracker_acknowledgement_seconds",
    "From when an event was read until it was acknowledged; once for each event of a batch",
    _LATENCIES_S,
)
FRAME_EVENTS = _histogram("tracker_frame_events", "Events of a frame that Kinesis confirmed", _COUNTS)
FRAME_BYTES = _histogram("tracker_frame_bytes", "Size of a frame that Kinesis confirmed", _SIZES)
PUT_RETRIES = _counter(
    "tracker_put_retries_total",
    "Frames that are sent again: Kinesis's error code, or `failed` where it gave no answer",
    "reason",
    dimensions=("reason",),
)
LOOP_LAG = _histogram(
    "tracker_event_loop_lag_seconds", "How late the event loop ran a callback that was due", _LATENCIES_S
)
EVENTS = _counter(
    "tracker_events_total",
    "Events asked for: accepted, or the reason why they do not count or were not taken",
    "kind",
    "outcome",
    dimensions=("outcome",),
)
REQUESTS = _counter(
    "tracker_http_requests_total", "Requests answered", "method", "route", "status", dimensions=("status",)
)

WORKER_RECORDS = _counter(
    "worker_records_total",
    "Records read, by the agent or function that reads and the stream",
    "reader",
    "stream",
    dimensions=("reader",),
)
WORKER_LAG = _gauge(
    "worker_lag_seconds",
    "How far behind the newest record of a shard the last read of it was",
    "reader",
    "stream",
    "shard",
    dimensions=("reader",),
)
WORKER_FAILURES = _gauge("worker_failures", "Failures that are kept, to be looked at and replayed")

FUNCTION_RECORDS = _counter(
    "function_records_total",
    "Records that a function was given: applied, or left to be given again",
    "outcome",
    dimensions=("outcome",),
)
FUNCTION_EVENTS = _counter(
    "function_events_total",
    "Events of what was applied: stored, now or before, or set aside",
    "outcome",
    dimensions=("outcome",),
)
FUNCTION_LAG = _gauge("function_lag_seconds", "How old a batch's oldest record was when it was done with")

TRACKER = (
    LINK_UP,
    STALENESS,
    STALE_ANSWERS,
    READS,
    INVALIDATION_DELAY,
    PROGRAMS,
    BUFFER,
    BUFFER_LIMIT,
    UNACKNOWLEDGED,
    LANES,
    ACKNOWLEDGEMENT,
    FRAME_EVENTS,
    FRAME_BYTES,
    PUT_RETRIES,
    LOOP_LAG,
    EVENTS,
    REQUESTS,
)
"""Every metric of a tracker task."""
WORKERS = (WORKER_RECORDS, WORKER_LAG, WORKER_FAILURES)
"""Every metric of a worker; but the last also of a process that hosts a function."""
FUNCTIONS = (FUNCTION_RECORDS, FUNCTION_EVENTS, FUNCTION_LAG)
"""Every metric of a function's batch."""
