from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dynamodb import (
    BUCKETS,
    EVENTS_KEY,
    EXPIRES_AT,
    LEASES_KEY,
    NEVER,
    PROGRAMS_KEY,
    STATE_KEY,
    TOTALS_KEY,
    Item,
    KeySchema,
    LaneTotals,
    Origin,
    StoredEvent,
    StoredProgram,
    bucket_names,
    event_from_item,
    event_item,
    events_key,
    is_storable,
    lane_from_item,
    lane_item,
    lane_key,
    program_from_item,
    program_item,
    program_key,
    stored_event_from_item,
    sum_of_lanes,
    tombstone_item,
)
from schemas.errors import EventError
from schemas.events import Event
from schemas.facts import Facts
from schemas.programs import MAX_SAFE_INTEGER, Program, Totals
from tests.factories import VERSION, click, conversion, core_data, program, totals, view
from tests.schemas import strategies

MESSAGE_ID = UUID("01999999-0000-7000-8000-000000000001")
ORIGIN = Origin("shardId-000000000000/0", "4959")
UNKNOWN: Item = {
    "new": {"S": "a"},
    "newer": {"N": "1.5"},
    "flag": {"BOOL": False},
    "list": {"L": [{"N": "1"}]},
}

_CORE: Item = {
    "program_id": {"S": "212313"},
    "program_name": {"S": "program2"},
    "customer_id": {"N": "9124"},
    "customer_name": {"S": "Customer2"},
    "checksum": {"S": "124"},
    "program_version": {"N": "1760000000000000"},
}
_STORED: Item = {
    "bucket": {"S": "212313#0"},
    "message_id": {"S": "01999999-0000-7000-8000-000000000001"},
    "origin": {"S": "shardId-000000000000/0:4959"},
    "received_at_ms": {"N": "1760000000000"},
    "place": {"S": "0199c82cc000/01999999-0000-7000-8000-000000000001"},
}
GOLDEN_EVENTS: dict[str, tuple[Event, Item]] = {
    "view": (
        view(message_id=MESSAGE_ID),
        _STORED | _CORE | {"kind": {"S": "view"}, "valid": {"BOOL": True}},
    ),
    "click": (
        click(
            message_id=MESSAGE_ID,
            user_agent="curl/8",
            referrer="https://news.example/",
            client_address="192.0.2.0",
            retention_days=30,
        ),
        _STORED
        | _CORE
        | {
            "kind": {"S": "click"},
            "valid": {"BOOL": True},
            "user_agent": {"S": "curl/8"},
            "referrer": {"S": "https://news.example/"},
            "visitor": {"S": "visitor-1"},
            "click_id": {"S": "click-1"},
            "client_address": {"S": "192.0.2.0"},
            "retention_days": {"N": "30"},
            "expires_at": {"N": "1762592000"},
        },
    ),
    "conversion": (
        conversion(
            message_id=MESSAGE_ID,
            valid=False,
            reason="bad_checksum",
            value=Decimal("19.90"),
            currency="EUR",
        ),
        _STORED
        | _CORE
        | {
            "kind": {"S": "conversion"},
            "valid": {"BOOL": False},
            "reason": {"S": "bad_checksum"},
            "click_id": {"S": "click-1"},
            "value": {"N": "19.90"},
            "currency": {"S": "EUR"},
        },
    ),
}
GOLDEN_PROGRAM: Item = {
    "program_id": {"S": "212313"},
    "version": {"N": "1760000000000000"},
    "name": {"S": "program2"},
    "customer_id": {"N": "9124"},
    "customer_name": {"S": "Customer2"},
    "checksum": {"S": "124"},
    "active": {"BOOL": True},
    "privacy": {"S": "truncate"},
    "key_version": {"N": "0"},
    "budget_spent": {"BOOL": False},
}
GOLDEN_LANE: Item = {
    "program_id": {"S": "212313"},
    "lane": {"S": "shardId-000000000000/0"},
    "sequence_number": {"S": "4959"},
    "views": {"N": "5"},
    "clicks": {"N": "3"},
    "conversions": {"N": "2"},
    "invalid": {"N": "1"},
}


