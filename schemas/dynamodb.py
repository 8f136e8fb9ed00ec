"""What lives in DynamoDB: the keys of each table and how messages map to items.

    events     bucket "{program_id}#{n}", message_id       one item per distinct message id, until
                                                           `expires_at` (epoch seconds), where it has one
               index: bucket, place                        of those whose id does not tell when they came
    totals     program_id, lane "{shard}/{partition key}"  counts behind a fence, one per lane

    programs   program_id                                  core data, or a tombstone
    matches    program_id, conversion                      the click that it is due to (schemas/matches.py)
    leases     lease_key "{application}/{stream}/{shard}"  who reads it, and how far (schemas/leases.py)
    state      lease_key, entry: a slot                    an agent's tables, as a log (schemas/state.py)

An event's `origin` is "{lane}:{sequence number}". A lane's totals of a program are the number of the
program's events whose origin is in that lane, at or before its fence (docs/decisions/0005-counting.md).

A program's item, and a tombstone too, holds the facts about it (schemas/facts.py), and `written_version`
beside `version`; an item that older code wrote holds neither, and its writer's version is its only one.

Items are in the low-level client's form: {"S": ...}, {"N": ...}, {"BOOL": ...}, {"L": [...]}, {"M": {...}}.
"""

import zlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, NotRequired, TypedDict
from uuid import UUID

from schemas.errors import EventError
from schemas.events import KINDS, CoreData, Event, kind_of
from schemas.facts import Facts
from schemas.places import place_of, told_by_id
from schemas.programs import Program, Totals

BUCKETS = 16
"""Partitions a program's events spread over: one partition takes 1,000 write units a second."""

NUMBER_MAX_DIGITS = 38
NUMBER_EXPONENTS = range(-130, 126)
"""What a number attribute holds (Amazon DynamoDB Developer Guide, "Supported data types")."""

AttributeValue = Mapping[str, str | bool | bytes | list[dict[str, str]] | dict[str, dict[str, str]]]
Item = dict[str, AttributeValue]
_Plain = str | int | bool | Decimal | tuple[str, ...] | dict[str, int]


class KeySchema(NamedTuple):
    """A table's key attributes, all strings; `sort` is None for a simple key."""

    partition: str
    sort: str | None = None


EVENTS_KEY = KeySchema("bucket", "message_id")
PLACE = "place"
PLACES_KEY = KeySchema(EVENTS_KEY.partition, PLACE)
PLACES_INDEX = "places"
"""An item is in an index only where it has the index's key (Amazon DynamoDB Developer Guide, "Take advantage
of sparse indexes"), and only what is there is paid for: docs/decisions/0020-newest-first.md."""
TOTALS_KEY = KeySchema("program_id", "lane")
PROGRAMS_KEY = KeySchema("program_id")
LEASES_KEY = KeySchema("lease_key")
STATE_KEY = KeySchema("lease_key", "entry")

EXPIRES_AT = "expires_at"
"""When DynamoDB's time to live removes an event, a few days late at most (Amazon DynamoDB Developer
Guide, "Using time to live (TTL) in DynamoDB")."""
DAY_S = 86_400

NEVER = -1
"""A version before every other: of what nobody wrote."""

STORED_EVENT_ATTRIBUTES = ("origin", "kind", "valid")

_CORE_ATTRIBUTES = {
    "program_id": "program_id",
    "name": "program_name",
    "customer_id": "customer_id",
    "customer_name": "customer_name",
    "checksum": "checksum",
    "version": "program_version",
}
_OWN_FIELDS = tuple(
    name for name in next(iter(KINDS.values())).__struct_fields__ if name not in ("message_id", "program")
)
_COUNTS = Totals.__struct_fields__


class Origin(NamedTuple):
    """The Kinesis record that first stored an event, in its lane: it makes counting repeatable."""

    lane: str
    sequence_number: str

    def __str__(self) -> str:
        return f"{self.lane}:{self.sequence_number}"

    @classmethod
    def parse(cls, text: str) -> "Origin":
        """What `str` made. A lane may hold colons, a sequence number is digits alone."""
        lane, _, sequence_number = text.rpartition(":")
        return cls(lane, sequence_number)


