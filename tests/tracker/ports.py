"""In-memory ports of the tracker, and its settings in tests."""

import asyncio
from typing import Any

from schemas.errors import CoreDataUnavailableError
from schemas.redis import Record
from tests.factories import NOW_MS
from tracker.settings import TrackerSettings


class Clock:
    """A wall clock that moves when told."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


class FakeLevel:
    """A level of core data in memory: can be down, and can hold its answer back."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.reads = 0
        self.down = False
        self.asked = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()

    async def read(self, program_id: str) -> Record | None:
        self.reads += 1
        self.asked.set()
        record = self.records.get(program_id)
        await self.answering.wait()
        self._check()
        return record

    async def fill(self, program_id: str, record: Record) -> None:
        self._check()
        held = self.records.get(program_id)
        if held is None or record.version > held.version:
            self.records[program_id] = record

    def _check(self) -> None:
        if self.down:
            raise CoreDataUnavailableError("down")


def tracker_settings(**fields: Any) -> TrackerSettings:
    """Settings of a tracker with the names of the test stack."""
    names = {
        "event_stream": "events",
        "update_stream": "updates",
        "events_table": "events",
        "programs_table": "programs",
        "totals_table": "totals",
    }
    return TrackerSettings(**(names | fields))
