"""Reports come at their time, and once more at the end."""

import asyncio

import msgspec

from schemas.emf import EmbeddedMetrics
from schemas.metrics import EVENTS, Reading
from tests.factories import NOW_MS
from workers.runtime.reports import Reports


async def test_metrics_are_reported_as_often_as_told_and_at_the_end() -> None:
    count, written, twice = 0, list[str](), asyncio.Event()

    def readings() -> list[Reading]:
        nonlocal count
        count += 1
        return [Reading(EVENTS, count, ("view", "accepted"))]

    def write(line: str) -> None:
        written.append(line)
        if len(written) == 2:
            twice.set()

    reports = Reports(
        readings,
        EmbeddedMetrics(namespace="Ads", service="tracker"),
        interval_ms=1,
        clock_ms=lambda: NOW_MS,
        write=write,
    )
    running = asyncio.create_task(reports.run())
    await asyncio.wait_for(twice.wait(), 10)
    running.cancel()
    await asyncio.wait([running])

    assert len(written) == count
    assert {msgspec.json.decode(line)["tracker_events_total"] for line in written} == {1}
