"""Progress: how far behind the newest record each reader of a shard is, and how much it has read."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from schemas.metrics import WORKER_LAG, WORKER_RECORDS, Reading, counted
from workers.runtime.source import Told


class Place(NamedTuple):
    """Who reads what: an agent, or a hosted function."""

    reader: str
    stream: str
    shard_id: str


class LastRead(NamedTuple):
    """When a shard was read last, and how far behind the newest record that was."""

    lag_ms: int
    at_ms: int


class Progress:
    """Of one process."""

    def __init__(self, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._clock_ms = clock_ms
        self._last: dict[Place, LastRead] = {}
        self._records: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def following(self, place: Place) -> Iterator[Told]:
        """What a reader tells of each of its reads, until it lets the shard go."""
        try:
            yield partial(self._read, place)
        finally:
            self._last.pop(place, None)

    def last_reads(self) -> dict[Place, LastRead]:
        """Of each place that is followed."""
        return dict(self._last)

    def readings(self) -> Iterator[Reading]:
        yield from counted(WORKER_RECORDS, self._records)
        for place, last in self._last.items():
            yield Reading(WORKER_LAG, last.lag_ms / 1000, place)

    def _read(self, place: Place, records: int, lag_ms: int) -> None:
        self._records[place.reader, place.stream] += records
        self._last[place] = LastRead(lag_ms, self._clock_ms())