class StoredEvent(NamedTuple):
    """What an item of the events table says to whoever counts it."""

    origin: Origin
    kind: str
    valid: bool
    expires: bool = False

    @property
    def counts_as(self) -> str:
        """The field of Totals that it adds to."""
        return f"{self.kind}s" if self.valid else "invalid"


class LaneTotals(NamedTuple):
    """One lane's counts of a program, exact up to and including `sequence_number`: its fence.

    `corrections` is how often a recount has put them right. Whoever replaces a lane does so only
    while both are as read, so that neither a count nor a correction is lost.
    """

    sequence_number: str
    totals: Totals
    corrections: int = 0


class LaneCondition(TypedDict):
    """What a put of a lane is asked to hold to, as options of PutItem."""

    ConditionExpression: str
    ExpressionAttributeValues: NotRequired[Item]


class StoredProgram(NamedTuple):
    """A program item as read back; `program` is None for a tombstone, and where no writer wrote one yet.

    `version` grows with every change; `written_version` is that of the newest change of a writer, or NEVER.
    """

    version: int
    program: Program | None
    written_version: int
    facts: Facts = Facts()


def events_key(program_id: str, message_id: UUID) -> Item:
    """The same for every delivery and every resend of one message id of one program."""
    bucket = zlib.crc32(message_id.bytes) % BUCKETS
    return {"bucket": {"S": f"{program_id}#{bucket}"}, "message_id": {"S": str(message_id)}}


def bucket_names(program_id: str) -> list[str]:
    """Every partition of the events table that a program's events may be in."""
    return [f"{program_id}#{bucket}" for bucket in range(BUCKETS)]


def event_item(event: Event, origin: Origin) -> Item:
    """An event as one flat item with the core data beside it. What is None is left out.

    Raises EventError for a value that DynamoDB cannot hold: it would refuse the whole batch.
    """
    if event.value is not None and not is_storable(event.value):
        raise EventError("value is not a number DynamoDB holds")
    program = event.program
    core = {attribute: getattr(program, name) for name, attribute in _CORE_ATTRIBUTES.items()}
    own = {name: getattr(event, name) for name in _OWN_FIELDS}
    place = str(place_of(event)) if told_by_id(event) is None else None
    made = {"kind": kind_of(event), "origin": str(origin), EXPIRES_AT: expires_at_s(event), PLACE: place}
    return events_key(program.program_id, event.message_id) | _attributes(made | core | own)


def expires_at_s(event: Event) -> int | None:
    """When the stored event may go, in epoch seconds; None is never."""
    if event.retention_days is None:
        return None
    return event.received_at_ms // 1000 + event.retention_days * DAY_S


def event_from_item(item: Item) -> Event:
    """The event that `event_item` stored. Raises KeyError, TypeError or ValueError for another shape."""
    plain = _plain(item)
    core = CoreData(**{name: plain[attribute] for name, attribute in _CORE_ATTRIBUTES.items()})
    own = {name: plain[name] for name in _OWN_FIELDS if name in plain}
    if "value" in own:
        own["value"] = Decimal(own["value"])
    kind = KINDS[str(plain["kind"])]
    return kind(message_id=UUID(str(plain["message_id"])), program=core, **own)


def stored_event_from_item(item: Item) -> StoredEvent:
    """From the attributes of STORED_EVENT_ATTRIBUTES, and EXPIRES_AT where it matters. Raises KeyError
    for another shape."""
    origin = Origin.parse(str(item["origin"]["S"]))
    return StoredEvent(origin, str(item["kind"]["S"]), bool(item["valid"]["BOOL"]), EXPIRES_AT in item)


def is_storable(value: Decimal) -> bool:
    """Whether a number attribute holds `value` exactly: finite, and within its digits and magnitude."""
    if not value.is_finite() or len(value.as_tuple().digits) > NUMBER_MAX_DIGITS:
        return False
    return value.adjusted() in NUMBER_EXPONENTS


def program_key(program_id: str) -> Item:
    return {"program_id": {"S": program_id}}


