"""Metrics: what a task says of itself to Prometheus, read from its actors when it is asked."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tracker.services import Services

_PARAMETER = re.compile(r"<(\w+)(?::[^>]*)?>")


class Answered(NamedTuple):
    """A kind of answer. `method` and `route` are empty where the request found no route, so that no
    client can make up new ones."""

    method: str
    route: str
    status: int


Answers = Counter[Answered]


class TrackerCollector(Collector):
    """Costs nothing between two scrapes."""

    def __init__(self, services: Services, answers: Answers) -> None:
        self._services = services
        self._answers = answers

    def collect(self) -> Iterator[Metric]:
        yield from self._core_data()
        yield from self._buffer()
        yield self._outcomes()
        yield self._requests()

    def _core_data(self) -> Iterator[Metric]:
        programs = self._services.programs
        yield GaugeMetricFamily(
            "tracker_link_up", "1 while changes of core data reach this task, else 0", value=programs.linked
        )
        yield GaugeMetricFamily(
            "tracker_core_data_staleness_seconds",
            "How long core data may have been stale; 0 while it is fresh",
            value=programs.staleness_ms / 1000,
        )
        yield CounterMetricFamily(
            "tracker_core_data_stale_answers",
            "Reads of a program that no level could check",
            value=programs.stale_answers,
        )
        yield GaugeMetricFamily("tracker_programs", "Programs held in memory", value=len(programs))

    def _buffer(self) -> Iterator[Metric]:
        intake = self._services.intake
        yield GaugeMetricFamily(
            "tracker_buffer_bytes",
            "Events accepted and not yet confirmed, in bytes",
            value=intake.buffered_bytes,
        )
        yield GaugeMetricFamily(
            "tracker_buffer_limit_bytes",
            "What the buffer takes at most",
            value=self._services.settings.buffer_max_bytes,
        )
        yield GaugeMetricFamily(
            "tracker_unacknowledged_events",
            "Events accepted and not yet confirmed",
            value=sum(lane.held for lane in intake.lanes),
        )
        yield GaugeMetricFamily("tracker_lanes", "Shards this task puts events on", value=len(intake.lanes))

    def _outcomes(self) -> Metric:
        family = CounterMetricFamily(
            "tracker_events",
            "Events asked for: accepted, or the reason why they do not count or were not taken",
            labels=["kind", "outcome"],
        )
        for outcome, count in self._services.tracking.outcomes.items():
            family.add_metric(list(outcome), count)
        return family

    def _requests(self) -> Metric:
        family = CounterMetricFamily(
            "tracker_http_requests", "Requests answered", labels=["method", "route", "status"]
        )
        for answered, count in self._answers.items():
            labels = [answered.method, route_label(answered.route), str(answered.status)]
            family.add_metric(labels, count)
        return family


def registry(services: Services, answers: Answers) -> CollectorRegistry:
    """This task's metrics, and the process's own (memory, CPU, open files)."""
    registry = CollectorRegistry()
    registry.register(TrackerCollector(services, answers))
    ProcessCollector(registry=registry)
    return registry


def route_label(path: str) -> str:
    """Sanic's `event/<program_id:str>` as `/event/{program_id}`."""
    return "/" + _PARAMETER.sub(r"{\1}", path) if path else ""
