"""Live: one beat for all, resumed where a reader was, and nothing done for nobody."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest

from schemas.errors import DrainingError, TooManyWatchersError
from tests.tracker.ports import Clock, tracker_settings
from tests.tracker.server import FakeFollower
from tracker.live.board import Board
from tracker.live.stream import HEARTBEAT, OPENING, Live

WAIT_S = 5


class Follower(FakeFollower):
    """Counts how often it was started and stopped."""

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        return {"follow": self.follow}

    async def follow(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()


class Studio:
    """A live actor that runs, and the followers that it made, the last one in use."""

    def __init__(self, **fields: int) -> None:
        self.followers: list[Follower] = []
        settings = tracker_settings(**({"live_interval_ms": 10, "live_linger_ms": 0} | fields))
        self.live = Live(self.follow, settings, Clock())

    def follow(self, board: Board) -> Follower:
        self.followers.append(Follower(board))
        return self.followers[-1]

    @property
    def board(self) -> Board:
        return self.followers[-1].board


class Reader:
    """Reads a stream, event by event."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self.last_id = ""

    async def raw(self) -> bytes:
        async with asyncio.timeout(WAIT_S):
            return await anext(self._stream)

    async def next(self) -> tuple[str, dict[str, list[object]]]:
        """The next event and its sections."""
        while (data := await self.raw()) in (OPENING, HEARTBEAT):
            pass
        fields = dict(line.split(": ", 1) for line in data.decode().rstrip("\n").split("\n"))
        self.last_id = fields["id"]
        return fields["event"], msgspec.json.decode(fields["data"])


@asynccontextmanager
async def on_air(**fields: int) -> AsyncIterator[Studio]:
    studio = Studio(**fields)
    task = asyncio.create_task(studio.live.run())
    try:
        yield studio
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_snapshot_comes_first_and_then_what_changes() -> None:
    async with on_air() as studio:
        with studio.live.watching():
            reader = Reader(studio.live.stream())
            first = await reader.next()
            studio.board.put(("totals", "a"), ["a", 1])
            second = await reader.next()

    assert first[0] == "snapshot"
    assert first[1]["state"] == [
        {"task": "this", "linked": True, "sinceMs": 1_760_000_000_000, "reading": False, "full": False}
    ]
    assert second == ("change", {"atMs": 1_760_000_000_000, "totals": [["a", 1]]})


async def test_what_changes_between_two_beats_is_one_event_with_the_last_of_each() -> None:
    async with on_air(live_interval_ms=50) as studio:
        with studio.live.watching():
            reader = Reader(studio.live.stream())
            await reader.next()
            studio.board.put(("totals", "a"), ["a", 1])
            await reader.next()
            for count in range(1, 1_000):
                studio.board.put(("totals", str(count % 100)), [str(count % 100), count])
            _, sections = await reader.next()

    assert len(sections["totals"]) == 100


async def test_readers_who_are_as_far_are_told_in_the_same_bytes() -> None:
    async with on_air() as studio:
        with studio.live.watching(), studio.live.watching():
            readers = [Reader(studio.live.stream()) for _ in range(2)]
            for reader in readers:
                await reader.next()
            studio.board.put(("totals", "a"), ["a", 1])
            first, second = [await reader.raw() for reader in readers]

    assert first.partition(b"data: ")[2] == second.partition(b"data: ")[2]


async def test_who_comes_back_is_told_what_changed_meanwhile_and_no_more() -> None:
    async with on_air(live_linger_ms=60_000) as studio:
        with studio.live.watching():
            reader = Reader(studio.live.stream())
            await reader.next()
        studio.board.put(("totals", "a"), ["a", 1])
        with studio.live.watching():
            again = Reader(studio.live.stream(reader.last_id))
            assert (await again.next()) == ("change", {"atMs": 1_760_000_000_000, "totals": [["a", 1]]})


@pytest.mark.parametrize("last_id", ["", "x", "00000000-1", "-", "é-1", "{name}-x", "{name}-" + "9" * 30])
async def test_who_comes_with_an_id_that_is_not_known_is_given_a_snapshot(last_id: str) -> None:
    async with on_air(live_linger_ms=60_000) as studio:
        with studio.live.watching():
            reader = Reader(studio.live.stream())
            await reader.next()
            name = reader.last_id.partition("-")[0]
            again = Reader(studio.live.stream(last_id.replace("{name}", name)))

            assert (await again.next())[0] == "snapshot"


async def test_a_snapshot_is_cut_into_events_of_a_bounded_size() -> None:
    async with on_air(live_unsent_max_bytes=16_384) as studio:
        for number in range(1_000):
            studio.board.put(("programs", str(number)), "x" * 100)
        with studio.live.watching():
            reader = Reader(studio.live.stream(once=True))
            sizes, kinds, count = [], [], 0
            while count < 1_000:
                kind, sections = await reader.next()
                kinds.append(kind)
                count += len(sections.get("programs", []))
                sizes.append(len(msgspec.json.encode(sections)))

    assert max(sizes) < 16_384 + 1_000
    assert kinds == ["snapshot"] + ["change"] * (len(kinds) - 1)


async def test_once_the_stream_ends_with_all_that_is_there() -> None:
    studio = Studio()
    with studio.live.watching():
        data = [part async for part in studio.live.stream(once=True)]

    assert len(data) == 2


async def test_once_it_waits_for_what_is_still_being_read_but_not_for_ever() -> None:
    async with on_air(live_heartbeat_ms=50) as studio:
        with studio.live.watching():
            studio.followers[-1].reading = True
            async with asyncio.timeout(WAIT_S):
                data = [part async for part in studio.live.stream(once=True)]

    assert data[-1] == HEARTBEAT


async def test_a_quiet_stream_says_that_it_is_there() -> None:
    async with on_air(live_heartbeat_ms=10) as studio:
        with studio.live.watching():
            reader = Reader(studio.live.stream())
            await reader.next()

            assert await reader.raw() == HEARTBEAT


async def test_nothing_is_followed_before_somebody_watches_nor_after() -> None:
    async with on_air() as studio:
        (first,) = studio.followers
        assert not first.started.is_set()
        with studio.live.watching():
            async with asyncio.timeout(WAIT_S):
                await first.started.wait()
            assert not first.stopped.is_set()

        async with asyncio.timeout(WAIT_S):
            await first.stopped.wait()
        with studio.live.watching():
            assert (await Reader(studio.live.stream()).next())[0] == "snapshot"


async def test_who_comes_back_within_the_linger_finds_what_was_followed() -> None:
    async with on_air(live_linger_ms=60_000) as studio:
        for _ in range(3):
            with studio.live.watching():
                async with asyncio.timeout(WAIT_S):
                    await studio.followers[-1].started.wait()

        assert len(studio.followers) == 1
        assert not studio.followers[0].stopped.is_set()


async def test_one_more_than_may_watch_is_refused_until_one_leaves() -> None:
    studio = Studio(live_watchers_max=2)
    with studio.live.watching():
        with studio.live.watching():
            with pytest.raises(TooManyWatchersError), studio.live.watching():
                pass
            assert studio.live.watchers == 2
        with studio.live.watching():
            pass


async def test_a_stopping_task_ends_its_streams_and_takes_no_new_ones() -> None:
    async with on_air() as studio:
        with studio.live.watching():
            reader = Reader(studio.live.stream())
            await reader.next()

            studio.live.close()

            with pytest.raises(StopAsyncIteration):
                while True:
                    await reader.raw()
        with pytest.raises(DrainingError), studio.live.watching():
            pass
