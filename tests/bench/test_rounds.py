"""The bench runs; what it measures is for people to read."""

from typing import Any

import pytest
from aiobotocore.session import get_session

from tests.bench.rounds import Case, measure, run
from tests.bench.targets import DURABLE, bench

pytestmark = pytest.mark.system


async def test_a_tracker_is_measured_against_the_bare_route() -> None:
    async with bench(sink_ms=1) as started:
        await started.fill(3)
        bare, durable = await started.bare(), await started.tracker(DURABLE, ack=DURABLE)
        loads = [
            Case("bare", bare, "get"),
            Case("get", durable, "get", connections=2),
            Case("batch", durable, "msgpack", connections=2),
            Case("steady", durable, "click", connections=2, rate=50),
        ]

        first, *others = await measure(loads, rounds=2, seconds=0.2)

    assert [each.case for each in (first, *others)] == ["bare", "get", "batch", "steady"]
    assert first.to_bare == 1
    assert all(0 < each.latency_ms.p50 <= each.latency_ms.p999 for each in others)
    assert [each.lag_ms is not None for each in others] == [False, False, True]
    assert others[1].events_per_cpu_s == 100 * others[1].per_cpu_s


async def test_each_program_is_asked_for_once_where_memory_is_to_be_cold() -> None:
    async with bench(sink_ms=1) as started:
        await started.fill(1_500)
        durable = await started.tracker(DURABLE, ack=DURABLE, programs_max=2_000)

        seen = await run(Case("cold", durable, "get", programs=1_500), 0, once=True)

    assert (seen.requests, seen.statuses) == (1_500, {"200": 1_500})


async def test_the_sink_speaks_as_a_client_of_aws_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "bench")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "bench")
    async with bench(sink_ms=1) as started, _client(await started.sink(shards=2)) as kinesis:
        listed = await kinesis.list_shards(StreamName="events")
        starts = [shard["HashKeyRange"]["StartingHashKey"] for shard in listed["Shards"]]
        records = [{"Data": b"x", "PartitionKey": "0", "ExplicitHashKey": start} for start in starts]
        confirmed = await kinesis.put_records(StreamName="events", Records=records)

    assert starts == ["0", str(2**127)]
    assert [each["ShardId"] for each in confirmed["Records"]] == [
        each["ShardId"] for each in listed["Shards"]
    ]


def _client(url: str) -> Any:
    return get_session().create_client("kinesis", region_name="us-east-1", endpoint_url=url)
