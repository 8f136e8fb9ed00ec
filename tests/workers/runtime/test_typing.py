"""What mypy knows of an agent."""

from pathlib import Path

import pytest
from mypy import api

HEAD = """
from schemas.events import Click, Conversion, View
from workers.agents.app import agents, events
from schemas.events import Event
from workers.runtime.sink import Sink
from workers.runtime.stream import Stream
from workers.runtime.table import Table

"""
EVENT = '"schemas.events.View | schemas.events.Click | schemas.events.Conversion"'


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def mypy(code: str, cache: Path) -> list[str]:
    """What mypy says of a module."""
    options = ["--config-file=", "--strict", "--no-error-summary", "--cache-dir", str(cache)]
    out, errors, _ = api.run([*options, "-c", HEAD + code])
    assert errors == ""
    return [line for line in out.splitlines() if line.startswith("<string>")]


@pytest.mark.timeout(300)
def test_the_type_of_event_and_value_is_known_in_the_loop(cache: Path) -> None:
    said = mypy(
        """
@agents.agent(events)
async def tally(stream: Stream[Event], totals: Table[tuple[str, int], int], out: Sink[str]) -> None:
    async for event in stream:
        reveal_type(event)
        reveal_type(totals["a", 1])
        totals["a", 1] += 1
    async for batch in stream.take(10, within_ms=1_000):
        reveal_type(batch)
""",
        cache,
    )

    event, value, batch = said
    assert f"Revealed type is {EVENT}" in event
    assert 'Revealed type is "int"' in value or 'Revealed type is "builtins.int"' in value
    assert "list[schemas.events.View | " in batch


@pytest.mark.timeout(300)
def test_wrong_types_are_errors(cache: Path) -> None:
    said = mypy(
        """
@agents.agent(events)
async def other(stream: Stream[str]) -> None: ...

async def tally(stream: Stream[Event], totals: Table[str, int], out: Sink[str]) -> None:
    async for event in stream:
        totals[event] += 1
        totals["a"] = "b"
        out.send(1)
        event.no_such_field
""",
        cache,
    )

    assert len([line for line in said if ": error: " in line]) >= 5
    assert "Stream[str]" in said[0]


@pytest.mark.timeout(300)
def test_a_re_keyed_stream_is_as_typed_as_the_first(cache: Path) -> None:
    said = mypy(
        """
from workers.agents.app import touches
from workers.runtime.stream import Keyed

@agents.agent(touches)
async def matcher(stream: Stream[Keyed[Event]]) -> None:
    async for keyed in stream:
        reveal_type(keyed.event)

async def rekey(stream: Stream[Event], touches: Sink[Keyed[Event]]) -> None:
    await stream.group_by(lambda event: [event.key, 1], touches)
""",
        cache,
    )

    event, wrong = said
    assert f"Revealed type is {EVENT}" in event
    assert 'List item 1 has incompatible type "int"; expected "str"' in wrong
