"""Agents in memory: what the API promises, through `test_context`."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Annotated, Any

import pytest

from schemas.errors import AgentError, UnavailableError
from schemas.events import Event
from tests.factories import NOW_MS, view
from workers.runtime.agents import Agents, Decoded, Topic
from workers.runtime.sink import Sink
from workers.runtime.stream import Stream
from workers.runtime.table import Table, TableOptions, WindowedTable
from workers.runtime.testing import test_context
from workers.runtime.window import Window, hopping, tumbling

Key = tuple[str, int]
Count = int
MINUTE_MS = 60_000


class Said(tuple[int, str]):
    """An event of the tests: when, and what."""


def said(at_ms: int, what: str) -> Said:
    return Said((at_ms, what))


def nothing(data: bytes) -> Decoded[Any]:
    return Decoded([])


events = Topic[Event](name="events", decode=nothing, at_ms=lambda event: event.received_at_ms)
words = Topic[Said](name="words", decode=nothing, at_ms=lambda each: each[0])


@pytest.fixture
def agents() -> Agents:
    return Agents()


def window(event: Event) -> Key:
    return event.program.program_id, event.received_at_ms // MINUTE_MS


async def test_the_agent_of_the_design_runs_as_written(agents: Agents) -> None:
    @agents.agent(events)
    async def tally(stream: Stream[Event], totals: Table[Key, Count]) -> None:
        async for event in stream:
            totals[window(event)] += 1

    async with test_context(tally) as context:
        await context.put(view(), view(), view(received_at_ms=NOW_MS + MINUTE_MS))

    minute = NOW_MS // MINUTE_MS
    assert dict(context.tables["totals"].items()) == {("212313", minute): 2, ("212313", minute + 1): 1}


async def test_a_batch_goes_when_it_is_full_or_has_waited(agents: Agents) -> None:
    @agents.agent(words)
    async def batches(stream: Stream[Said], out: Sink[list[str]]) -> None:
        async for batch in stream.take(2, within_ms=1_000):
            out.send([what for _, what in batch])

    async with test_context(batches) as context:
        await context.put(said(0, "a"), said(1, "b"), said(2, "c"))
        assert context.sent["out"] == [["a", "b"]]
        await context.advance(999)
        assert context.sent["out"] == [["a", "b"]]
        await context.advance(1)
        assert context.sent["out"] == [["a", "b"], ["c"]]
        await context.put(said(0, "d"))

    assert context.sent["out"] == [["a", "b"], ["c"], ["d"]]


async def test_a_batch_keeps_what_it_gathered_where_the_agent_stops_waiting(agents: Agents) -> None:
    @agents.agent(words)
    async def impatient(stream: Stream[Said], out: Sink[list[str]]) -> None:
        batches = stream.take(2, within_ms=1_000)
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
        async for batch in stream.take(2, within_ms=1_000):
            out.send([what for _, what in batch])

    async with test_context(impatient) as context:
        await context.put(said(0, "a"))
        await asyncio.sleep(0.05)
        await context.put(said(1, "b"))

    assert context.sent["out"] == [["a", "b"]]


async def test_windows_close_in_event_time_and_late_events_find_none(agents: Agents) -> None:
    @agents.agent(words)
    async def count(
        stream: Stream[Said],
        minutes: Annotated[WindowedTable[str, int], TableOptions(window=tumbling(60, lateness_ms=10))],
        out: Sink[tuple[Window, dict[str, int]]],
    ) -> None:
        def close(window: Window, counts: Mapping[str, int]) -> None:
            out.send((window, dict(counts)))

        minutes.on_close(close)
        async for at_ms, what in stream:
            for counts in minutes.at(at_ms):
                counts[what] += 1

    async with test_context(count, idle_ms=5) as context:
        await context.put(said(0, "a"), said(59, "b"), said(69, "c"), said(1, "a"))
        assert context.sent["out"] == []
        await context.put(said(70, "c"))
        assert context.sent["out"] == [((0, 60), {"a": 2, "b": 1})]
        await context.put(said(59, "too late"))
        assert context.tables["minutes"].late == 1
        await context.advance(64)
        assert len(context.sent["out"]) == 1
        await context.advance(1)

    assert context.sent["out"][1:] == [((60, 120), {"c": 2})]
    assert context.tables["minutes"].open() == []


async def test_a_moment_is_in_several_hopping_windows(agents: Agents) -> None:
    @agents.agent(words)
    async def count(
        stream: Stream[Said],
        windows: Annotated[WindowedTable[str, int], TableOptions(window=hopping(60, step_ms=30))],
    ) -> None:
        async for at_ms, what in stream:
            for counts in windows.at(at_ms):
                counts[what] += 1

    async with test_context(count) as context:
        await context.put(said(30, "a"), said(45, "a"), said(65, "a"))

        counted = {pane.window: pane["a"] for pane in context.tables["windows"].open()}
        assert counted == {(30, 90): 3, (60, 120): 1}


async def test_an_event_that_fails_leaves_nothing_behind_and_the_rest_goes_on(
    agents: Agents, caplog: pytest.LogCaptureFixture
) -> None:
    @agents.agent(words)
    async def fragile(stream: Stream[Said], seen: Table[str, int], out: Sink[str]) -> None:
        async for _, what in stream:
            seen[what] += 1
            out.send(what)
            if what == "bad":
                raise ValueError("no good")

    async with test_context(fragile, attempts=3) as context:
        await context.put(said(0, "a"), said(1, "bad"), said(2, "b"))

    assert context.sent["out"] == ["a", "b"]
    assert list(context.tables["seen"]) == ["a", "b"]
    ((event, error),) = context.failed
    assert event == (1, "bad") and isinstance(error, ValueError)
    assert caplog.text.count("next attempt") == 2
    assert "ValueError: no good" in caplog.text


async def test_the_events_of_a_batch_that_fails_come_alone(agents: Agents) -> None:
    @agents.agent(words)
    async def fragile(stream: Stream[Said], out: Sink[list[str]]) -> None:
        async for batch in stream.take(3, within_ms=1_000):
            out.send([what for _, what in batch])
            if any(what == "bad" for _, what in batch):
                raise ValueError("no good")

    async with test_context(fragile) as context:
        await context.put(*(said(0, what) for what in ("a", "bad", "b", "c", "d", "e")))

    assert context.sent["out"] == [["a"], ["b"], ["c", "d", "e"]]
    assert [event for event, _ in context.failed] == [(0, "bad")]


async def test_what_fails_for_want_of_a_dependency_is_tried_until_it_is_there(agents: Agents) -> None:
    refusals = list(range(10))

    @agents.agent(words)
    async def patient(stream: Stream[Said], out: Sink[str]) -> None:
        async for _, what in stream:
            if refusals:
                refusals.pop()
                raise UnavailableError("down")
            out.send(what)

    async with test_context(patient, attempts=2) as context:
        await context.put(said(0, "a"))

    assert context.sent["out"] == ["a"]
    assert context.failed == []


async def test_an_agent_that_leaves_its_loop_fails_on_the_event_in_hand(agents: Agents) -> None:
    @agents.agent(words)
    async def leaving(stream: Stream[Said], out: Sink[str]) -> None:
        async for _, what in stream:
            if what == "leave":
                break
            out.send(what)

    async with test_context(leaving) as context:
        await context.put(said(0, "a"), said(0, "leave"), said(0, "b"))

    assert context.sent["out"] == ["a", "b"]
    assert "returned before its stream ended" in str(context.failed[0][1])


async def test_an_agent_that_raises_at_start_says_so(agents: Agents) -> None:
    @agents.agent(words)
    async def broken(stream: Stream[Said]) -> None:
        raise ValueError("bad start")

    with pytest.raises(ValueError, match="bad start"):
        async with test_context(broken):
            pass


async def test_an_agent_that_never_reads_its_stream_says_so(agents: Agents) -> None:
    @agents.agent(words)
    async def idle(stream: Stream[Said]) -> None:
        pass

    with pytest.raises(AgentError, match="idle returned before its stream ended"):
        async with test_context(idle):
            pass


async def test_an_agent_that_leaves_tasks_behind_is_told_of_them(
    agents: Agents, caplog: pytest.LogCaptureFixture
) -> None:
    left: list[asyncio.Task[None]] = []

    async def forever() -> None:
        await asyncio.Event().wait()

    @agents.agent(words)
    async def leaking(stream: Stream[Said]) -> None:
        async for _, what in stream:
            left.append(asyncio.create_task(forever(), name=what))
            await asyncio.create_task(asyncio.sleep(0))

    async with test_context(leaking) as context:
        await context.put(said(0, "lost"))

    assert [(task.get_name(), task.cancelled()) for task in left] == [("lost", True)]
    assert caplog.text.count("leaking left a task behind, which is cancelled") == 1
    assert "name='lost'" in caplog.text


async def test_what_the_agent_does_at_the_end_of_its_stream_is_kept(agents: Agents) -> None:
    @agents.agent(words)
    async def last(stream: Stream[Said], out: Sink[str]) -> None:
        async for _ in stream:
            pass
        out.send("end")

    async with test_context(last) as context:
        await context.put(said(0, "a"))

    assert context.sent["out"] == ["end"]


async def test_an_event_from_the_future_closes_no_windows(
    agents: Agents, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    @agents.agent(Topic[Said](name="words", decode=nothing))
    async def count(
        stream: Stream[Said],
        minutes: Annotated[WindowedTable[str, int], TableOptions(window=tumbling(60))],
    ) -> None:
        async for at_ms, what in stream:
            for counts in minutes.at(at_ms):
                counts[what] += 1

    async with test_context(count, now_ms=1_000) as context:
        await context.put(said(10**12, "a"), said(1_001, "b"))

        assert [dict(pane.items()) for pane in context.tables["minutes"].open()] == [{"b": 1}, {"a": 1}]


async def test_an_agent_looks_at_the_windows_around_a_moment(agents: Agents) -> None:
    @agents.agent(words)
    async def neighbours(
        stream: Stream[Said],
        minutes: Annotated[WindowedTable[str, int], TableOptions(window=tumbling(60, lateness_ms=60))],
        out: Sink[list[Window]],
    ) -> None:
        async for at_ms, what in stream:
            out.send([pane.window for pane in minutes.between(at_ms - 60, at_ms + 60)])
            for counts in minutes.at(at_ms):
                counts[what] += 1

    async with test_context(neighbours) as context:
        await context.put(said(70, "a"), said(130, "b"), said(190, "c"))

    assert context.sent["out"] == [
        [(0, 60), (60, 120), (120, 180)],
        [(60, 120), (120, 180), (180, 240)],
        [(120, 180), (180, 240), (240, 300)],
    ]
    assert context.tables["minutes"].late == 0
