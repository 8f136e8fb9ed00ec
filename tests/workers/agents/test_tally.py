"""`tally` in memory, and on shards that move, split and merge."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import UnavailableError
from schemas.events import Event, encode_event
from schemas.frames import encode_frame
from schemas.invalidations import MinutePublished
from schemas.minutes import MINUTE_MS, Minute, minute_of
from tests.factories import NOW_MS, click, conversion, core_data, view
from tests.kinesis import InMemoryKinesis
from tests.workers.crowd import crowd
from workers.agents.app import events
from workers.agents.tally import counted, tally
from workers.runtime.agents import Agents
from workers.runtime.stream import Stream
from workers.runtime.table import Table
from workers.runtime.testing import test_context
from workers.settings import AgentSettings

MINUTE = minute_of(NOW_MS)
NEVER_MS = 2 * NOW_MS
"""The events of these tests are old: a quiet shard's event time would follow the clock past them."""
EVENTS = st.lists(
    st.builds(
        lambda make, number, visitor, valid, program_id: make(
            message_id=UUID(int=number),
            visitor=f"visitor-{visitor}",
            valid=valid,
            program=core_data(program_id=program_id),
            received_at_ms=NOW_MS + number % 3 * MINUTE_MS,
        ),
        st.sampled_from([view, click, conversion]),
        st.integers(0, 40),
        st.integers(0, 9),
        st.booleans(),
        st.sampled_from(["a", "b"]),
    ),
    unique_by=lambda event: event.message_id,
    min_size=1,
    max_size=40,
)


class Board:
    """What Redis would know: of each part the minute that counted most."""

    def __init__(self) -> None:
        self.parts: dict[tuple[str, int, str], Minute] = {}
        self.is_down = False

    async def __call__(self, results: Sequence[MinutePublished], /) -> None:
        if self.is_down:
            raise UnavailableError("down")
        for each in results:
            key = (each.program_id, each.start_ms, each.part)
            if each.minute.events > self.parts.get(key, Minute()).events:
                self.parts[key] = each.minute

    @property
    def minutes(self) -> dict[tuple[str, int], Minute]:
        """The sum of the parts."""
        found: defaultdict[tuple[str, int], Minute] = defaultdict(Minute)
        for (program_id, start_ms, _), minute in self.parts.items():
            found[program_id, start_ms] += minute
        return dict(found)


def expected(events: Sequence[Event]) -> dict[tuple[str, int], Minute]:
    """What these distinct events come to, counted the plain way."""
    found: defaultdict[tuple[str, int], list[Event]] = defaultdict(list)
    for event in events:
        found[event.program.program_id, minute_of(event.received_at_ms)].append(event)
    return {key: minute(some) for key, some in found.items()}


def minute(events: Sequence[Event]) -> Minute:
    valid = [event for event in events if event.valid]
    kinds = [type(event).__name__ for event in valid]
    return Minute(
        views=kinds.count("View"),
        clicks=kinds.count("Click"),
        conversions=kinds.count("Conversion"),
        invalid=len(events) - len(valid),
        visitors=len({event.visitor for event in valid if event.visitor}),
    )


async def test_a_minute_tells_kinds_and_visitors_apart() -> None:
    async with test_context(tally, now_ms=NOW_MS) as context:
        await context.put(
            view(visitor="v1"), view(visitor="v2"), click(visitor="v1"), view(visitor="v3", valid=False)
        )

        last = context.sent["minutes"][-1]
        assert (last.program_id, last.start_ms) == ("212313", MINUTE)
        assert last.minute == Minute(views=2, clicks=1, invalid=1, visitors=2)


async def test_who_is_not_to_be_known_is_no_visitor() -> None:
    async with test_context(tally, now_ms=NOW_MS) as context:
        await context.put(view(visitor=None), conversion(visitor=None))

        assert context.sent["minutes"][-1].minute == Minute(views=1, conversions=1)


async def test_a_part_is_named_after_its_first_event() -> None:
    first = view()
    async with test_context(tally, now_ms=NOW_MS) as context:
        await context.put(first, view())

        assert {each.part for each in context.sent["minutes"]} == {str(first.message_id)}


async def test_what_is_sent_again_counts_once_even_a_minute_later() -> None:
    event = view(visitor="v1")
    again = view(message_id=event.message_id, visitor="v1", received_at_ms=NOW_MS + MINUTE_MS)
    async with test_context(tally, now_ms=NOW_MS) as context:
        await context.put(event, event, again)

        assert [each.minute for each in context.sent["minutes"]] == [Minute(views=1, visitors=1)]


async def test_each_minute_is_counted_apart() -> None:
    async with test_context(tally, now_ms=NOW_MS) as context:
        await context.put(view(visitor="v1"), view(visitor="v1", received_at_ms=NOW_MS + MINUTE_MS))

        assert [each.start_ms for each in context.sent["minutes"]] == [MINUTE, MINUTE + MINUTE_MS]
        assert all(each.minute == Minute(views=1, visitors=1) for each in context.sent["minutes"])


