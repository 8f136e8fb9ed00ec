"""An agent's tables in DynamoDB, an item an entry, written in one with the position of their shard.

A commit is a transaction under the token of the lease and the epoch of the commit before, so it applies
once, and only while the lease is this worker's. TransactWriteItems takes 100 items and 4 MB (DynamoDB API
reference). A larger commit is several transactions:

1. All but the last write entries with the new epoch, and beside the new value the previous one. The
   lease still says the old epoch, so nobody sees the new values yet.
2. The last writes the other entries, the position and the new epoch: that shows them all.

Where a worker ends between the two, the next finds entries of an epoch that the lease has not reached. It
takes their previous value, and its first commit writes them again. So a commit is whole or not at all.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from schemas.errors import LeaseLostError
from schemas.leases import (
    Entry,
    Lease,
    Row,
    entry_from_row,
    entry_row,
    entry_row_key,
    lease_from_row,
    lease_row_key,
)
from workers.runtime.lease_table import attribute, code_of, unavailable
from workers.runtime.positions import Position
from workers.runtime.source import AWS_ERRORS
from workers.runtime.state import State
from workers.runtime.table import Change

ENTRIES_PER_WRITE = 99
"""100 items a transaction, one of them the lease."""
BYTES_PER_WRITE = 3_500_000
"""Of 4 MB, that the names of attributes count in too."""
ENTRY_BYTES = 200
"""What an entry takes beside its key and values, at most."""


log = logging.getLogger(__name__)


class DynamoDB(Protocol):
    """What state asks of a DynamoDB client."""

    async def get_item(self, **request: Any) -> dict[str, Any]: ...

    async def query(self, **request: Any) -> dict[str, Any]: ...

    async def transact_write_items(self, **request: Any) -> dict[str, Any]: ...


class Changed(NamedTuple):
    """A change, and the table it is of."""

    table: str
    change: Change

    @property
    def size(self) -> int:
        change = self.change
        values = len(change.value or b"") + len(change.committed or b"")
        return ENTRY_BYTES + len(change.key.encode()) + len(self.table) + values


class StateTable:
    """Reads and writes the state of one lease, under its token. One caller at a time."""

    def __init__(self, dynamodb: DynamoDB, lease: Lease, *, leases_table: str, state_table: str) -> None:
        self._dynamodb = dynamodb
        self._lease = lease
        self._epoch = lease.epoch
        self._leases_table = leases_table
        self._state_table = state_table

    async def read(self, lease_key: str) -> list[Entry]:
        """Every entry of a lease, as last written. Raises UnavailableError."""
        try:
            return [entry_from_row(row) async for row in self._rows(lease_key)]
        except AWS_ERRORS as error:
            raise unavailable(self._state_table, error) from error

    async def commit(self, position: Position, state: State) -> None:
        """Writes what changed, and the position. Raises LeaseLostError, or UnavailableError: then what
        it was given is to be given again, unchanged.
        """
        changed = [Changed(name, change) for name, each in state.tables.items() for change in each.changes()]
        *staged, last = pieces(changed) or [[]]
        for piece in staged:
            await self._write([{"ConditionCheck": self._held()}, *(self._staged(each) for each in piece)])
        moves = {"Update": self._held() | self._moves(position, state.watermark_ms)}
        await self._write([moves, *(self._replaced(each) for each in last)])
        self._epoch += 1
        log.debug("%s: commit %d under %s", self._lease.key, self._epoch, self._lease.token)

    async def _write(self, writes: list[dict[str, Any]]) -> None:
        try:
            await self._dynamodb.transact_write_items(TransactItems=writes)
        except AWS_ERRORS as error:
            if not _is_refused(error):
                raise unavailable(self._leases_table, error) from error
            if not await self._is_written():
                raise LeaseLostError(f"{self._lease.key} is no longer held as it was") from error

    async def _is_written(self) -> bool:
        """Whether an earlier attempt has written it all, though its answer was lost."""
        try:
            answer = await self._dynamodb.get_item(
                TableName=self._leases_table, Key=lease_row_key(self._lease.key), ConsistentRead=True
            )
        except AWS_ERRORS as error:
            raise unavailable(self._leases_table, error) from error
        found = lease_from_row(answer["Item"]) if "Item" in answer else None
        return found is not None and (found.token, found.epoch) == (self._lease.token, self._epoch + 1)

    def _held(self) -> dict[str, Any]:
        """The condition that the lease is this acquisition's, and nothing was committed since."""
        first = "attribute_not_exists(epoch)"
        return {
            "TableName": self._leases_table,
            "Key": lease_row_key(self._lease.key),
            "ConditionExpression": f"#token = :token AND {'epoch = :epoch' if self._epoch else first}",
            "ExpressionAttributeNames": {"#token": "token"},
            "ExpressionAttributeValues": {":token": attribute(self._lease.token or "")}
            | ({":epoch": attribute(self._epoch)} if self._epoch else {}),
        }

    def _moves(self, position: Position, watermark_ms: int) -> dict[str, Any]:
        half_done = None if position.partial is None else f"{position.partial}/{position.done}"
        texts = {"checkpoint": position.after, "half_done": half_done}
        values: dict[str, str | int] = {"next": self._epoch + 1, "watermark_ms": watermark_ms}
        values |= {name: text for name, text in texts.items() if text is not None}
        sets = ["epoch = :next", *(f"{name} = :{name}" for name in values if name != "next")]
        gone = [name for name, text in texts.items() if text is None]
        held = self._held()
        return {
            "UpdateExpression": f"SET {', '.join(sets)}" + (f" REMOVE {', '.join(gone)}" if gone else ""),
            "ExpressionAttributeValues": held["ExpressionAttributeValues"]
            | {f":{name}": attribute(value) for name, value in values.items()},
        }

    def _put(self, changed: Changed, *, previous: bytes | None) -> dict[str, Any]:
        entry = Entry(changed.table, changed.change.key, self._epoch + 1, changed.change.value, previous)
        return {"Put": {"TableName": self._state_table, "Item": entry_row(self._lease.key, entry)}}

    def _staged(self, changed: Changed) -> dict[str, Any]:
        """Leaves what was there to be seen; where nothing was or is to be, so is the item gone."""
        if changed.change.value is None and changed.change.committed is None:
            return self._replaced(changed)
        return self._put(changed, previous=changed.change.committed)

    def _replaced(self, changed: Changed) -> dict[str, Any]:
        if changed.change.value is not None:
            return self._put(changed, previous=None)
        key = entry_row_key(self._lease.key, changed.table, changed.change.key)
        return {"Delete": {"TableName": self._state_table, "Key": key}}

    async def _rows(self, lease_key: str) -> AsyncIterator[Row]:
        page: dict[str, Any] = {}
        while True:
            answer = await self._dynamodb.query(
                TableName=self._state_table,
                KeyConditionExpression="lease_key = :key",
                ExpressionAttributeValues={":key": {"S": lease_key}},
                ConsistentRead=True,
                **page,
            )
            for row in answer["Items"]:
                yield row
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def pieces(changed: Iterable[Changed]) -> list[list[Changed]]:
    """The changes in their order, as many in each as a transaction takes."""
    made: list[list[Changed]] = []
    room = 0
    for each in changed:
        if not made or each.size > room or len(made[-1]) == ENTRIES_PER_WRITE:
            made.append([])
            room = BYTES_PER_WRITE
        made[-1].append(each)
        room -= each.size
    return made


def _is_refused(error: Exception) -> bool:
    """Whether a condition did not hold. Conflicts and throttling, of the same exception, pass."""
    if code_of(error) != "TransactionCanceledException":
        return False
    reasons: Sequence[dict[str, Any]] = getattr(error, "response", {}).get("CancellationReasons", [])
    return any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons)
