"""Progress: how far behind the newest record each reader of a shard is, and how much it has read."""

from collections import Counter
from collections.abc import Iterator
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


class Progress:
    """Of one process."""

    def __init__(self) -> None:
        self._lags_ms: dict[Place, int] = {}
        self._records: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def following(self, place: Place) -> Iterator[Told]:
        """What a reader tells of each of its reads, until it lets the shard go."""
        try:
            yield partial(self._read, place)
        finally:
            self._lags_ms.pop(place, None)

    def readings(self) -> Iterator[Reading]:
        yield from counted(WORKER_RECORDS, self._records)
        for place, lag_ms in self._lags_ms.items():
            yield Reading(WORKER_LAG, lag_ms / 1000, place)

    def _read(self, place: Place, records: int, lag_ms: int) -> None:
        self._records[place.reader, place.stream] += records
        self._lags_ms[place] = lag_ms
