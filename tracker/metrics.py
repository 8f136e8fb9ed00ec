"""Metrics: what a task says of itself, read from its actors when it is asked."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest

from schemas import metrics
from schemas.exposition import exposition
from schemas.metrics import Reading, counted
from tracker.services import Services

BLOCKS = "process_python_blocks"
BLOCKS_MEANING = (
    "Blocks of memory in use by Python; resident memory that is past them waits for the next ones"
)

_PARAMETER = re.compile(r"<(\w+)(?::[^>]*)?>")


class Answered(NamedTuple):
    """A kind of answer. `method` and `route` are empty where the request found no route, so that no
    client can make up new ones."""

    method: str
    route: str
    status: int


Answers = Counter[Answered]


class TaskMetrics:
    """Costs nothing between two readings."""

    def __init__(self, services: Services, answers: Answers) -> None:
        self._services = services
        self._answers = answers
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        Gauge(BLOCKS, BLOCKS_MEANING, registry=self._process).set_function(sys.getallocatedblocks)

    def text(self) -> str:
        """For Prometheus: with the process's own metrics (memory, CPU, open files)."""
        return exposition(self.readings()) + generate_latest(self._process).decode()

    def readings(self) -> Iterator[Reading]:
        """Of every metric that a task has."""
        yield from self._core_data()
        yield from self._buffer()
        yield from self._frames()
        yield Reading(metrics.ACKNOWLEDGEMENT, self._services.tracking.acknowledgements)
        yield Reading(metrics.LOOP_LAG, self._services.pulse.lags)
        yield from counted(metrics.EVENTS, self._services.tracking.outcomes)
        for (method, route, status), count in self._answers.items():
            yield Reading(metrics.REQUESTS, count, (method, route_label(route), str(status)))

    def _core_data(self) -> Iterator[Reading]:
        programs = self._services.programs
        yield Reading(metrics.LINK_UP, int(programs.linked))
        yield Reading(metrics.STALENESS, programs.staleness_ms / 1000)
        yield Reading(metrics.STALE_ANSWERS, programs.stale_answers)
        yield Reading(metrics.PROGRAMS, len(programs))
        yield Reading(metrics.INVALIDATION_DELAY, programs.delays)
        yield from counted(metrics.READS, programs.reads)

    def _buffer(self) -> Iterator[Reading]:
        intake = self._services.intake
        yield Reading(metrics.BUFFER, intake.buffered_bytes)
        yield Reading(metrics.BUFFER_LIMIT, self._services.settings.buffer_max_bytes)
        yield Reading(metrics.UNACKNOWLEDGED, sum(lane.held for lane in intake.lanes))
        yield Reading(metrics.LANES, len(intake.lanes))

    def _frames(self) -> Iterator[Reading]:
        frames = self._services.intake.frames
        yield Reading(metrics.FRAME_EVENTS, frames.events)
        yield Reading(metrics.FRAME_BYTES, frames.bytes)
        yield from counted(metrics.PUT_RETRIES, frames.retries)


def route_label(path: str) -> str:
    """Sanic's `event/<program_id:str>` as `/event/{program_id}`."""
    return "/" + _PARAMETER.sub(r"{\1}", path) if path else ""
