from decimal import Decimal
from uuid import uuid4

import pytest

from lambdas.batch import Record
from lambdas.store import Arrival, EventKey, EventStore, Outcome
from schemas.dynamodb import EVENTS_KEY, Item, Origin, event_item
from schemas.events import Event, encode_event
from tests.factories import click, view
from tests.lambdas.memory import MemoryDynamoDB, Steps, client_error
from tests.lambdas.world import Shard

MANY = 230
THROTTLED = [
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "InternalServerError",
    "TransactionConflict",
]


@pytest.fixture
def dynamodb() -> MemoryDynamoDB:
    return MemoryDynamoDB(Steps(), {"events": EVENTS_KEY})


@pytest.fixture
def store(dynamodb: MemoryDynamoDB) -> EventStore:
    return EventStore(dynamodb, "events", pauses_s=(0.0, 0.0))


def arrivals(record: Record, *events: Event) -> list[Arrival]:
    return [Arrival(record, index, event) for index, event in enumerate(events)]


def item_of(arrived: Arrival) -> Item:
    return event_item(arrived.event, arrived.origin)


def origins(outcome: Outcome) -> dict[EventKey, Origin]:
    return {key: stored.origin for key, stored in outcome.stored.items()}


def test_each_event_becomes_one_item(dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard) -> None:
    arrived = arrivals(shard.frame(), *(view() for _ in range(MANY)))

    outcome = store.insert(arrived)

    assert dynamodb.tables["events"] == {each.key: item_of(each) for each in arrived}
    assert origins(outcome) == {each.key: each.origin for each in arrived}
    assert (outcome.left, outcome.refused) == ([], [])


def test_what_is_there_already_keeps_the_origin_that_stored_it(store: EventStore, shard: Shard) -> None:
    events = [view() for _ in range(MANY)]
    first, second = arrivals(shard.frame(), *events[:200]), arrivals(shard.frame(), *events)
    store.insert(first)

    outcome = store.insert(second)

    assert origins(outcome) == {each.key: each.origin for each in first + second[200:]}


def test_of_two_events_with_one_id_the_first_wins(
    dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard
) -> None:
    id_ = uuid4()
    arrived = arrivals(shard.frame(), view(message_id=id_), click(message_id=id_))

    outcome = store.insert(arrived)

    assert list(dynamodb.tables["events"].values()) == [item_of(arrived[0])]
    assert [stored.counts_as for stored in outcome.stored.values()] == ["views"]


def test_an_id_whose_first_event_is_refused_is_stored_from_the_next(
    dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard
) -> None:
    id_ = uuid4()
    dynamodb.refusal = lambda item: "ValidationError" if item["kind"]["S"] == "view" else None
    arrived = arrivals(shard.frame(), view(message_id=id_), view(message_id=id_), click(message_id=id_))

    outcome = store.insert(arrived)

    assert list(dynamodb.tables["events"].values()) == [item_of(arrived[2])]
    assert [poison.index for poison in outcome.refused] == [0, 1]
    assert outcome.left == []


def test_an_event_counts_as_its_kind_and_an_invalid_one_as_invalid(store: EventStore, shard: Shard) -> None:
    arrived = arrivals(shard.frame(), view(), click(), click(valid=False, reason="bad_checksum"))

    outcome = store.insert(arrived)

    assert [stored.counts_as for stored in outcome.stored.values()] == ["views", "clicks", "invalid"]


@pytest.mark.parametrize("code", THROTTLED)
def test_a_throttled_statement_is_tried_again(
    dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard, code: str
) -> None:
    arrived = arrivals(shard.frame(), *(view() for _ in range(MANY)))
    refusals = [code, code]
    dynamodb.refusal = lambda item: refusals.pop() if refusals else None

    outcome = store.insert(arrived)

    assert outcome.stored.keys() == {each.key for each in arrived}
    assert outcome.left == []