def program_item(program: Program, *, counted: int = 0) -> Item:
    """Core data as one flat item, with the fact that it does not say itself. What is None is left out."""
    fields = {name: getattr(program, name) for name in program.__struct_fields__}
    return _attributes(fields | {"counted": counted or None})


def tombstone_item(
    program_id: str, version: int, *, written_version: int | None = None, facts: Facts | None = None
) -> Item:
    """What stays of a deleted program, so that nothing older revives it and no fact is lost."""
    known = facts or Facts()
    return _attributes(
        {
            "program_id": program_id,
            "version": version,
            "deleted": True,
            "written_version": written_version,
            "counted": known.counted or None,
            "flagged": known.flagged or None,
            "flooded_until_ms": known.flooded_until_ms or None,
        }
    )


def program_from_item(item: Item) -> StoredProgram:
    """The stored program or tombstone. Attributes of a newer version are passed over."""
    plain = _plain(item)
    version = int(plain["version"])
    written_version = int(plain.get("written_version", version))
    facts = Facts(**{name: plain[name] for name in Facts.__struct_fields__ if name in plain})
    if plain.get("deleted"):
        return StoredProgram(version, None, written_version, facts)
    known = {name: plain[name] for name in Program.__struct_fields__ if name in plain}
    return StoredProgram(version, Program(**known), written_version, facts)


def lane_of(shard_id: str, partition_key: str | None) -> str:
    """One partition key of one shard: what Lambda delivers in order, at any parallelization factor."""
    return f"{shard_id}/{partition_key or ''}"


def lane_key(program_id: str, lane: str) -> Item:
    return {"program_id": {"S": program_id}, "lane": {"S": lane}}


def lane_item(program_id: str, lane: str, counted: LaneTotals) -> Item:
    counts = {name: getattr(counted.totals, name) for name in _COUNTS}
    fence = {"sequence_number": counted.sequence_number, "corrections": counted.corrections or None}
    return lane_key(program_id, lane) | _attributes(fence | counts)


def lane_from_item(item: Item) -> LaneTotals:
    plain = _plain(item)
    counts = {name: int(plain.get(name, 0)) for name in _COUNTS}
    return LaneTotals(str(plain["sequence_number"]), Totals(**counts), int(plain.get("corrections", 0)))


def while_held(held: LaneTotals | None) -> LaneCondition:
    """The condition of a put that replaces `held`, or makes the lane where there was none."""
    if held is None:
        return LaneCondition(ConditionExpression="attribute_not_exists(program_id)")
    fence: Item = {":fence": {"S": held.sequence_number}}
    if not held.corrections:
        return LaneCondition(
            ConditionExpression="sequence_number = :fence AND attribute_not_exists(corrections)",
            ExpressionAttributeValues=fence,
        )
    return LaneCondition(
        ConditionExpression="sequence_number = :fence AND corrections = :corrections",
        ExpressionAttributeValues=fence | {":corrections": {"N": str(held.corrections)}},
    )


def sum_of_lanes(items: Iterable[Item]) -> Totals:
    """A program's totals: the sum over its lanes."""
    return sum((lane_from_item(item).totals for item in items), Totals())


def _attributes(values: Mapping[str, _Plain | None]) -> Item:
    return {name: _attribute(value) for name, value in values.items() if value is not None}


def _attribute(value: _Plain) -> AttributeValue:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, tuple):
        return {"L": [{"S": text} for text in value]}
    if isinstance(value, dict):
        return {"M": {name: {"N": str(number)} for name, number in value.items()}}
    return {"N": str(value)}


def _plain(item: Item) -> dict[str, Any]:
    return {name: _value(attribute) for name, attribute in item.items()}


def _value(attribute: AttributeValue) -> Any:
    ((kind, value),) = attribute.items()
    if isinstance(value, list):
        return tuple(str(_value(each)) for each in value)
    if isinstance(value, dict):
        return {name: _value(each) for name, each in value.items()}
    if kind == "N":
        number = Decimal(str(value))
        return int(number) if number == number.to_integral_value() else number
    return value
