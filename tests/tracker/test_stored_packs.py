"""Stored events, read back from packs in a table like the real one."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from schemas.errors import EventsUnavailableError
from schemas.events import Event, encode_event
from schemas.frames import encode_frame
from schemas.packs import Pack, pack_item
from schemas.packs import Place as PackPlace
from schemas.places import Place
from tests.factories import NOW_MS, click, id_made_at, view
from tests.tracker.test_stored import ALWAYS, DAY_MS, Down, EventsTable, opened
from tracker.stored import Span
from tracker.stored_packs import LATE_MS, PACKS_PER_QUERY, EventPacks

MINUTE_MS = 60_000


class Packed(EventsTable):
    """A table of packs, with a reader of them."""

    def __init__(self, table: EventsTable) -> None:
        self.clock = table.clock
        self._dynamodb, self._table = table._dynamodb, table._table
        self._number = 0
        self.reader = EventPacks(
            self._dynamodb, table.reader, table=self._table, timeout_ms=5_000, clock_ms=self.clock
        )

    async def pack(self, *events: Event, at_ms: int = NOW_MS) -> None:
        self._number += 1
        frame = encode_frame([encode_event(event) for event in events])
        pack = Pack(number=self._number, at_ms=at_ms, lane="l", place=PackPlace.of("1", 0), frame=frame)
        await self._dynamodb.put_item(TableName=self._table, Item=pack_item("212313", pack))

    async def expire(self, number: int) -> None:
        key = {"bucket": {"S": "212313#packs"}, "message_id": {"S": f"{number:012}"}}
        await self._dynamodb.delete_item(TableName=self._table, Key=key)


@pytest.fixture
async def packed(ministack: str) -> AsyncIterator[Packed]:
    async with opened(ministack) as table:
        yield Packed(table)


async def test_pages_go_from_what_was_stored_last_to_the_first(packed: Packed) -> None:
    events = [view() for _ in range(7)]
    await packed.pack(*events[:3])
    await packed.pack()
    await packed.pack(*events[3:4])
    await packed.pack(*events[4:])

    pages = await packed.pages(limit=2)

    assert [event for page in pages for event in page] == events[::-1]
    assert [len(page) for page in pages] == [2, 2, 2, 1]


async def test_the_last_page_says_that_it_is(packed: Packed) -> None:
    await packed.pack(view(), view())

    assert [len(page) for page in await packed.pages(limit=2)] == [2]
    assert await packed.reader.page("212312", span=ALWAYS, limit=2, before=None) == ([], None)


async def test_a_list_is_longer_than_a_query(packed: Packed) -> None:
    for _ in range(2 * PACKS_PER_QUERY + 1):
        await packed.pack(view())

    assert len((await packed.reader.page("212313", span=ALWAYS, limit=200, before=None)).events) == 17


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
async def test_what_was_stored_as_items_comes_behind(packed: Packed, limit: int) -> None:
    items = [view(message_id=id_made_at(NOW_MS + number), received_at_ms=NOW_MS) for number in range(2)]
    await packed.store(*items)
    events: list[Event] = [view(), click()]
    await packed.pack(*events)

    pages = await packed.pages(limit=limit)

    assert [event for page in pages for event in page] == [*events[::-1], *items[::-1]]
    assert await packed.reader.find("212313", items[0].message_id) == items[0]


async def test_a_range_of_time_is_found_among_many_packs(packed: Packed) -> None:
    packed.clock.now_ms = NOW_MS + DAY_MS
    events = [view(received_at_ms=NOW_MS + number * LATE_MS - MINUTE_MS) for number in range(12)]
    for number, event in enumerate(events):
        await packed.pack(event, at_ms=NOW_MS + number * LATE_MS)
    await packed.expire(1)

    for number in range(1, 12):
        span = Span(NOW_MS + (number - 1) * LATE_MS, NOW_MS + number * LATE_MS)
        page = await packed.reader.page("212313", span=span, limit=5, before=None)
        assert page == ([events[number]], None)


async def test_an_event_is_found_by_the_time_in_its_id(packed: Packed) -> None:
    packed.clock.now_ms = NOW_MS + DAY_MS
    events = [view(message_id=id_made_at(NOW_MS + number * LATE_MS)) for number in range(10)]
    for number, event in enumerate(events):
        await packed.pack(event, at_ms=NOW_MS + number * LATE_MS)

    for event in events:
        assert await packed.reader.find("212313", event.message_id) == event


async def test_an_event_is_found_though_its_id_tells_no_time_or_another(packed: Packed) -> None:
    wrong = view(message_id=id_made_at(NOW_MS - 30 * DAY_MS))
    events = [view(message_id=uuid4()), wrong]
    await packed.pack(*events)
    await packed.pack(view())

    for event in events:
        assert await packed.reader.find("212313", event.message_id) == event
    assert await packed.reader.find("212313", uuid4()) is None


async def test_what_has_expired_is_not_shown(packed: Packed) -> None:
    gone = view(retention_days=1, received_at_ms=NOW_MS)
    kept = view()
    await packed.pack(gone, kept)
    packed.clock.now_ms = NOW_MS + DAY_MS

    assert await packed.pages(limit=5) == [[kept]]
    assert await packed.reader.find("212313", gone.message_id) is None


async def test_a_table_that_does_not_answer_is_an_error(packed: Packed) -> None:
    reader = EventPacks(Down(), packed.reader, table="events", timeout_ms=100, clock_ms=packed.clock)

    with pytest.raises(EventsUnavailableError):
        await reader.page("212313", span=ALWAYS, limit=1, before=None)
    with pytest.raises(EventsUnavailableError):
        await reader.find("212313", uuid4())
    with pytest.raises(EventsUnavailableError):
        await reader.page("212313", span=ALWAYS, limit=1, before=Place(7, uuid4()))
