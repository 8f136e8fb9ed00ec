"""What the agents' commits write is what the bill takes it to be: each event by a visitor of its own."""

from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any

import pytest

from cdk.traffic import Assumptions, distinct
from schemas.events import Event
from tests.factories import NOW_MS, click, core_data, id_made_at, view
from tests.workers.dynamodb import LEASES, STATE, MemoryDynamoDB
from workers.agents.guard import guard
from workers.agents.matcher import matcher
from workers.agents.matching import keys_of
from workers.agents.tally import tally
from workers.runtime.agents import Agent
from workers.runtime.lease_table import LeaseTable
from workers.runtime.positions import Position
from workers.runtime.state import State
from workers.runtime.state_table import StateTable
from workers.runtime.stream import Keyed
from workers.runtime.table import Entries
from workers.runtime.testing import TestContext, test_context

KEY = "agent/events/0"
COMMIT_MS = 10_000
COMMITS = 20
COUNTED_COMMITS = 10
"""The last of them, by when something has been written before."""
EVENTS = 400
"""To a commit."""
ASSUMED = Assumptions()


class Meter(MemoryDynamoDB):
    """Notes what is put."""

    def __init__(self) -> None:
        super().__init__()
        self.put_bytes = list[int]()

    async def put_item(self, **request: Any) -> dict[str, Any]:
        item = request["Item"]
        self.put_bytes.append(
            sum(len(name) + len(next(iter(value.values()))) for name, value in item.items())
        )
        return await super().put_item(**request)


class Shadow:
    """Commits what an agent's tables have come to, from time to time."""

    def __init__(self, dynamodb: Meter, table: StateTable) -> None:
        self._table = table
        self._state = State()
        self._dynamodb = dynamodb

    async def commit(self, tables: dict[str, Entries], position: Position) -> int:
        """Returns what that put."""
        for name, entries in tables.items():
            shadow = self._state.tables.setdefault(name, Entries())
            for key in {*entries, *shadow}:
                shadow.put(key, entries.get(key))
        before = len(self._dynamodb.put_bytes)
        await self._table.commit(position, self._state)
        self._state.committed()
        return sum(self._dynamodb.put_bytes[before:])


async def shadow() -> Shadow:
    dynamodb = Meter()
    leases = LeaseTable(dynamodb, LEASES, timeout_s=1)
    lease = await leases.take((await leases.read([KEY]))[KEY], owner="worker", token="1")
    assert lease is not None
    table = StateTable(dynamodb, lease, leases_table=LEASES, state_table=STATE, log_min_bytes=100_000)
    return Shadow(dynamodb, table)


def sent(make: Callable[..., Event]) -> Iterator[Event]:
    chance = Random(20261126)
    for number in count():
        at_ms = NOW_MS + number * COMMIT_MS // EVENTS
        program = core_data(program_id=f"{200_000 + chance.randrange(ASSUMED.programs)}")
        yield make(
            received_at_ms=at_ms,
            message_id=id_made_at(at_ms),
            visitor=f"{chance.getrandbits(64):x}",
            program=program,
            **({"click_id": f"{chance.getrandbits(64):x}"} if make is click else {}),
        )


async def put(context: TestContext[Any], agent: Agent[Any], event: Event) -> None:
    if agent is matcher:
        await context.put(*(Keyed(key, event) for key in keys_of(event)))
    else:
        await context.put(event)


@pytest.mark.parametrize(
    ("agent", "make", "event_bytes", "program_bytes"),
    [
        (tally, view, ASSUMED.tally_bytes, ASSUMED.tally_program_bytes),
        (guard, click, ASSUMED.guard_bytes, 0),
        (matcher, click, ASSUMED.matcher_bytes, 0),
    ],
    ids=["tally", "guard", "matcher"],
)
async def test_a_commit_writes_what_is_assumed(
    agent: Agent[Any], make: Callable[..., Event], event_bytes: float, program_bytes: float
) -> None:
    events, shadowing, written = sent(make), await shadow(), list[int]()
    async with test_context(agent, now_ms=NOW_MS) as context:
        for number in range(COMMITS):
            for _ in range(EVENTS):
                await put(context, agent, next(events))
            written.append(await shadowing.commit(context.entries, Position(str(number))))

    programs = distinct(ASSUMED.programs, EVENTS)
    assumed = ASSUMED.state_base_bytes + EVENTS * event_bytes + programs * program_bytes
    measured = sum(written[-COUNTED_COMMITS:]) / COUNTED_COMMITS
    print(f"{measured:.0f} bytes a commit, {assumed:.0f} assumed")
    assert assumed / 1.5 < measured < assumed * 1.2
