"""An agent's tables in DynamoDB: a log of commits, of which the row of the lease says how far it counts.

A commit, under the token of the lease and the epoch of the commit before:

1. puts what it says as items of the log, over those that count no more, or new ones;
2. updates the row of the lease: position, watermark, epoch, and the log's head and tail. That alone shows
   it, so a commit is whole or not at all, and applies once.

An item is put over another only where that is still what this worker knows it to be. What counts no more
never counts again, so a worker that has lost the lease without knowing harms nobody: of two that want an
item the second takes another. Items that lie about when a worker begins are free only after its first
commit: until then one of an earlier run under the same token may still be on its way.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Protocol
from uuid import uuid4

import msgspec

from schemas.errors import LeaseLostError
from schemas.leases import Lease, lease_from_row, lease_row_key
from schemas.state import Entry, Piece, commit_id, epoch_of, pack, piece_from_row, piece_row, piece_row_key
from workers.runtime.lease_table import LOST, attribute, code_of, unavailable
from workers.runtime.log import Draft, Log, Slot, Slots, Tables, history, pieces, replay
from workers.runtime.positions import Position
from workers.runtime.source import AWS_ERRORS
from workers.runtime.state import State

DELETES_PER_COMMIT = 25
UNIT_BYTES = 1_024
"""What a write unit is enough for."""
ITEM_BYTES = 200
"""What an item takes beside its data, about."""

log = logging.getLogger(__name__)


class DynamoDB(Protocol):
    """What state asks of a DynamoDB client."""

    async def delete_item(self, **request: Any) -> dict[str, Any]: ...

    async def get_item(self, **request: Any) -> dict[str, Any]: ...

    async def put_item(self, **request: Any) -> dict[str, Any]: ...

    async def query(self, **request: Any) -> dict[str, Any]: ...

    async def update_item(self, **request: Any) -> dict[str, Any]: ...


class Commit(msgspec.Struct):
    """A commit on its way. The first of `left` is for `slot`, once that is chosen, and may be there."""

    id: str
    draft: Draft
    pieces: int
    left: list[list[Entry]]
    slot: Slot | None = None
    slots: list[Slot] = []


class StateTable:
    """Reads and writes the state of one lease, under its token. One caller at a time."""

    def __init__(
        self, dynamodb: DynamoDB, lease: Lease, *, leases_table: str, state_table: str, log_min_bytes: int
    ) -> None:
        self.writer = uuid4().hex
        """The name of this run on the shard, which no other has."""
        self.log = Log(least_bytes=log_min_bytes)
        self.slots = Slots()
        self._dynamodb = dynamodb
        self._lease = lease
        self._epoch = lease.epoch
        self._head = lease.head
        self._leases_table = leases_table
        self._state_table = state_table
        self._least_units = log_min_bytes // UNIT_BYTES
        self._lying_about: list[Slot] = []
        self._commit: Commit | None = None

    async def load(self, tables: Tables) -> None:
        """Fills empty tables with what was committed last. Once, and first. Raises UnavailableError."""
        found = await self._read(self._lease.key)
        for commit in history(self._lease, found):
            entries = await _replayed(commit, tables)
            self.log.add(epoch_of(commit[0].commit_id), entries, [_slot(piece) for piece in commit])
        self.slots = Slots(piece.slot for piece in found)
        counting = set(self.log.slots)
        self._lying_about = [slot for slot in map(_slot, found) if slot not in counting]

    async def load_from(self, lease: Lease, tables: Tables) -> None:
        """Fills empty tables with what was committed last under another lease. Raises UnavailableError."""
        for commit in history(lease, await self._read(lease.key)):
            await _replayed(commit, tables)

    async def commit(self, position: Position, state: State) -> None:
        """Writes what changed, and the position. Raises LeaseLostError, or UnavailableError: then what
        it was given is to be given again, unchanged.
        """
        commit = self._commit = self._commit or self._begun(state)
        while commit.left:
            await self._put(commit)
        await self._show(commit, position, state.watermark_ms)
        self._settle(commit)
        log.debug("%s: commit %d under %s", self._lease.key, self._epoch, self._lease.token)
        await self._delete_surplus()

    def _begun(self, state: State) -> Commit:
        draft = self.log.draft(state.tables, self._epoch + 1)
        left = pieces(draft.entries)
        return Commit(commit_id(self._epoch + 1, self.writer), draft, len(left), left)

    async def _put(self, commit: Commit) -> None:
        """Puts the next piece, unless its slot has been taken: then another is tried."""
        data = pack(commit.left[0])
        units = _units(data)
        slot = commit.slot = commit.slot or self.slots.take(units)
        piece = Piece(
            slot=slot.number, commit_id=commit.id, pieces=commit.pieces, previous=self._head, data=data
        )
        if await self._is_put(piece, over=slot.commit_id):
            commit.slots.append(Slot(slot.number, commit.id, units))
            del commit.left[0]
        commit.slot = None

    async def _is_put(self, piece: Piece, *, over: str | None) -> bool:
        """Whether it is there, be it by an earlier attempt."""
        known = "attribute_not_exists(commit_id)" if over is None else "commit_id = :known"
        values = {":own": piece.commit_id} | ({} if over is None else {":known": over})
        try:
            await self._dynamodb.put_item(
                TableName=self._state_table,
                Item=piece_row(self._lease.key, piece),
                ConditionExpression=f"{known} OR commit_id = :own",
                ExpressionAttributeValues={name: attribute(value) for name, value in values.items()},
            )
        except AWS_ERRORS as error:
            if code_of(error) != LOST:
                raise unavailable(self._state_table, error) from error
            return False
        return True

    async def _show(self, commit: Commit, position: Position, watermark_ms: int) -> None:
        """Moves the lease on to the commit, unless an earlier attempt has, though its answer was lost."""
        try:
            await self._dynamodb.update_item(**self._moved(commit, position, watermark_ms))
        except AWS_ERRORS as error:
            if code_of(error) != LOST:
                raise unavailable(self._leases_table, error) from error
            if not await self._is_shown():
                raise LeaseLostError(f"{self._lease.key} is no longer held as it was") from error

    def _moved(self, commit: Commit, position: Position, watermark_ms: int) -> dict[str, Any]:
        half_done = None if position.partial is None else f"{position.partial}/{position.done}"
        head = commit.id if commit.pieces else self._head
        texts = {"checkpoint": position.after, "half_done": half_done, "head": head, "writer": self.writer}
        sets: dict[str, str | int] = {name: text for name, text in texts.items() if text is not None}
        sets |= {"watermark_ms": watermark_ms, "tail": commit.draft.tail}
        gone = [name for name, text in texts.items() if text is None]
        values = sets | {"token": self._lease.token or "", "next": self._epoch + 1}
        last = "attribute_not_exists(epoch)"
        if self._epoch:
            last, values["last"] = "epoch = :last", self._epoch
        return {
            "TableName": self._leases_table,
            "Key": lease_row_key(self._lease.key),
            "UpdateExpression": ", ".join(["SET epoch = :next", *(f"{name} = :{name}" for name in sets)])
            + (f" REMOVE {', '.join(gone)}" if gone else ""),
            "ConditionExpression": f"#token = :token AND {last}",
            "ExpressionAttributeNames": {"#token": "token"},
            "ExpressionAttributeValues": {f":{name}": attribute(value) for name, value in values.items()},
        }

    async def _is_shown(self) -> bool:
        try:
            answer = await self._dynamodb.get_item(
                TableName=self._leases_table, Key=lease_row_key(self._lease.key), ConsistentRead=True
            )
        except AWS_ERRORS as error:
            raise unavailable(self._leases_table, error) from error
        found = lease_from_row(answer["Item"]) if "Item" in answer else None
        return found is not None and (found.writer, found.epoch) == (self.writer, self._epoch + 1)

    def _settle(self, commit: Commit) -> None:
        """The commit counts; what it has made needless is free."""
        self._epoch += 1
        if commit.pieces:
            self._head = commit.id
            self.log.add(self._epoch, commit.draft.entries, commit.slots)
        self.slots.free += self._lying_about + self.log.drop(commit.draft.tail)
        self._lying_about = []
        self._commit = None

    def _surplus(self) -> list[Slot]:
        counting = sum(slot.units for slot in self.log.slots)
        return self.slots.surplus(max(self._least_units, counting))[:DELETES_PER_COMMIT]

    async def _delete_surplus(self) -> None:
        """Deletes items that are free, where they are too many. What fails is left to a later commit."""
        for slot in self._surplus():
            try:
                await self._dynamodb.delete_item(
                    TableName=self._state_table,
                    Key=piece_row_key(self._lease.key, slot.number),
                    ConditionExpression="commit_id = :known",
                    ExpressionAttributeValues={":known": attribute(slot.commit_id or "")},
                )
            except AWS_ERRORS as error:
                if code_of(error) != LOST:
                    log.info("%s: %s is deleted later", self._lease.key, slot)
                    return
            self.slots.free.remove(slot)

    async def _read(self, lease_key: str) -> list[Piece]:
        """All items of a lease."""
        try:
            return [piece async for piece in self._pieces(lease_key)]
        except AWS_ERRORS as error:
            raise unavailable(self._state_table, error) from error

    async def _pieces(self, lease_key: str) -> AsyncIterator[Piece]:
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
                yield piece_from_row(row)
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


async def _replayed(commit: list[Piece], tables: Tables) -> list[Entry]:
    """What it says. Others get their turn after each piece."""
    entries = []
    for piece in commit:
        entries += replay(piece, tables)
        await asyncio.sleep(0)
    return entries


def _slot(piece: Piece) -> Slot:
    return Slot(piece.slot, piece.commit_id, _units(piece.data))


def _units(data: bytes) -> int:
    """What it costs to write an item with this."""
    return -(-(ITEM_BYTES + len(data)) // UNIT_BYTES)