def test_the_keys_of_each_table() -> None:
    keys = [EVENTS_KEY, TOTALS_KEY, PROGRAMS_KEY, LEASES_KEY, STATE_KEY]

    assert keys == [
        KeySchema("bucket", "message_id"),
        KeySchema("program_id", "lane"),
        KeySchema("program_id"),
        KeySchema("lease_key"),
        KeySchema("lease_key", "entry"),
    ]


@pytest.mark.parametrize("kind", GOLDEN_EVENTS)
def test_golden_item_of_an_event(kind: str) -> None:
    event, golden = GOLDEN_EVENTS[kind]

    assert event_item(event, ORIGIN) == golden
    assert event_from_item(golden) == event


@pytest.mark.parametrize("kind", GOLDEN_EVENTS)
def test_attributes_of_a_newer_writer_of_events_are_passed_over(kind: str) -> None:
    event, golden = GOLDEN_EVENTS[kind]

    assert event_from_item(golden | UNKNOWN) == event


def test_a_stored_value_is_a_decimal_however_dynamodb_writes_it() -> None:
    _, golden = GOLDEN_EVENTS["conversion"]

    read = [event_from_item(golden | {"value": {"N": text}}).value for text in ("19.9", "20", "0", "-1E-7")]

    assert read == [Decimal("19.9"), Decimal(20), Decimal(0), Decimal("-1E-7")]
    assert all(type(value) is Decimal for value in read)


@given(strategies.events)
def test_round_trip_of_events(event: Event) -> None:
    item = event_item(event, ORIGIN)

    assert event_from_item(item) == event
    assert events_key(event.program.program_id, event.message_id).items() <= item.items()


@given(strategies.events)
def test_none_is_left_out(event: Event) -> None:
    item = event_item(event, ORIGIN)

    absent = {name for name in type(event).__struct_fields__ if getattr(event, name) is None}
    assert absent.isdisjoint(item)
    assert all(value is not None for attribute in item.values() for value in attribute.values())


def test_an_event_expires_as_many_days_after_it_came_as_its_program_keeps_it() -> None:
    kept = view(received_at_ms=1_760_000_000_999, retention_days=1)

    assert event_item(kept, ORIGIN)[EXPIRES_AT] == {"N": str(1_760_000_000 + 86_400)}
    assert EXPIRES_AT not in event_item(view(), ORIGIN)
    assert stored_event_from_item(event_item(kept, ORIGIN)).expires
    assert not stored_event_from_item(event_item(view(), ORIGIN)).expires


@pytest.mark.parametrize("attribute", ["kind", "message_id", "program_id", "program_version", "valid"])
def test_an_item_of_another_shape_raises_a_named_error(attribute: str) -> None:
    _, golden = GOLDEN_EVENTS["view"]
    other = {name: value for name, value in golden.items() if name != attribute}

    with pytest.raises((KeyError, TypeError, ValueError)):
        event_from_item(other)


@pytest.mark.parametrize(
    "value", ["0", "-0.00", "19.90", "9" * 38, "-" + "9" * 38, "1E+125", "9.9E+125", "1E-130", "-1E-130"]
)
def test_a_value_within_dynamodbs_numbers_is_stored(value: str) -> None:
    event = conversion(value=Decimal(value))

    assert event_from_item(event_item(event, ORIGIN)) == event
    assert is_storable(Decimal(value))


@pytest.mark.parametrize(
    "value",
    ["NaN", "sNaN", "Infinity", "-Infinity", "1" * 39, "0." + "1" * 39, "1E+126", "1E-131", "1E+999999"],
)
def test_a_value_dynamodb_cannot_hold_fails_its_event(value: str) -> None:
    event = conversion(value=Decimal(value))

    with pytest.raises(EventError):
        event_item(event, ORIGIN)
    assert not is_storable(Decimal(value))


def test_a_resend_has_the_key_of_the_first_delivery() -> None:
    first = view(message_id=MESSAGE_ID, received_at_ms=1)
    resent = click(message_id=MESSAGE_ID, received_at_ms=2, program=core_data(version=VERSION + 1))

    keys = [
        {name: item[name] for name in EVENTS_KEY if name is not None}
        for item in (event_item(first, ORIGIN), event_item(resent, Origin("shardId-000000000001/0", "7")))
    ]

    assert keys[0] == keys[1] == events_key("212313", MESSAGE_ID)


