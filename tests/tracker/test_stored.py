"""Stored events, read back from a table like the real one."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiobotocore.session import get_session

from cdk.config import Config, Index, Stream, Table
from cdk.local.resources import CREDENTIALS, create_resources
from schemas.dynamodb import EVENTS_KEY, PLACES_INDEX, PLACES_KEY, Origin, event_item
from schemas.errors import EventsUnavailableError
from schemas.events import Event
from schemas.places import Place, place_of
from tests.factories import NOW_MS, click, conversion, core_data, id_made_at, view
from tests.kinesis import client_error
from tests.tracker.ports import Clock
from tracker.stored import EventItems, Span, StoredEvents

REGION = "us-east-1"
ORIGIN = Origin("shardId-000000000000/0", "1")
DAY_MS = 86_400_000
ALWAYS = Span()


class EventsTable:
    """A table of its own, what reads it, and how often that asked."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self.clock = Clock()
        self.reader: StoredEvents = EventItems(dynamodb, table=table, timeout_ms=5_000, clock_ms=self.clock)
        self._dynamodb = dynamodb
        self._table = table

    async def store(self, *events: Event) -> None:
        for event in events:
            await self._dynamodb.put_item(TableName=self._table, Item=event_item(event, ORIGIN))

    async def pages(self, *, limit: int, span: Span = ALWAYS) -> list[list[Event]]:
        """Every page, one after the other."""
        pages: list[list[Event]] = []
        before: Place | None = None
        while True:
            page = await self.reader.page("212313", span=span, limit=limit, before=before)
            pages.append(page.events)
            before = page.last
            if before is None:
                return pages


@asynccontextmanager
async def opened(endpoint_url: str) -> AsyncIterator[EventsTable]:
    name = str(uuid4())
    config = Config(
        region=REGION,
        events=Table(name, EVENTS_KEY, index=Index(PLACES_INDEX, PLACES_KEY)),
        event_stream=Stream(name=f"events-{name}"),
    )
    create_resources(config, endpoint_url=endpoint_url)
    session = get_session()
    session.set_credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    async with session.create_client("dynamodb", region_name=REGION, endpoint_url=endpoint_url) as dynamodb:
        yield EventsTable(dynamodb, name)


@pytest.fixture
async def table(ministack: str) -> AsyncIterator[EventsTable]:
    async with opened(ministack) as table:
        yield table


def mixed(count: int, *, seed: int = 7) -> list[Event]:
    """Events of a few seconds, several in one millisecond, half of them with ids of their clients' making."""
    chance = random.Random(seed)
    events: list[Event] = []
    for _ in range(count):
        at_ms = NOW_MS + chance.randrange(200)
        own = UUID(int=chance.getrandbits(128), version=4)
        message_id = own if chance.random() < 0.5 else id_made_at(at_ms)
        events.append(view(message_id=message_id, received_at_ms=at_ms))
    return events


async def test_pages_hold_every_event_once_newest_first_whoever_made_its_id(table: EventsTable) -> None:
    events = mixed(150)
    await table.store(*events, view(program=core_data(program_id="other")))

    pages = await table.pages(limit=40)

    assert [len(page) for page in pages] == [40, 40, 40, 30]
    assert [event for page in pages for event in page] == sorted(events, key=place_of, reverse=True)


async def test_a_page_that_ends_with_the_last_event_has_no_next(table: EventsTable) -> None:
    await table.store(*mixed(10))

    assert [len(page) for page in await table.pages(limit=10)] == [10]


async def test_a_span_takes_its_first_millisecond_and_not_its_last(table: EventsTable) -> None:
    events = mixed(60)
    await table.store(*events)

    (within,) = await table.pages(limit=100, span=Span(NOW_MS + 50, NOW_MS + 100))

    wanted = [event for event in events if NOW_MS + 50 <= event.received_at_ms < NOW_MS + 100]
    assert 0 < len(wanted) < len(events)
    assert within == sorted(wanted, key=place_of, reverse=True)


@pytest.mark.parametrize("span", [Span(NOW_MS, NOW_MS), Span(NOW_MS + 1, NOW_MS), Span(0, 0)])
async def test_an_empty_span_is_an_empty_page(table: EventsTable, span: Span) -> None:
    await table.store(view(received_at_ms=NOW_MS))

    assert await table.pages(limit=10, span=span) == [[]]


async def test_an_id_that_only_looks_as_if_it_told_the_time_is_listed_once(table: EventsTable) -> None:
    late = view(message_id=id_made_at(NOW_MS), received_at_ms=NOW_MS + DAY_MS)
    await table.store(late)

    assert await table.pages(limit=10) == [[late]]
    assert await table.pages(limit=10, span=Span(NOW_MS, NOW_MS + 1)) == [[]]


async def test_what_has_expired_is_not_shown(table: EventsTable) -> None:
    kept, expiring = click(retention_days=2), conversion(retention_days=1)
    await table.store(kept, expiring)
    table.clock.now_ms = NOW_MS + DAY_MS

    assert await table.pages(limit=10) == [[kept]]
    assert await table.reader.find("212313", kept.message_id) == kept
    assert await table.reader.find("212313", expiring.message_id) is None


async def test_an_event_is_found_by_its_program_and_id_alone(table: EventsTable) -> None:
    stored = click()
    await table.store(stored)

    assert await table.reader.find("212313", stored.message_id) == stored
    assert await table.reader.find("212314", stored.message_id) is None
    assert await table.reader.find("212313", uuid4()) is None


class Down:
    async def query(self, **request: Any) -> dict[str, Any]:
        raise client_error("ThrottlingException")

    async def get_item(self, **request: Any) -> dict[str, Any]:
        raise client_error("ThrottlingException")


async def test_a_table_that_does_not_answer_is_no_absence() -> None:
    reader = EventItems(Down(), table="events", timeout_ms=100, clock_ms=Clock())

    with pytest.raises(EventsUnavailableError, match="ThrottlingException"):
        await reader.page("212313", span=Span(), limit=10, before=None)
    with pytest.raises(EventsUnavailableError, match="ThrottlingException"):
        await reader.find("212313", uuid4())
