from collections.abc import Callable
from typing import Annotated, Any

import pytest

from schemas.errors import AgentError
from workers.runtime.agents import Agents, Decoded, Topic, kinesis_hash
from workers.runtime.sink import Sink
from workers.runtime.state import State
from workers.runtime.stream import Stream
from workers.runtime.table import Table, TableOptions, WindowedTable
from workers.runtime.window import tumbling

words = Topic[str](name="words", decode=lambda data: Decoded([(0, data.decode())]))


async def good(
    stream: Stream[str],
    totals: Table[str, int],
    minutes: Annotated[WindowedTable[str, int], TableOptions(window=tumbling(60_000))],
    out: Sink[str],
) -> None:
    async for _ in stream:
        pass


def test_an_agent_is_registered_with_what_it_takes() -> None:
    agents = Agents()

    agent = agents.agent(words)(good)

    assert agents.agents == {"good": agent}
    assert agent.topic is words
    assert list(agent.tables) == ["totals", "minutes"]
    assert agent.sinks == ["out"]


def test_each_shard_has_tables_of_its_own() -> None:
    agent = Agents().agent(words)(good)
    first, second = State(), State()
    for state in (first, second):
        agent.bound(state, {"out": _outlet}, None)

    first.views["totals"]["a"] = 1  # type: ignore[index]

    assert "a" not in second.views["totals"]  # type: ignore[operator]


def test_a_sink_that_nothing_takes_from_is_an_error() -> None:
    with pytest.raises(AgentError, match="good: nothing takes what it sends to out"):
        Agents().agent(words)(good).bound(State(), {}, None)


def test_a_name_is_taken_once() -> None:
    agents = Agents()
    agents.agent(words)(good)
    agents.agent(words, name="other")(good)

    with pytest.raises(AgentError, match="good is registered already"):
        agents.agent(words)(good)


async def no_stream(totals: Table[str, int]) -> None: ...


def no_coroutine(stream: Stream[str]) -> None: ...


async def untyped(stream: Stream[str], totals) -> None: ...  # type: ignore[no-untyped-def]


async def two_streams(stream: Stream[str], other: Stream[str]) -> None: ...


async def windowless(stream: Stream[str], minutes: WindowedTable[str, int]) -> None: ...


async def open_ended(stream: Stream[str], **others: Table[str, int]) -> None: ...


async def window_of_none(
    stream: Stream[str], totals: Annotated[Table[str, int], TableOptions(window=tumbling(1))]
) -> None: ...


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (no_stream, "no_stream takes no Stream"),
        (no_coroutine, "no_coroutine is not an async function"),
        (untyped, "untyped: totals is no Stream, Table, WindowedTable, Sink or settings"),
        (two_streams, "two_streams: other is no"),
        (windowless, "windowless: minutes needs a window"),
        (window_of_none, "window_of_none: totals needs a window"),
        (open_ended, "cannot be given by name"),
    ],
)
def test_what_is_no_agent_is_refused_when_it_is_registered(function: Callable[..., Any], reason: str) -> None:
    with pytest.raises(AgentError, match=reason):
        Agents().agent(words)(function)


def test_a_timer_takes_sinks_alone() -> None:
    agents = Agents()

    @agents.timer(every_ms=1_000)
    async def beat(out: Sink[str]) -> None: ...

    assert agents.timers["beat"].every_ms == 1_000
    assert agents.timers["beat"].sinks == ("out",)
    with pytest.raises(AgentError, match="a timer takes sinks alone, and totals is none"):
        agents.timer(every_ms=1)(no_stream)


def test_the_hash_of_a_key_is_where_kinesis_puts_it() -> None:
    assert kinesis_hash("a") == 0x0CC175B9C0F1B6A831C399E269772661


async def _outlet(results: object, /) -> None: ...
