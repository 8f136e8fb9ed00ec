"""The Lambdas' ports in memory, with a hook at every step and faults on demand."""

import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError
from redis.exceptions import ConnectionError as NotConnectedError

from lambdas.lanes import ItemAnswer, QueryAnswer
from lambdas.relay import Entry, EntryAnswer, PutAnswer
from lambdas.store import ExecuteAnswer, GetAnswer, KeysAndAttributes, Statement, StatementAnswer
from schemas.dynamodb import AttributeValue, Item, KeySchema
from schemas.redis import PROGRAM_KEYS, Change, HealthChange, program_key

LANES_PER_PAGE = 2
MOST_STATEMENTS = 25
MOST_KEYS = 100
_PROGRAM_KEYS = re.compile(PROGRAM_KEYS.replace("*", ".*"))
_INSERT = re.compile(r"""INSERT INTO "(\S+)" VALUE \{(.*)\}""")
_OPERATORS = {"=": operator.eq, "<>": operator.ne, "<": operator.lt}
_NOT_THERE = re.compile(r"attribute_not_exists\((\w+)\)")


class Killed(BaseException):
    """The process is gone: nothing catches this."""


def client_error(code: str, *, item: Item | None = None) -> ClientError:
    """An error as botocore raises it."""
    response: dict[str, Any] = {"Error": {"Code": code, "Message": f"{code} on demand"}}
    return ClientError(response if item is None else response | {"Item": item}, "Operation")


