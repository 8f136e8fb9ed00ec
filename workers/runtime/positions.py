"""How far each shard of a stream has been read, kept where the next reader finds it."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

from schemas.errors import UnavailableError
from schemas.leases import Lease, Row, lease_key, lease_row_key
from workers.runtime.source import AWS_ERRORS, Shard


class Position(NamedTuple):
    """How far a shard is done with: up to `after`, it included, and `done` events of record `partial`."""

    after: str | None = None
    partial: str | None = None
    done: int = 0


def position_of(lease: Lease) -> Position:
    """Where whoever takes the lease goes on."""
    if lease.half_done is None:
        return Position(lease.checkpoint)
    record, _, done = lease.half_done.rpartition("/")
    return Position(lease.checkpoint, record, int(done))


class Positions(Protocol):
    """The positions of one application on one stream, by shard. Raises UnavailableError."""

    async def load(self, shard_id: str) -> str | None:
        """The last sequence number that is done with, SHARD_END, or None where nothing is."""

    async def save(self, shard_id: str, sequence_number: str) -> None:
        """Records that everything up to `sequence_number`, it included, is done with."""


class DynamoDB(Protocol):
    """What positions ask of a DynamoDB client."""

    async def get_item(self, **request: Any) -> dict[str, Any]: ...

    async def update_item(self, **request: Any) -> dict[str, Any]: ...


class DynamoDBPositions:
    """Positions in the leases table: one row a shard, `checkpoint` beside whatever else is in it.

    A save asks for no ownership: an application may have one reader of a stream at a time.
    """

    def __init__(self, dynamodb: DynamoDB, *, table: str, application: str, stream: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._application = application
        self._stream = stream

    async def load(self, shard_id: str) -> str | None:
        try:
            answer = await self._dynamodb.get_item(
                TableName=self._table, Key=self._key(shard_id), ConsistentRead=True
            )
        except AWS_ERRORS as error:
            raise self._unavailable(error) from error
        checkpoint = answer.get("Item", {}).get("checkpoint")
        return None if checkpoint is None else str(checkpoint["S"])

    async def save(self, shard_id: str, sequence_number: str) -> None:
        try:
            await self._dynamodb.update_item(
                TableName=self._table,
                Key=self._key(shard_id),
                UpdateExpression="SET checkpoint = :checkpoint",
                ExpressionAttributeValues={":checkpoint": {"S": sequence_number}},
            )
        except AWS_ERRORS as error:
            raise self._unavailable(error) from error

    def _key(self, shard_id: str) -> Row:
        return lease_row_key(lease_key(self._application, self._stream, shard_id))

    def _unavailable(self, error: Exception) -> UnavailableError:
        return UnavailableError(f"table {self._table}: {str(error) or type(error).__name__}")


def readable(shards: Sequence[Shard], ended: Collection[str]) -> list[str]:
    """The shards to read now: not at SHARD_END themselves, but each of their parents is.

    A parent that the stream no longer lists has expired and holds nobody up. So a key's records
    keep their order through splits and merges (KCL, "lease lifecycle").
    """
    unread = {shard.shard_id for shard in shards} - set(ended)
    return [
        shard.shard_id for shard in shards if shard.shard_id in unread and unread.isdisjoint(shard.parents)
    ]
