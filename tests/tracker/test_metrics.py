"""What a task says of itself, read as Prometheus reads it."""

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.errors import BufferFullError
from tests.cable import cable
from tests.tracker.server import BODY, ID, Tracker
from tests.tracker.task import eventually, running_task

HEARTBEAT_MS = 100


async def scrape(client: httpx.AsyncClient) -> dict[str, float]:
    """Each sample by its name and labels, as it is written."""
    text = (await client.get("/metrics")).text
    return {
        sample.name
        + "".join(f",{name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_lost_link_shows_and_core_data_grows_stale_until_it_is_back(
    valkey: str, ministack: str, tmp_path: Path
) -> None:
    timing = {"heartbeat_ms": HEARTBEAT_MS, "heartbeat_timeout_ms": 3 * HEARTBEAT_MS}
    async with (
        cable(valkey) as redis,
        running_task(tmp_path, redis_url=redis.url, aws_url=ministack, **timing) as task,
    ):
        await eventually(lambda: _is(task.client, "tracker_link_up", 1))
        assert await _is(task.client, "tracker_core_data_staleness_seconds", 0)

        await redis.cut()
        await eventually(lambda: _is(task.client, "tracker_link_up", 0))
        first = (await scrape(task.client))["tracker_core_data_staleness_seconds"]
        second = (await scrape(task.client))["tracker_core_data_staleness_seconds"]
        assert 0 < first < second

        await redis.heal()
        await eventually(lambda: _is(task.client, "tracker_link_up", 1))
        assert await _is(task.client, "tracker_core_data_staleness_seconds", 0)


async def test_a_task_says_what_it_holds(valkey: str, ministack: str, tmp_path: Path) -> None:
    async with running_task(
        tmp_path, redis_url=valkey, aws_url=ministack, buffer_max_bytes=1_000_000
    ) as task:
        await task.client.get(f"/event/{ID}")
        await task.client.get("/event/unknown")

        metrics = await scrape(task.client)

    assert metrics["tracker_programs"] == 2
    assert metrics["tracker_lanes"] == 2
    assert metrics["tracker_unacknowledged_events"] == metrics["tracker_buffer_bytes"] == 0
    assert metrics["tracker_buffer_limit_bytes"] == 1_000_000
    assert metrics["tracker_events_total,kind=view,outcome=accepted"] == 1
    assert metrics["process_resident_memory_bytes"] > 0


async def test_events_are_counted_by_kind_and_outcome(tracker: Tracker) -> None:
    tracker.set_program(privacy="full")
    tracker.intake.refusals["full"] = BufferFullError("full")
    items = [
        {"programId": ID, "kind": "click"},
        {"programId": ID, "kind": "click", "checksum": "wrong"},
        {"programId": ID, "visitor": "full"},
        {"programId": "unknown"},
        {"kind": "purchase"},
    ]

    await tracker.client.get(f"/event/{ID}?kind=click")
    await tracker.client.get("/event/unknown")
    await tracker.client.post("/events", json=items)

    metrics = await scrape(tracker.client)
    assert {name: value for name, value in metrics.items() if name.startswith("tracker_events")} == {
        "tracker_events_total,kind=click,outcome=accepted": 2,
        "tracker_events_total,kind=click,outcome=bad_checksum": 1,
        "tracker_events_total,kind=view,outcome=buffer_full": 1,
        "tracker_events_total,kind=view,outcome=program_not_found": 2,
        "tracker_events_total,kind=unread,outcome=malformed": 1,
    }


async def test_requests_are_counted_by_route_and_status_and_no_client_makes_up_a_new_one(
    tracker: Tracker,
) -> None:
    for path in (f"/event/{ID}", "/event/unknown", "/nowhere", "/elsewhere"):
        await tracker.client.get(path)
    await tracker.client.request("BREW", f"/event/{ID}")
    await tracker.client.put(f"/programs/{ID}", json=BODY)

    metrics = await scrape(tracker.client)

    assert {name: value for name, value in metrics.items() if name.startswith("tracker_http")} == {
        "tracker_http_requests_total,method=GET,route=/event/{program_id},status=200": 1,
        "tracker_http_requests_total,method=GET,route=/event/{program_id},status=404": 1,
        "tracker_http_requests_total,method=PUT,route=/programs/{program_id},status=202": 1,
        "tracker_http_requests_total,method=,route=,status=404": 2,
        "tracker_http_requests_total,method=,route=,status=405": 1,
    }


async def test_a_served_copy_that_no_level_can_check_is_a_stale_answer(tracker: Tracker) -> None:
    await tracker.client.get(f"/event/{ID}")
    tracker.programs.message_missed()
    tracker.truth.down = True
    for _ in range(2):
        await tracker.client.get(f"/event/{ID}")

    assert await _is(tracker.client, "tracker_core_data_stale_answers_total", 2)


async def _is(client: httpx.AsyncClient, name: str, value: float) -> bool:
    return (await scrape(client))[name] == pytest.approx(value)


async def test_what_is_refused_and_what_no_person_sent_is_counted(tracker: Tracker) -> None:
    tracker.set_program(rate_per_s=2)

    for headers in ({"user-agent": "Googlebot/2.1"}, {"sec-purpose": "prefetch"}, {}, {}):
        await tracker.client.get(f"/event/{ID}", headers=headers)

    metrics = await scrape(tracker.client)
    assert metrics["tracker_events_total,kind=view,outcome=bot"] == 1
    assert metrics["tracker_events_total,kind=view,outcome=prefetch"] == 1
    assert metrics["tracker_events_total,kind=view,outcome=rate_limited"] == 2