class Steps:
    """Sees the moment before and after each call of a port: `before get_item`, `after get_item`."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.hook: Callable[[str], None] = lambda step: None
        self.faults: defaultdict[str, list[BaseException]] = defaultdict(list)
        self._lock = Lock()

    def kill_at(self, number: int) -> None:
        """Kills at the step of that number, counted from here on."""
        first = len(self.seen)

        def kill(step: str) -> None:
            if len(self.seen) == first + number + 1:
                raise Killed(step)

        self.hook = kill

    @contextmanager
    def call(self, operation: str) -> Iterator[None]:
        self._pass(f"before {operation}")
        if self.faults[operation]:
            raise self.faults[operation].pop(0)
        yield
        self._pass(f"after {operation}")

    def _pass(self, step: str) -> None:
        with self._lock:
            self.seen.append(step)
        self.hook(step)


class MemoryDynamoDB:
    """Tables with insert-if-absent, conditional puts and paged queries.

    `refusal(item)` may name the error code of one INSERT; `unprocessed` is how many keys each of the
    next calls of BatchGetItem leaves over.
    """

    def __init__(self, steps: Steps, tables: dict[str, KeySchema]) -> None:
        self.tables: dict[str, dict[tuple[str, ...], Item]] = {name: {} for name in tables}
        self.refusal: Callable[[Item], str | None] = lambda item: None
        self.unprocessed: list[int] = []
        self._keys = tables
        self.steps = steps
        self._lock = Lock()

    def batch_execute_statement(self, *, Statements: list[Statement]) -> ExecuteAnswer:
        assert 1 <= len(Statements) <= MOST_STATEMENTS
        with self.steps.call("batch_execute_statement"), self._lock:
            return {"Responses": [self._insert(statement) for statement in Statements]}

    def batch_get_item(self, *, RequestItems: dict[str, KeysAndAttributes]) -> GetAnswer:
        with self.steps.call("batch_get_item"), self._lock:
            ((table, request),) = RequestItems.items()
            keys = request["Keys"]
            assert len(keys) <= MOST_KEYS and request["ConsistentRead"]
            left = self.unprocessed.pop(0) if self.unprocessed else 0
            answered = keys[: len(keys) - left]
            found = [self.tables[table].get(self._key(table, key)) for key in answered]
            names = request["ProjectionExpression"].replace("#", "").split(", ")
            items = [{name: item[name] for name in names} for item in found if item is not None]
            unprocessed = {table: request | {"Keys": keys[-left:]}} if left else {}
            return {"Responses": {table: items}, "UnprocessedKeys": unprocessed}

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> ItemAnswer:
        assert ConsistentRead
        with self.steps.call("get_item"), self._lock:
            item = self.tables[TableName].get(self._key(TableName, Key))
            return {} if item is None else {"Item": item}

    def put_item(
        self,
        *,
        TableName: str,
        Item: Item,
        ConditionExpression: str,
        ReturnValuesOnConditionCheckFailure: str = "NONE",
        ExpressionAttributeValues: Item | None = None,
    ) -> None:
        with self.steps.call("put_item"), self._lock:
            key = self._key(TableName, Item)
            held = self.tables[TableName].get(key)
            if not _holds(ConditionExpression, held or {}, ExpressionAttributeValues or {}):
                shown = held if ReturnValuesOnConditionCheckFailure == "ALL_OLD" else None
                raise client_error("ConditionalCheckFailedException", item=shown)
            self.tables[TableName][key] = Item

    def query(
        self,
        *,
        TableName: str,
        KeyConditionExpression: str,
        ExpressionAttributeValues: Item,
        ConsistentRead: bool,
        ExclusiveStartKey: Item | None = None,
        ExpressionAttributeNames: Mapping[str, str] | None = None,
        ProjectionExpression: str | None = None,
        ScanIndexForward: bool = True,
    ) -> QueryAnswer:
        """Of a projection it hands out more than was asked for."""
        assert ConsistentRead
        for alias, name in (ExpressionAttributeNames or {}).items():
            KeyConditionExpression = KeyConditionExpression.replace(alias, name)
        with self.steps.call("query"), self._lock:
            start = self._key(TableName, ExclusiveStartKey) if ExclusiveStartKey else ()
            rows = sorted(self.tables[TableName].items(), reverse=not ScanIndexForward)
            found = [
                item
                for key, item in rows
                if _is_past(start, key, forward=ScanIndexForward)
                and _holds(KeyConditionExpression, item, ExpressionAttributeValues)
            ]
            return self._page(TableName, found)

    def scan(
        self, *, TableName: str, ProjectionExpression: str, ExclusiveStartKey: Item | None = None
    ) -> QueryAnswer:
        with self.steps.call("scan"), self._lock:
            start = self._key(TableName, ExclusiveStartKey) if ExclusiveStartKey else ()
            rows = sorted(self.tables[TableName].items())
            return self._page(TableName, [item for key, item in rows if key > start])

    def _page(self, table: str, found: list[Item]) -> QueryAnswer:
        page = found[:LANES_PER_PAGE]
        if len(page) == len(found):
            return {"Items": page}
        return {"Items": page, "LastEvaluatedKey": self._key_item(table, page[-1])}

    def _insert(self, statement: Statement) -> StatementAnswer:
        match = _INSERT.fullmatch(statement["Statement"])
        assert match is not None
        table, pairs = match.groups()
        names = [pair.removesuffix(": ?").strip("'") for pair in pairs.split(", ")]
        item = dict(zip(names, statement["Parameters"], strict=True))
        key = self._key(table, item)
        if refusal := self.refusal(item):
            return {"Error": {"Code": refusal, "Message": f"{refusal} on demand"}}
        if key in self.tables[table]:
            return {"Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}}
        self.tables[table][key] = item
        return {}

    def _key(self, table: str, item: Item) -> tuple[str, ...]:
        return tuple(str(value["S"]) for value in self._key_item(table, item).values())

    def _key_item(self, table: str, item: Item) -> Item:
        return {name: item[name] for name in self._keys[table] if name is not None}


class MemoryStream:
    """A Kinesis stream to put on; `throttled` is how many records each of the next calls refuses."""

    def __init__(self, steps: Steps) -> None:
        self.records: list[bytes] = []
        self.throttled: list[int] = []
        self.steps = steps

    def put_records(self, *, StreamName: str, Records: list[Entry]) -> PutAnswer:
        with self.steps.call("put_records"):
            refused = self.throttled.pop(0) if self.throttled else 0
            taken = len(Records) - refused
            self.records += [entry["Data"] for entry in Records[:taken]]
            failure: EntryAnswer = {"ErrorCode": "ProvisionedThroughputExceededException"}
            return {"Records": [EntryAnswer()] * taken + [failure] * refused}


class MemoryBucket:
    """An S3 bucket to put in."""

    def __init__(self, steps: Steps) -> None:
        self.objects: dict[str, bytes] = {}
        self.steps = steps

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:
        assert ContentType == "application/json"
        with self.steps.call("put_object"):
            self.objects[Key] = Body


class MemoryCache:
    """Redis as `refresh` sees it: records that only newer versions replace, and what was published."""

    def __init__(self, steps: Steps) -> None:
        self.records: dict[str, tuple[int, bytes]] = {}
        self.published: list[tuple[str, bytes]] = []
        self.told: list[tuple[str, bytes]] = []
        self.steps = steps

    def publish(self, change: Change) -> None:
        with self.steps.call("publish"):
            version, value, channel, message = change.args
            held, _ = self.records.get(change.keys[0], (-1, b""))
            if version > held:
                self.records[change.keys[0]] = (version, value)
                self.published.append((channel, message))

    def tell(self, change: HealthChange) -> None:
        with self.steps.call("tell"):
            _, message, channel = change.args
            self.told.append((channel, message))

    def forget_programs(self) -> None:
        with self.steps.call("forget_programs"):
            self.records = {key: kept for key, kept in self.records.items() if not _PROGRAM_KEYS.match(key)}

    def program(self, program_id: str) -> tuple[int, bytes] | None:
        return self.records.get(program_key(program_id))


def not_connected(times: int) -> Iterable[BaseException]:
    """What Redis raises while it is down."""
    return [NotConnectedError("down on demand") for _ in range(times)]


def _is_past(start: tuple[str, ...], key: tuple[str, ...], *, forward: bool) -> bool:
    return not start or (key > start if forward else key < start)


def _holds(condition: str, item: Item, values: Item) -> bool:
    return any(
        all(_clause_holds(clause, item, values) for clause in clauses.split(" AND "))
        for clauses in condition.split(" OR ")
    )


def _clause_holds(clause: str, item: Item, values: Item) -> bool:
    if match := _NOT_THERE.fullmatch(clause):
        return match[1] not in item
    name, compared, value = clause.split()
    if name not in item:
        return False
    return bool(_OPERATORS[compared](_plain(item[name]), _plain(values[value])))


def _plain(attribute: AttributeValue) -> str | Decimal:
    return Decimal(str(attribute["N"])) if "N" in attribute else str(attribute["S"])
