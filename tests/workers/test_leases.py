from typing import Any

import pytest

from schemas.leases import SHARD_END, lease_key
from workers.__main__ import main
from workers.leases import LeaseLine, LeaseList, table
from workers.runtime.clock import ManualClock, WallClock
from workers.runtime.lease_table import LeaseTable
from workers.runtime.positions import DynamoDBPositions

FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"
MINUTE_MS = 60_000


async def taken(dynamodb: Any, leases_table: str, stream: str, shard_id: str, *, owner: str) -> None:
    leases = LeaseTable(dynamodb, leases_table, timeout_s=5)
    key = lease_key("tally", stream, shard_id)
    await leases.take((await leases.read([key]))[key], owner=owner, token=owner)


async def lines(dynamodb: Any, kinesis: Any, leases_table: str, *, later_ms: int = 0) -> list[LeaseLine]:
    clock = ManualClock(WallClock().now_ms() + later_ms)
    return await LeaseList(dynamodb, kinesis, clock, table=leases_table).lines()


async def put(kinesis: Any, stream: str) -> str:
    """The sequence number of a new record on the first shard."""
    answer = await kinesis.put_record(StreamName=stream, Data=b"x", PartitionKey="k", ExplicitHashKey="0")
    return str(answer["SequenceNumber"])


async def test_a_lease_shows_its_owner_and_that_it_is_at_the_tip(
    dynamodb: Any, kinesis: Any, leases_table: str, stream: str
) -> None:
    await taken(dynamodb, leases_table, stream, FIRST, owner="worker-1")
    await taken(dynamodb, leases_table, stream, SECOND, owner="worker-2")

    assert await lines(dynamodb, kinesis, leases_table) == [
        LeaseLine("tally", stream, FIRST, "worker-1", "0.0 s"),
        LeaseLine("tally", stream, SECOND, "worker-2", "0.0 s"),
    ]


async def test_a_reader_is_behind_by_the_age_of_what_it_has_not_done(
    dynamodb: Any, kinesis: Any, leases_table: str, stream: str
) -> None:
    positions = DynamoDBPositions(dynamodb, table=leases_table, application="persist", stream=stream)
    await positions.save(FIRST, await put(kinesis, stream))
    await put(kinesis, stream)

    (line,) = await lines(dynamodb, kinesis, leases_table, later_ms=MINUTE_MS)

    assert (line.reader, line.owner) == ("persist", "-")
    assert 60 <= float(line.behind.removesuffix(" s")) < 120


async def test_who_asked_for_a_lease_is_named(
    dynamodb: Any, kinesis: Any, leases_table: str, stream: str
) -> None:
    await taken(dynamodb, leases_table, stream, FIRST, owner="worker-1")
    leases, key = LeaseTable(dynamodb, leases_table, timeout_s=5), lease_key("tally", stream, FIRST)
    await leases.ask((await leases.read([key]))[key], by="worker-2")

    (line,) = await lines(dynamodb, kinesis, leases_table)

    assert line.owner == "worker-1 (wanted by worker-2)"


async def test_a_shard_at_its_end_and_one_that_is_gone_say_so(
    dynamodb: Any, kinesis: Any, leases_table: str, stream: str
) -> None:
    await DynamoDBPositions(dynamodb, table=leases_table, application="persist", stream=stream).save(
        FIRST, SHARD_END
    )
    await taken(dynamodb, leases_table, "nowhere", FIRST, owner="worker-1")

    assert [line.behind for line in await lines(dynamodb, kinesis, leases_table)] == ["at its end", "?"]


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert table([LeaseLine("tally", "events", FIRST, "-", "0.0 s")]).splitlines() == [
        "READER  STREAM  SHARD                 OWNER  BEHIND",
        "tally   events  shardId-000000000000  -      0.0 s",
    ]


def test_the_command_says_what_it_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leases"], {}) == 2
    assert "LEASES_TABLE is not set" in capsys.readouterr().err
