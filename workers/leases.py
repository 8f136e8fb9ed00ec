"""`python -m workers leases`: who reads which shard, and how far behind each reader is."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Protocol

from schemas.leases import Lease, lease_from_row
from workers.runtime.clock import Clock
from workers.runtime.positions import position_of
from workers.runtime.source import AWS_ERRORS

HEADER = ("READER", "STREAM", "SHARD", "OWNER", "BEHIND")
NOBODY = "-"
AT_END = "at its end"
UNKNOWN = "?"


class DynamoDB(Protocol):
    """What the list asks of a DynamoDB client."""

    async def scan(self, **request: Any) -> dict[str, Any]: ...


class Kinesis(Protocol):
    """What the list asks of a Kinesis client."""

    async def get_shard_iterator(self, **request: Any) -> dict[str, Any]: ...

    async def get_records(self, **request: Any) -> dict[str, Any]: ...


class LeaseLine(NamedTuple):
    """A lease as it is shown."""

    reader: str
    stream: str
    shard: str
    owner: str
    behind: str


class LeaseList:
    """The leases of a table. Its look at each shard is one of the five reads a second that it takes.

    Raises what AWS raises where the table does not answer; a shard that does not is shown as unknown.
    """

    def __init__(self, dynamodb: DynamoDB, kinesis: Kinesis, clock: Clock, *, table: str) -> None:
        self._dynamodb = dynamodb
        self._kinesis = kinesis
        self._table = table
        self._clock = clock

    async def lines(self) -> list[LeaseLine]:
        """All of them, by reader, stream and shard. A hosted function owns no leases: it reads alone."""
        return sorted([await self._line(lease) async for lease in self._leases()])

    async def _leases(self) -> AsyncIterator[Lease]:
        page: dict[str, Any] = {}
        while True:
            answer = await self._dynamodb.scan(TableName=self._table, ConsistentRead=True, **page)
            for row in answer["Items"]:
                yield lease_from_row(row)
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def _line(self, lease: Lease) -> LeaseLine:
        reader, stream, shard = lease.key.split("/", 2)
        wanted = f" (wanted by {lease.wanted_by})" if lease.wanted_by else ""
        behind = AT_END if lease.has_ended else await self._behind(stream, shard, lease)
        return LeaseLine(reader, stream, shard, (lease.owner or NOBODY) + wanted, behind)

    async def _behind(self, stream: str, shard: str, lease: Lease) -> str:
        """By how long ago the oldest record arrived that is not done with."""
        after = position_of(lease).after
        start = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
        try:
            found = await self._kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **start)
            answer = await self._kinesis.get_records(ShardIterator=found["ShardIterator"], Limit=1)
        except AWS_ERRORS:
            return UNKNOWN
        behind_ms = answer.get("MillisBehindLatest", 0)
        for record in answer["Records"]:
            behind_ms = self._clock.now_ms() - record["ApproximateArrivalTimestamp"].timestamp() * 1000
        return f"{max(0, behind_ms) / 1000:.1f} s"


def table(lines: Sequence[LeaseLine]) -> str:
    """The lines under their header, in columns."""
    rows = [HEADER, *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    padded = (zip(row, widths, strict=True) for row in rows)
    return "\n".join("  ".join(text.ljust(width) for text, width in row).rstrip() for row in padded)