@pytest.mark.parametrize("settings", [AgentSettings(), AgentSettings(tally_lateness_ms=1_000)])
async def test_a_minute_takes_late_events_until_it_is_closed_and_forgotten(settings: AgentSettings) -> None:
    closed_at_ms = MINUTE + MINUTE_MS + settings.tally_lateness_ms
    async with test_context(tally, now_ms=NOW_MS, settings=settings) as context:
        await context.put(view(), view(received_at_ms=closed_at_ms - 1), view())
        assert context.sent["minutes"][-1].minute.views == 2

        await context.put(view(received_at_ms=closed_at_ms), view())

        assert [each.start_ms for each in context.sent["minutes"][3:]] == [minute_of(closed_at_ms)]
        assert MINUTE not in {pane.window.start_ms for pane in context.tables["counts"].open()}


def test_where_shards_were_merged_the_other_part_stays_as_it_is() -> None:
    parts = {"first": Minute(views=2, visitors=2), "other": Minute(clicks=5, visitors=3)}

    after = counted(parts, view(), 6)

    assert after == {"first": Minute(views=3, visitors=3), "other": Minute(clicks=5, visitors=3)}
    assert next(iter(after)) == "first"


async def test_a_split_and_a_merge_lose_no_event_and_count_none_twice() -> None:
    chance, board = random.Random(5), Board()
    tracked = [
        view(visitor=f"visitor-{chance.randrange(30)}", received_at_ms=NOW_MS + number % 2 * MINUTE_MS)
        for number in range(300)
    ]
    kinesis = InMemoryKinesis(shards=2)
    async with crowd(kinesis, workers=0, agents=only_tally(), idle_ms=NEVER_MS) as workers:
        workers.outlets["minutes"] = board
        await workers.hire()
        for number, event in enumerate(tracked):
            await send(kinesis, event)
            if number == 100:
                kinesis.split(kinesis.open_shard_ids[0])
                await until_counted(board, 50)
            if number == 200:
                kinesis.merge(*kinesis.open_shard_ids[-2:])
        await until_counted(board, len(tracked))

    counts = {key: (each.views, each.events) for key, each in board.minutes.items()}
    assert counts == {key: (each.views, each.events) for key, each in expected(tracked).items()}


async def test_while_redis_is_down_others_go_on_and_nothing_is_lost() -> None:
    agents, board, kinesis = only_tally(), Board(), InMemoryKinesis(shards=2)

    @agents.agent(events)
    async def other(stream: Stream[Event], seen: Table[str, int]) -> None:
        async for event in stream:
            seen[event.key] += 1

    async with crowd(kinesis, workers=0, agents=agents, idle_ms=NEVER_MS) as workers:
        workers.outlets["minutes"], board.is_down = board, True
        await workers.hire()
        for number in range(20):
            await send(kinesis, view(visitor=f"visitor-{number}"))
        await workers.until(lambda: sum(workers.table("seen", int).values()) == 20)
        assert board.parts == {}

        board.is_down = False
        await until_counted(board, 20)

    assert board.minutes == {("212313", MINUTE): Minute(views=20, visitors=20)}


@settings(max_examples=40)
@given(tracked=EVENTS, seed=st.integers(0, 9), kills=st.lists(st.integers(0, 39), max_size=3))
def test_any_shards_kills_and_resends_give_the_same_minutes(
    tracked: list[Event], seed: int, kills: list[int]
) -> None:
    chance = random.Random(seed)
    sent = [chance.choice(tracked[: number + 1]) for number in range(len(tracked))] + tracked

    board = asyncio.run(tallied(sent, kills=kills, shards=1 + seed % 4))

    first = {event.message_id: event for event in reversed(sent)}
    assert board.minutes == expected(list(first.values()))


async def tallied(events: Sequence[Event], *, kills: Sequence[int], shards: int) -> Board:
    """What the board says once all is counted, however many workers were killed meanwhile."""
    kinesis, board = InMemoryKinesis(shards=shards), Board()
    async with crowd(kinesis, workers=0, agents=only_tally(), idle_ms=NEVER_MS) as workers:
        workers.outlets["minutes"] = board
        await workers.hire()
        for number, event in enumerate(events):
            await send(kinesis, event)
            if number in kills:
                await asyncio.sleep(0.01)
                await workers.kill(next(iter(workers.workers)))
                await workers.hire()
        await until_counted(board, len({event.message_id for event in events}))
    return board


def only_tally() -> Agents:
    agents = Agents()
    agents.agents["tally"] = tally
    return agents


async def send(kinesis: InMemoryKinesis, event: Event) -> None:
    record = {"Data": encode_frame([encode_event(event)]), "PartitionKey": event.key}
    await kinesis.put_records(StreamName=kinesis.stream, Records=[record])


async def until_counted(board: Board, count: int) -> None:
    async with asyncio.timeout(20):
        while sum(each.events for each in board.minutes.values()) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
