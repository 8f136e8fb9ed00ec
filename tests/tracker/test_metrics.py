"""What a task says of itself, read as Prometheus reads it."""

from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.errors import BufferFullError
from schemas.metrics import TRACKER
from schemas.redis import Record
from tests.cable import cable
from tests.factories import NOW_MS, program
from tests.tracker.server import BODY, ID, Tracker
from tests.tracker.task import Task, eventually, running_task

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

        await eventually(lambda: _beats(task.client))
        metrics = await scrape(task.client)

    assert metrics["tracker_programs"] == 2
    assert metrics["tracker_lanes"] == 2
    assert metrics["tracker_unacknowledged_events"] == metrics["tracker_buffer_bytes"] == 0
    assert metrics["tracker_buffer_limit_bytes"] == 1_000_000
    assert metrics["tracker_events_total,kind=view,outcome=accepted"] == 1
    assert metrics["tracker_frame_events_count"] == metrics["tracker_frame_events_bucket,le=1.0"] == 1
    assert 0 < metrics["tracker_frame_bytes_sum"] < 1_000
    assert metrics["tracker_acknowledgement_seconds_count"] == 1
    assert metrics["process_resident_memory_bytes"] > 0
    assert metrics["process_python_blocks"] > 0


async def test_every_metric_that_is_defined_is_told(tracker: Tracker) -> None:
    tracker.intake.frames.again("failed")
    await tracker.client.get(f"/event/{ID}")
    await tracker.client.get("/metrics")

    text = (await tracker.client.get("/metrics")).text

    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE tracker_")} == {
        metric.name for metric in TRACKER
    }


async def test_reads_of_core_data_are_counted_by_the_level_that_answered(tracker: Tracker) -> None:
    for _ in range(3):
        await tracker.client.get(f"/event/{ID}")
    tracker.truth.down = True
    await tracker.client.get("/event/elsewhere")

    metrics = await scrape(tracker.client)
    assert {name: value for name, value in metrics.items() if "core_data_reads" in name} == {
        "tracker_core_data_reads_total,level=dynamodb": 1,
        "tracker_core_data_reads_total,level=memory": 2,
        "tracker_core_data_reads_total,level=none": 1,
    }


async def test_a_change_is_timed_from_when_it_was_asked_for(tracker: Tracker) -> None:
    changed = program(version=(NOW_MS - 30) * 1_000)
    tracker.truth.records[ID] = Record(changed.version - 1, program())
    await tracker.client.get(f"/event/{ID}")

    for _ in range(2):
        tracker.programs.apply(ID, Record(changed.version, changed))

    metrics = await scrape(tracker.client)
    assert metrics["tracker_invalidation_delay_seconds_count"] == 1
    assert metrics["tracker_invalidation_delay_seconds_sum"] == pytest.approx(0.03)


async def test_each_event_of_a_batch_that_was_acknowledged_is_timed(tracker: Tracker) -> None:
    await tracker.client.post("/events", json=[{"programId": ID}, {"programId": ID}, {"programId": "nosuch"}])

    assert await _is(tracker.client, "tracker_acknowledgement_seconds_count", 2)


async def test_metrics_go_to_the_log_for_cloudwatch_where_they_are_asked_for(
    valkey: str, ministack: str, tmp_path: Path
) -> None:
    asked = {"metrics_namespace": "Ads", "metrics_interval_ms": 50}
    async with running_task(tmp_path, redis_url=valkey, aws_url=ministack, **asked) as task:
        await task.client.get(f"/event/{ID}")

        await eventually(lambda: _has_told(task, "tracker_acknowledgement_seconds"))

    told = [msgspec.json.decode(line) for line in task.log().splitlines() if '"_aws"' in line]
    assert {each["service"] for each in told} == {"tracker"}
    assert sum(each.get("tracker_events_total", 0) for each in told) == 1
    values = [value for each in told for name, value in each.items() if name.startswith("tracker_")]
    assert {type(value) for value in values} <= {int, float, list}


async def _has_told(task: Task, name: str) -> bool:
    return f'"{name}":' in task.log()


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


async def _beats(client: httpx.AsyncClient) -> bool:
    return (await scrape(client))["tracker_event_loop_lag_seconds_count"] > 0


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
