"""The events table: one item for each event, inserted only where its key is still free."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple, NotRequired, Protocol, TypedDict

import msgspec
from botocore.exceptions import ClientError

from lambdas.batch import DEPENDENCY_ERRORS, Poison, Record
from lambdas.calls import RETRY_PAUSES_S, chunks, in_flight, until_done
from schemas.dynamodb import (
    STORED_EVENT_ATTRIBUTES,
    AttributeValue,
    Item,
    Origin,
    StoredEvent,
    event_item,
    events_key,
    stored_event_from_item,
)
from schemas.errors import EventError
from schemas.events import Event, encode_event, kind_of

STATEMENTS_PER_CALL = 25
KEYS_PER_CALL = 100
INSERTED = ""
PRESENT = "DuplicateItem"
REFUSED = "ValidationError"
"""No item can hold this event: too large, or a value out of range."""

UNTRIED = "Untried"

EventKey = tuple[str, str]

log = logging.getLogger(__name__)


class Arrival(msgspec.Struct, eq=False):
    """An event at its place in a frame. Its item is made only to be sent: a batch may hold many. Its key
    and its bytes are made when they are first asked for."""

    record: Record
    index: int
    event: Event
    _key: EventKey | None = None
    _payload: bytes | None = None

    @property
    def key(self) -> EventKey:
        if self._key is None:
            self._key = _key(events_key(self.event.program.program_id, self.event.message_id))
        return self._key

    @property
    def payload(self) -> bytes:
        """The event, encoded."""
        if self._payload is None:
            self._payload = encode_event(self.event)
        return self._payload

    @property
    def origin(self) -> Origin:
        return Origin(self.record.lane, self.record.sequence_number)


StoredEvents = Mapping[EventKey, StoredEvent]
"""By its key, what the table holds."""


class Verdict(NamedTuple):
    """What one statement was answered: a code of BatchStatementError, or INSERTED or UNTRIED."""

    code: str = INSERTED
    message: str = ""

    @property
    def is_passing(self) -> bool:
        """Throttled, in conflict or failed inside: the next attempt may succeed."""
        return self.code not in (INSERTED, PRESENT, REFUSED)


class Outcome(NamedTuple):
    """What became of a batch: items now in the table, poison, and records that must be retried."""

    stored: StoredEvents
    refused: list[Poison]
    left: list[Record]


class Statement(TypedDict):
    Statement: str
    Parameters: list[AttributeValue]


class StatementError(TypedDict):
    Code: str
    Message: NotRequired[str]


class StatementAnswer(TypedDict):
    Error: NotRequired[StatementError]


class ExecuteAnswer(TypedDict):
    Responses: list[StatementAnswer]


class KeysAndAttributes(TypedDict):
    Keys: list[Item]
    ConsistentRead: NotRequired[bool]
    ProjectionExpression: NotRequired[str]
    ExpressionAttributeNames: NotRequired[Mapping[str, str]]


class GetAnswer(TypedDict):
    Responses: dict[str, list[Item]]
    UnprocessedKeys: dict[str, KeysAndAttributes]


class EventsTable(Protocol):
    """The part of a DynamoDB client that storing events takes."""

    def batch_execute_statement(self, *, Statements: list[Statement]) -> ExecuteAnswer: ...

    def batch_get_item(self, *, RequestItems: dict[str, KeysAndAttributes]) -> GetAnswer: ...


class EventStore:
    """Inserts events so that one message id of one program is one item, whoever delivers it again."""

    def __init__(
        self, dynamodb: EventsTable, table: str, *, pauses_s: Sequence[float] = RETRY_PAUSES_S
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._pauses_s = pauses_s

    def insert(self, arrivals: Sequence[Arrival]) -> Outcome:
        """Idempotent. Of arrivals with one key the first is inserted; the next only if it is refused.

        An arrival that is neither stored nor refused, because a dependency failed, leaves its record.
        """
        verdicts = list(self._verdicts(arrivals))
        stored = {each.key: _inserted(each) for each, verdict in verdicts if verdict.code == INSERTED}
        stored |= self._read_all([each for each, verdict in verdicts if verdict.code == PRESENT])
        return Outcome(
            stored=stored,
            refused=[_poison(each, verdict) for each, verdict in verdicts if verdict.code == REFUSED],
            left=[
                each.record
                for each, verdict in verdicts
                if verdict.code != REFUSED and each.key not in stored
            ],
        )

    def _verdicts(self, arrivals: Sequence[Arrival]) -> Iterator[tuple[Arrival, Verdict]]:
        waiting = list(arrivals)
        while waiting:
            firsts = _first_of_each_key(waiting)
            verdicts = self._insert(list(firsts.values()))
            for key, first in firsts.items():
                yield first, verdicts.get(key, Verdict(UNTRIED))
            refused = {key for key, verdict in verdicts.items() if verdict.code == REFUSED}
            waiting = [each for each in waiting if each.key in refused and each is not firsts[each.key]]

    def _insert(self, arrivals: list[Arrival]) -> dict[EventKey, Verdict]:
        verdicts: dict[EventKey, Verdict] = {}
        try:
            until_done(partial(self._attempt, verdicts), arrivals, self._pauses_s)
        except DEPENDENCY_ERRORS as error:
            log.warning("events could not be inserted: %s", error)
        return verdicts

    def _attempt(self, verdicts: dict[EventKey, Verdict], arrivals: list[Arrival]) -> list[Arrival]:
        calls = chunks(arrivals, STATEMENTS_PER_CALL)
        for call, answers in zip(calls, in_flight(self._execute, calls), strict=True):
            verdicts.update(zip((arrival.key for arrival in call), answers, strict=True))
        return [arrival for arrival in arrivals if verdicts[arrival.key].is_passing]

    def _execute(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        try:
            statements = [_statement(self._table, arrival) for arrival in arrivals]
            answers = self._dynamodb.batch_execute_statement(Statements=statements)["Responses"]
        except (ClientError, EventError) as error:
            return self._execute_each(arrivals, error)
        return [_verdict(answer) for answer in answers]

    def _execute_each(self, arrivals: Sequence[Arrival], error: ClientError | EventError) -> list[Verdict]:
        """Takes a call apart that was refused as a whole for the sake of one event."""
        if not isinstance(error, EventError) and error.response["Error"]["Code"] != "ValidationException":
            raise error
        if len(arrivals) == 1:
            return [Verdict(REFUSED, str(error))]
        return [verdict for arrival in arrivals for verdict in self._execute([arrival])]

    def _read_all(self, arrivals: Sequence[Arrival]) -> dict[EventKey, StoredEvent]:
        found: dict[EventKey, StoredEvent] = {}
        try:
            for some in in_flight(self._read, chunks(arrivals, KEYS_PER_CALL)):
                found |= some
        except DEPENDENCY_ERRORS as error:
            log.warning("origins could not be read: %s", error)
        return found

    def _read(self, arrivals: Sequence[Arrival]) -> dict[EventKey, StoredEvent]:
        found: dict[EventKey, StoredEvent] = {}
        keys = [_key_item(arrival.key) for arrival in arrivals]
        until_done(partial(self._get, found), keys, self._pauses_s)
        return found

    def _get(self, found: dict[EventKey, StoredEvent], keys: list[Item]) -> list[Item]:
        request = KeysAndAttributes(
            Keys=keys,
            ConsistentRead=True,
            ProjectionExpression=", ".join(("#bucket", "message_id", *STORED_EVENT_ATTRIBUTES)),
            ExpressionAttributeNames={"#bucket": "bucket"},
        )
        answer = self._dynamodb.batch_get_item(RequestItems={self._table: request})
        found.update(
            (_key(item), stored_event_from_item(item)) for item in answer["Responses"].get(self._table, [])
        )
        unprocessed = answer["UnprocessedKeys"].get(self._table)
        return unprocessed["Keys"] if unprocessed else []


def _verdict(answer: StatementAnswer) -> Verdict:
    error = answer.get("Error")
    return Verdict(error["Code"], error.get("Message", "")) if error else Verdict()


def _poison(arrival: Arrival, verdict: Verdict) -> Poison:
    return Poison(
        arrival.record,
        EventError(verdict.message),
        arrival.payload,
        arrival.index,
        arrival.event.traceparent,
    )


def _first_of_each_key(arrivals: Sequence[Arrival]) -> dict[EventKey, Arrival]:
    firsts: dict[EventKey, Arrival] = {}
    for arrival in arrivals:
        firsts.setdefault(arrival.key, arrival)
    return firsts


def _statement(table: str, arrival: Arrival) -> Statement:
    item = event_item(arrival.event, arrival.origin)
    return Statement(Statement=_insert_text(table, tuple(item)), Parameters=list(item.values()))


@cache
def _insert_text(table: str, names: tuple[str, ...]) -> str:
    values = ", ".join(f"'{name}': ?" for name in names)
    return f'INSERT INTO "{table}" VALUE {{{values}}}'


def _key(item: Item) -> EventKey:
    return str(item["bucket"]["S"]), str(item["message_id"]["S"])


def _key_item(key: EventKey) -> Item:
    bucket, message_id = key
    return {"bucket": {"S": bucket}, "message_id": {"S": message_id}}


def _inserted(arrival: Arrival) -> StoredEvent:
    return StoredEvent(arrival.origin, kind_of(arrival.event), arrival.event.valid)