def test_the_same_message_id_of_another_program_is_another_item() -> None:
    assert events_key("212313", MESSAGE_ID) != events_key("212314", MESSAGE_ID)


@given(st.uuids())
def test_every_event_is_in_one_of_its_programs_buckets(message_id: UUID) -> None:
    key = events_key("212313", message_id)

    assert key["bucket"]["S"] in bucket_names("212313")


def test_a_programs_events_use_all_its_buckets() -> None:
    keys = [events_key("212313", UUID(int=number)) for number in range(1_000)]

    assert {str(key["bucket"]["S"]) for key in keys} == set(bucket_names("212313"))
    assert len(bucket_names("212313")) == BUCKETS == 16


def test_golden_item_of_a_program() -> None:
    assert program_item(program()) == GOLDEN_PROGRAM
    assert program_from_item(GOLDEN_PROGRAM) == StoredProgram(VERSION, program(), VERSION)
    assert program_key("212313") == {"program_id": {"S": "212313"}}


def test_golden_item_of_a_program_with_everything_set() -> None:
    full = program(
        starts_at_ms=1,
        ends_at_ms=2,
        budget=0,
        destination="https://shop.example/",
        fallback="https://shop.example/later",
        origins=("https://shop.example", "https://news.example"),
        ack="buffered",
        key_version=2,
        retention_days=30,
        rate_per_s=1_000,
        rate_per_address_per_s=5,
        budget_spent=True,
        written_version=VERSION - 1,
        flooded_until_ms=3,
        flagged={"visitor-1": 2},
    )
    facts = Facts(counted=7, flagged={"visitor-1": 2}, flooded_until_ms=3)
    golden: Item = GOLDEN_PROGRAM | {
        "starts_at_ms": {"N": "1"},
        "ends_at_ms": {"N": "2"},
        "budget": {"N": "0"},
        "destination": {"S": "https://shop.example/"},
        "fallback": {"S": "https://shop.example/later"},
        "origins": {"L": [{"S": "https://shop.example"}, {"S": "https://news.example"}]},
        "ack": {"S": "buffered"},
        "key_version": {"N": "2"},
        "retention_days": {"N": "30"},
        "rate_per_s": {"N": "1000"},
        "rate_per_address_per_s": {"N": "5"},
        "budget_spent": {"BOOL": True},
        "written_version": {"N": "1759999999999999"},
        "counted": {"N": "7"},
        "flagged": {"M": {"visitor-1": {"N": "2"}}},
        "flooded_until_ms": {"N": "3"},
    }

    assert program_item(full, counted=7) == golden
    assert program_from_item(golden) == StoredProgram(VERSION, full, VERSION - 1, facts)


def test_golden_item_of_a_tombstone() -> None:
    golden: Item = {
        "program_id": {"S": "212313"},
        "version": {"N": "1760000000000000"},
        "deleted": {"BOOL": True},
    }

    assert tombstone_item("212313", VERSION) == golden
    assert program_from_item(golden | UNKNOWN) == StoredProgram(VERSION, None, VERSION)


def test_golden_item_of_a_tombstone_that_facts_are_known_of() -> None:
    facts = Facts(counted=7, flagged={"visitor-1": 2}, flooded_until_ms=3)
    golden: Item = {
        "program_id": {"S": "212313"},
        "version": {"N": "1760000000000000"},
        "deleted": {"BOOL": True},
        "written_version": {"N": "-1"},
        "counted": {"N": "7"},
        "flagged": {"M": {"visitor-1": {"N": "2"}}},
        "flooded_until_ms": {"N": "3"},
    }

    assert tombstone_item("212313", VERSION, written_version=NEVER, facts=facts) == golden
    assert program_from_item(golden) == StoredProgram(VERSION, None, NEVER, facts)


def test_attributes_of_another_writer_of_programs_are_passed_over_or_take_the_default() -> None:
    older = {
        name: value
        for name, value in GOLDEN_PROGRAM.items()
        if name not in ("privacy", "key_version", "budget_spent")
    }

    assert program_from_item(GOLDEN_PROGRAM | UNKNOWN) == StoredProgram(VERSION, program(), VERSION)
    assert program_from_item(older) == StoredProgram(VERSION, program(), VERSION)