@pytest.mark.parametrize("code", [*THROTTLED, "AccessDenied", "ResourceNotFound"])
def test_a_statement_that_stays_throttled_leaves_its_record(
    dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard, code: str
) -> None:
    through, throttled = shard.frame(), shard.frame()
    bad = view()
    dynamodb.refusal = lambda item: code if item["message_id"]["S"] == str(bad.message_id) else None

    outcome = store.insert(arrivals(through, view()) + arrivals(throttled, view(), bad, view()))

    assert outcome.left == [throttled]
    assert len(outcome.stored) == 3


def test_an_event_that_no_item_can_hold_is_poison(
    dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard
) -> None:
    record = shard.frame()
    bad = view()
    dynamodb.refusal = lambda item: (
        "ValidationError" if item["message_id"]["S"] == str(bad.message_id) else None
    )

    outcome = store.insert(arrivals(record, view(), bad, view()))

    (poison,) = outcome.refused
    assert (poison.record, poison.index, poison.payload) == (record, 1, encode_event(bad))
    assert poison.error.reason == "bad_event"
    assert len(outcome.stored) == 2
    assert outcome.left == []


def test_a_call_refused_for_one_event_is_taken_apart(
    dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard
) -> None:
    arrived = arrivals(shard.frame(), *(view() for _ in range(3)))
    refused = client_error("ValidationException")
    dynamodb.steps.faults["batch_execute_statement"] += [refused, refused]

    outcome = store.insert(arrived)

    assert [poison.index for poison in outcome.refused] == [0]
    assert outcome.stored.keys() == {each.key for each in arrived[1:]}


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e126", "1" * 39])
def test_a_value_that_no_number_attribute_holds_is_poison(
    store: EventStore, shard: Shard, value: str
) -> None:
    arrived = arrivals(shard.frame(), view(), view(value=Decimal(value)), view())

    outcome = store.insert(arrived)

    assert [poison.index for poison in outcome.refused] == [1]
    assert outcome.stored.keys() == {arrived[0].key, arrived[2].key}


def test_a_table_that_cannot_be_reached_leaves_the_rest(
    dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard
) -> None:
    records = [shard.frame() for _ in range(3)]
    dynamodb.steps.faults["batch_execute_statement"] += [client_error("ThrottlingException")]

    outcome = store.insert([each for record in records for each in arrivals(record, view())])

    assert outcome.left == records
    assert outcome.stored == {}


def test_keys_left_unread_are_read_again(dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard) -> None:
    arrived = arrivals(shard.frame(), *(view() for _ in range(90)))
    store.insert(arrived)
    dynamodb.unprocessed = [60, 7]

    outcome = store.insert(arrived)

    assert outcome.stored.keys() == {each.key for each in arrived}
    assert outcome.left == []


def test_an_origin_that_cannot_be_read_leaves_the_record(
    dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard
) -> None:
    record = shard.frame()
    arrived = arrivals(record, view(), view())
    store.insert(arrived)
    dynamodb.unprocessed = [1, 1, 1]

    outcome = store.insert(arrived)

    assert outcome.left == [record]


def test_a_table_that_cannot_be_read_leaves_the_record(
    dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard
) -> None:
    record = shard.frame()
    arrived = arrivals(record, view())
    store.insert(arrived)
    dynamodb.steps.faults["batch_get_item"] += [client_error("InternalServerError")]

    outcome = store.insert(arrived)

    assert outcome.left == [record]


def test_values_never_enter_the_statement(store: EventStore, shard: Shard) -> None:
    hostile = view(user_agent='\'}; DROP TABLE "events" --', referrer="?")
    arrived = arrivals(shard.frame(), hostile)

    outcome = store.insert(arrived)

    assert outcome.stored.keys() == {arrived[0].key}


def test_an_item_present_then_gone_leaves_the_record(
    dynamodb: MemoryDynamoDB, store: EventStore, shard: Shard
) -> None:
    record = shard.frame()
    arrived = arrivals(record, view())

    def duplicate(item: Item) -> str:
        return "DuplicateItem"

    dynamodb.refusal = duplicate

    assert store.insert(arrived).left == [record]
