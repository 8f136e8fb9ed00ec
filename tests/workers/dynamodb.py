"""A DynamoDB in memory, with the conditions that leases and state ask for.

Semantics after the DynamoDB API reference (UpdateItem, PutItem, DeleteItem, BatchGetItem, Query): a failed
condition is an error, and reads are consistent. What it adds are the faults of a network: a write or its
answer may be lost, or the write may come late.
"""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, ConnectionClosedError

from schemas.dynamodb import LEASES_KEY, STATE_KEY, KeySchema

LEASES = "leases"
STATE = "state"
ITEM_BYTES = 400 * 1_024
PAGE = 50
_SET = re.compile(r"(\S+) = (:\w+)")
_ADD = re.compile(r"(\S+) (:\w+)")

Row = dict[str, Any]
Table = dict[tuple[str, ...], Row]


class Fault(Enum):
    """What the network does to a write."""

    LOST = "it never arrives"
    UNANSWERED = "it is applied, and the answer lost"
    LATE = "it is applied later, and answered to nobody"


class Commit(NamedTuple):
    """What moved a lease on, and under which token."""

    lease: str
    token: str
    epoch: int


class MemoryDynamoDB:
    """Tables by name. `faults` are what happens to the next writes, one each."""

    def __init__(self, tables: dict[str, KeySchema] | None = None) -> None:
        self.tables: dict[str, Table] = defaultdict(dict)
        self.faults: deque[Fault | None] = deque()
        self.commits: list[Commit] = []
        """Those that were applied, in order."""
        self._keys = tables or {LEASES: LEASES_KEY, STATE: STATE_KEY}
        self.written = asyncio.Event()
        """Set by every write."""
        self._late: list[Callable[[], object]] = []

    def row(self, table: str, *key: str) -> Row:
        return self.tables[table].get(key, {})

    def arrive(self) -> None:
        """What is late is applied now, where its conditions still hold."""
        late, self._late = self._late, []
        for write in late:
            try:
                write()
            except ClientError:
                continue

    async def get_item(self, **request: Any) -> Row:
        assert request["ConsistentRead"]
        await asyncio.sleep(0)
        table = request["TableName"]
        row = self.tables[table].get(self._key(table, request["Key"]))
        return {} if row is None else {"Item": dict(row)}

    async def batch_get_item(self, **request: Any) -> Row:
        await asyncio.sleep(0)
        ((table, asked),) = request["RequestItems"].items()
        assert len(asked["Keys"]) <= 100
        found = [self.tables[table].get(self._key(table, key)) for key in asked["Keys"]]
        return {"Responses": {table: [dict(row) for row in found if row is not None]}}

    async def query(self, **request: Any) -> Row:
        assert request["ConsistentRead"] and request["KeyConditionExpression"] == "lease_key = :key"
        await asyncio.sleep(0)
        table, partition = request["TableName"], request["ExpressionAttributeValues"][":key"]["S"]
        start = self._key(table, request["ExclusiveStartKey"]) if "ExclusiveStartKey" in request else ()
        keys = sorted(key for key in self.tables[table] if key[0] == partition and key > start)
        rows = [dict(self.tables[table][key]) for key in keys[:PAGE]]
        if len(keys) == len(rows):
            return {"Items": rows}
        return {"Items": rows, "LastEvaluatedKey": {name: rows[-1][name] for name in self._names(table)}}

    async def update_item(self, **request: Any) -> Row:
        return {"Attributes": await self._write(lambda: self._update(request))}

    async def put_item(self, **request: Any) -> Row:
        assert _size(request["Item"]) <= ITEM_BYTES
        return await self._write(lambda: self._put(request))

    async def delete_item(self, **request: Any) -> Row:
        return await self._write(lambda: self._delete(request))

    async def _write(self, write: Callable[[], Row]) -> Row:
        await asyncio.sleep(0)
        fault = self.faults.popleft() if self.faults else None
        if fault is Fault.LATE:
            self._late.append(write)
        if fault in (Fault.LOST, Fault.LATE):
            raise ConnectionClosedError(endpoint_url="in memory")
        answer = write()
        self.written.set()
        await asyncio.sleep(0)
        if fault is Fault.UNANSWERED:
            raise ConnectionClosedError(endpoint_url="in memory")
        return answer

    def _update(self, request: Row) -> Row:
        table, key, held = self._held(request, request["Key"])
        row = self.tables[table][key] = _updated(request, held | request["Key"])
        if "epoch = :next" in request["UpdateExpression"]:
            token = request["ExpressionAttributeValues"][":token"]["S"]
            self.commits.append(Commit(key[0], token, int(row["epoch"]["N"])))
        return dict(row)

    def _put(self, request: Row) -> Row:
        table, key, _ = self._held(request, request["Item"])
        self.tables[table][key] = request["Item"]
        return {}

    def _delete(self, request: Row) -> Row:
        table, key, _ = self._held(request, request["Key"])
        self.tables[table].pop(key, None)
        return {}

    def _held(self, request: Row, row: Row) -> tuple[str, tuple[str, ...], Row]:
        """The table, the key, and what is there, if that is as the request wants it."""
        table = request["TableName"]
        key = self._key(table, row)
        held = self.tables[table].get(key, {})
        if not _holds(request, held):
            raise _error("ConditionalCheckFailedException")
        return table, key, held

    def _key(self, table: str, row: Row) -> tuple[str, ...]:
        return tuple(row[name]["S"] for name in self._names(table))

    def _names(self, table: str) -> list[str]:
        return [name for name in self._keys[table] if name is not None]


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return sum(len(name) + _size(each) for name, each in value.items())
    return len(value)


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Write")


def _holds(request: Row, row: Row) -> bool:
    """No condition has both AND and OR in it."""
    condition = request.get("ConditionExpression")
    if condition is None:
        return True
    if " OR " in condition:
        return any(_term(request, term, row) for term in condition.split(" OR "))
    return all(_term(request, term, row) for term in condition.split(" AND "))


def _term(request: Row, term: str, row: Row) -> bool:
    if absent := re.fullmatch(r"attribute_not_exists\((\S+)\)", term):
        return _name(request, absent[1]) not in row
    name, value = term.split(" = ")
    return bool(row.get(_name(request, name)) == request["ExpressionAttributeValues"][value])


def _updated(request: Row, row: Row) -> Row:
    values = request["ExpressionAttributeValues"]
    clauses = re.split(r"\s*\b(SET|REMOVE|ADD)\b\s*", request["UpdateExpression"])[1:]
    for verb, clause in zip(clauses[::2], clauses[1::2], strict=True):
        for part in clause.split(", "):
            if verb == "SET" and (found := _SET.fullmatch(part)):
                row[_name(request, found[1])] = values[found[2]]
            elif verb == "ADD" and (found := _ADD.fullmatch(part)):
                name = _name(request, found[1])
                row[name] = {"N": str(int(row.get(name, {"N": "0"})["N"]) + int(values[found[2]]["N"]))}
            else:
                assert verb == "REMOVE", part
                row.pop(_name(request, part), None)
    return row


def _name(request: Row, alias: str) -> str:
    return str(request.get("ExpressionAttributeNames", {}).get(alias, alias))