@given(strategies.programs, strategies.counts)
def test_round_trip_of_programs(value: Program, counted: int) -> None:
    item = program_item(value, counted=counted)

    stored = program_from_item(item)

    assert stored.program == value
    assert stored.version == value.version
    assert stored.written_version == (
        value.version if value.written_version is None else value.written_version
    )
    assert stored.facts == Facts(
        counted=counted, flagged=value.flagged or {}, flooded_until_ms=value.flooded_until_ms or 0
    )
    assert program_key(value.program_id).items() <= item.items()


@given(strategies.program_ids, strategies.counts, st.just(NEVER) | strategies.counts, strategies.facts)
def test_round_trip_of_tombstones(program_id: str, version: int, written: int, facts: Facts) -> None:
    item = tombstone_item(program_id, version, written_version=written, facts=facts)

    assert program_from_item(item) == StoredProgram(version, None, written, facts)


def test_golden_item_of_a_lane() -> None:
    lane = "shardId-000000000000/0"
    counted = LaneTotals("4959", totals())

    assert lane_item("212313", lane, counted) == GOLDEN_LANE
    assert lane_from_item(GOLDEN_LANE | UNKNOWN) == counted
    assert lane_key("212313", lane) == {"program_id": {"S": "212313"}, "lane": {"S": lane}}


def test_golden_item_of_a_corrected_lane() -> None:
    corrected = LaneTotals("4959", totals(), corrections=2)

    item = lane_item("212313", "shardId-000000000000/0", corrected)

    assert item == GOLDEN_LANE | {"corrections": {"N": "2"}}
    assert lane_from_item(item) == corrected


@pytest.mark.parametrize("lane", ["shardId-000000000000/0", "shard/", "shard/a:b:7", "shard/:"])
def test_an_origin_is_read_back_whatever_is_in_its_partition_key(lane: str) -> None:
    assert Origin.parse(str(Origin(lane, "4959"))) == Origin(lane, "4959")


@pytest.mark.parametrize(("kind", "counts_as"), [("view", "views"), ("conversion", "conversions")])
def test_what_a_stored_event_counts_as(kind: str, counts_as: str) -> None:
    event, _ = GOLDEN_EVENTS[kind]
    stored = stored_event_from_item(event_item(event, ORIGIN))

    assert stored == StoredEvent(ORIGIN, kind, event.valid)
    assert stored._replace(valid=True).counts_as == counts_as
    assert stored._replace(valid=False).counts_as == "invalid"


def test_a_count_an_older_writer_did_not_know_is_zero() -> None:
    older = {name: value for name, value in GOLDEN_LANE.items() if name != "invalid"}

    assert lane_from_item(older) == LaneTotals("4959", totals(invalid=0))


@given(st.integers(0, 10**56).map(str), strategies.totals)
def test_round_trip_of_lanes(sequence_number: str, counted: Totals) -> None:
    lane = LaneTotals(sequence_number, counted)

    assert lane_from_item(lane_item("212313", "shard/0", lane)) == lane


@given(st.lists(strategies.totals, max_size=8))
def test_a_programs_totals_are_the_sum_of_its_lanes(lanes: list[Totals]) -> None:
    items = [
        lane_item("212313", f"shard/{number}", LaneTotals(str(number), counted))
        for number, counted in enumerate(lanes)
    ]

    summed = sum_of_lanes(items)

    assert summed == Totals(
        views=sum(lane.views for lane in lanes),
        clicks=sum(lane.clicks for lane in lanes),
        conversions=sum(lane.conversions for lane in lanes),
        invalid=sum(lane.invalid for lane in lanes),
    )


def test_a_program_without_lanes_has_no_totals() -> None:
    assert sum_of_lanes([]) == Totals()


def test_the_largest_numbers_keep_every_digit() -> None:
    largest = program(version=MAX_SAFE_INTEGER, budget=MAX_SAFE_INTEGER, customer_id=MAX_SAFE_INTEGER)

    assert program_from_item(program_item(largest)) == StoredProgram(
        MAX_SAFE_INTEGER, largest, MAX_SAFE_INTEGER
    )
