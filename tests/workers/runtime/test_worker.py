import asyncio
import logging
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any

import pytest
from msgspec.structs import replace

from schemas.errors import AgentError
from schemas.failures import FailedRecord, decode_failed
from schemas.leases import SHARD_END
from schemas.traces import trace_id
from tests.kinesis import InMemoryKinesis, client_error
from tests.workers.counting import Numbered, Seen, numbers
from tests.workers.crowd import Crowd, crowd
from tests.workers.dynamodb import LEASES, STATE
from tests.workers.turns import Commit, intruded
from workers.runtime.agents import Agents
from workers.runtime.sink import Sink
from workers.runtime.stream import Named, Stream
from workers.runtime.table import Table, TableOptions

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
KEYS = [f"key-{number}" for number in range(40)]
ROUNDS = 60
KILL_EVERY = 8


@pytest.fixture
def chance() -> random.Random:
    return random.Random(20261124)


def owners_take_turns(workers: Crowd) -> bool:
    """No acquisition commits on a shard after another has."""
    turns: dict[str, list[Commit]] = {}
    for key, token, epoch in workers.dynamodb.commits:
        turns.setdefault(key, []).append((epoch, token))
    return intruded(turns) == []


async def test_events_are_counted_and_committed() -> None:
    async with crowd(InMemoryKinesis(shards=2)) as workers:
        for key in KEYS:
            await workers.send(key, events=3)

        await workers.until(lambda: workers.counts() == workers.sent)

        assert workers.table("astray", int) == {}


async def test_shards_are_shared_within_one_of_each_other_and_then_left_alone() -> None:
    async with crowd(InMemoryKinesis(shards=8), workers=3) as workers:
        await workers.until(lambda: sorted(workers.owned().values()) == [2, 3, 3])
        tokens = {lease.key: lease.token for lease in workers.leases()}

        await asyncio.sleep(1)

        assert {lease.key: lease.token for lease in workers.leases()} == tokens


async def test_a_worker_that_stops_hands_its_shards_over_at_once() -> None:
    async with crowd(InMemoryKinesis(shards=4), workers=2, failover_ms=60_000) as workers:
        first, second = workers.workers
        await workers.until(lambda: sum(workers.owned().values()) == 4)

        await workers.dismiss(first)

        assert first not in workers.owned()
        assert workers.owned().get(second, 0) + sum(lease.owner is None for lease in workers.leases()) == 4


async def test_what_a_worker_let_go_of_is_found_within_the_look_interval() -> None:
    kinesis = InMemoryKinesis(shards=4)
    async with crowd(kinesis, workers=2, failover_ms=60_000, look_interval_ms=20) as workers:
        first, second = workers.workers
        await workers.until(lambda: sum(workers.owned().values()) == 4)

        await workers.dismiss(first)

        await workers.until(lambda: workers.owned() == {second: 4})


async def test_kills_under_load_lose_nothing_and_count_nothing_twice(chance: random.Random) -> None:
    async with crowd(InMemoryKinesis(shards=8), workers=3) as workers:
        for number in range(ROUNDS):
            for key in chance.sample(KEYS, 10):
                await workers.send(key, events=chance.randint(1, 5))
            if number % KILL_EVERY == KILL_EVERY - 1:
                await workers.kill(chance.choice(list(workers.workers)))
                await workers.hire()
            await asyncio.sleep(0.02)

        await workers.until(lambda: workers.counts() == workers.sent)

        assert workers.table("astray", int) == {}
        assert owners_take_turns(workers)


async def test_reshards_under_load_keep_every_key_in_its_order(chance: random.Random) -> None:
    kinesis = InMemoryKinesis(shards=4)
    async with crowd(kinesis, workers=3) as workers:
        for number in range(ROUNDS):
            for key in chance.sample(KEYS, 10):
                await workers.send(key, events=chance.randint(1, 5))
            if number % 15 == 5:
                kinesis.split(chance.choice(kinesis.open_shard_ids))
            if number % 15 == 10:
                kinesis.merge(*chance.choice(neighbours(kinesis)))
            if number % 20 == 19:
                await workers.kill(chance.choice(list(workers.workers)))
                await workers.hire()
            await asyncio.sleep(0.02)

        await workers.until(lambda: workers.counts() == workers.sent)

        assert workers.table("astray", int) == {}
        assert owners_take_turns(workers)
        ended = {lease.key.rpartition("/")[2] for lease in workers.leases() if lease.has_ended}
        assert ended == set(kinesis.shard_ids) - set(kinesis.open_shard_ids)


async def test_throttled_reads_and_expired_iterators_lose_nothing() -> None:
    kinesis = InMemoryKinesis()
    async with crowd(kinesis) as workers:
        for number in range(20):
            await workers.send("key", events=2)
            if number % 5 == 0:
                kinesis.fail("get_records", client_error("ProvisionedThroughputExceededException"))
            kinesis.expire_iterators()
            await asyncio.sleep(0.01)

        await workers.until(lambda: workers.counts() == workers.sent)

        assert workers.table("astray", int) == {}


async def test_a_raising_agent_sets_the_event_aside_and_stalls_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    agents = Agents()

    @agents.agent(replace(numbers, named=lambda event: Named(traceparent=TRACEPARENT)))
    async def fragile(stream: Stream[Numbered], seen: Table[str, Seen]) -> None:
        async for event in stream:
            seen[event.key] = Seen(seen[event.key].count + 1, event.number)
            if event == Numbered("bad", 2):
                raise ValueError("no good")

    @agents.agent(numbers)
    async def sturdy(stream: Stream[Numbered], sturdy_seen: Table[str, int]) -> None:
        async for event in stream:
            sturdy_seen[event.key] += 1

    async with crowd(InMemoryKinesis(), agents=agents) as workers:
        await workers.send("good", events=2)
        await workers.send("bad", events=3)
        await workers.send("good", events=2)

        await workers.until(lambda: workers.counts() == {"good": 4, "bad": 2})
        await workers.until(lambda: workers.table("sturdy_seen", int) == {"good": 4, "bad": 3})

    ((key, body),) = workers.s3.objects.items()
    failed = decode_failed(body)
    assert failed.traceparent == TRACEPARENT
    lines = [each for each in caplog.records if getattr(each, "trace_id", None) == trace_id(TRACEPARENT)]
    assert {each.name for each in lines} == {"workers.runtime.run", "workers.runtime.failed"}
    assert key == failed.key == f"agents/fragile/events/{failed.shard_id}/{failed.sequence_number}-1.json"
    assert (failed.agent, failed.index, failed.reason) == ("fragile", 1, "agent_failed")
    assert "ValueError: no good" in failed.detail and "in fragile" in failed.detail


async def test_a_record_that_does_not_decode_is_set_aside() -> None:
    kinesis = InMemoryKinesis()
    async with crowd(kinesis) as workers:
        await kinesis.put_records(
            StreamName="events", Records=[{"Data": b"\xc1 no events", "PartitionKey": "key"}]
        )
        await workers.send("key", events=2)

        await workers.until(lambda: workers.counts() == workers.sent)

    (body,) = workers.s3.objects.values()
    failed = decode_failed(body)
    assert isinstance(failed, FailedRecord)
    assert (failed.payload, failed.reason, failed.index) == (b"\xc1 no events", "bad_event", None)


async def test_an_agent_that_raises_at_start_says_so_and_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    agents = Agents()

    @agents.agent(numbers)
    async def broken(stream: Stream[Numbered]) -> None:
        raise ValueError("bad start")

    @agents.agent(numbers)
    async def sound(stream: Stream[Numbered], seen: Table[str, Seen]) -> None:
        async for event in stream:
            seen[event.key] = Seen(seen[event.key].count + 1, event.number)

    async with crowd(InMemoryKinesis(), agents=agents) as workers:
        await workers.send("key", events=2)
        await workers.until(lambda: workers.counts() == workers.sent)

    assert "broken/events/shardId-000000000000 failed: bad start" in caplog.text
    assert workers.s3.objects == {}


async def test_an_agent_that_never_asks_for_an_event_is_said_to_hang(
    caplog: pytest.LogCaptureFixture,
) -> None:
    agents, hanging = Agents(), asyncio.Event()

    @agents.agent(numbers)
    async def deaf(stream: Stream[Numbered]) -> None:
        await hanging.wait()

    async with crowd(InMemoryKinesis(), agents=agents, stall_ms=20, stop_timeout_ms=50):
        await heard(caplog, "deaf has asked for nothing for 20 ms, with no event in hand")


async def test_an_agent_that_does_not_finish_with_an_event_is_said_to_hang(
    caplog: pytest.LogCaptureFixture,
) -> None:
    agents, hanging = Agents(), asyncio.Event()

    @agents.agent(numbers)
    async def slow(stream: Stream[Numbered]) -> None:
        async for _ in stream:
            await hanging.wait()

    async with crowd(InMemoryKinesis(), agents=agents, stall_ms=20, stop_timeout_ms=50) as workers:
        await workers.send("key")
        await heard(caplog, "slow has asked for nothing for 20 ms, with 1 events of shardId-000000000000")


async def test_an_agent_that_waits_for_events_is_not_said_to_hang(caplog: pytest.LogCaptureFixture) -> None:
    async with crowd(InMemoryKinesis(), stall_ms=1) as workers:
        await workers.send("key")
        await workers.until(lambda: workers.counts() == workers.sent)
        await asyncio.sleep(0.05)

    assert "has asked for nothing" not in caplog.text


async def heard(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Returns once it is in the log."""
    await until(lambda: text in caplog.text)


async def test_what_an_agent_sends_goes_out_before_the_commit() -> None:
    agents, sent = Agents(), list[tuple[list[Any], int]]()

    @agents.agent(numbers)
    async def echo(stream: Stream[Numbered], out: Sink[int], seen: Table[str, int]) -> None:
        async for event in stream:
            seen[event.key] = event.number
            out.send(event.number)

    async def outlet(results: Any, /) -> None:
        sent.append((list(results), len(workers.dynamodb.tables[STATE])))

    workers = Crowd(InMemoryKinesis(), agents=agents)
    workers.outlets["out"] = outlet
    name = await workers.hire()
    await workers.send("key", events=3)
    await workers.until(lambda: workers.table("seen", int) == {"key": 3})
    await workers.dismiss(name)

    assert sent == [([1, 2, 3], 0)]


async def test_results_go_out_before_the_commit_is_due_and_again_after_a_kill() -> None:
    agents, sent = Agents(), list[int]()

    @agents.agent(numbers)
    async def echo(stream: Stream[Numbered], out: Sink[int], seen: Table[str, int]) -> None:
        async for event in stream:
            seen[event.key] += 1
            out.send(event.number)

    async def outlet(results: Any, /) -> None:
        sent.extend(results)

    workers = Crowd(InMemoryKinesis(), agents=agents, commit_interval_ms=60_000)
    workers.outlets["out"] = outlet
    await workers.send("key", events=3)
    name = await workers.hire()
    await until(lambda: sent == [1, 2, 3])
    assert workers.table("seen", int) == {}

    await workers.kill(name)
    name = await workers.hire()
    await until(lambda: sent == [1, 2, 3, 1, 2, 3])
    await workers.dismiss(name)

    assert workers.table("seen", int) == {"key": 3}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_sink_without_outlet_is_said_at_start() -> None:
    agents = Agents()

    @agents.agent(numbers)
    async def lost(stream: Stream[Numbered], out: Sink[int]) -> None: ...

    with pytest.raises(AgentError, match="lost: nothing takes what it sends to out"):
        await Crowd(InMemoryKinesis(), agents=agents).hire()


async def test_a_commit_of_many_entries_is_whole_or_not_at_all() -> None:
    agents = Agents()

    @agents.agent(numbers)
    async def wide(stream: Stream[Numbered], many: Table[str, int]) -> None:
        async for event in stream:
            for number in range(250):
                many[f"{number}"] += event.number

    async with crowd(InMemoryKinesis(), agents=agents, commit_interval_ms=1) as workers:
        for _ in range(20):
            await workers.send("key")
            name = await workers.hire()
            await asyncio.sleep(0.03)
            await workers.kill(name)
            await workers.kill(next(iter(workers.workers)))
            await workers.hire()

        total = sum(range(21))
        await workers.until(lambda: workers.table("many", int) == {f"{each}": total for each in range(250)})


async def test_merged_shards_make_one_value_of_two() -> None:
    agents, kinesis = Agents(), InMemoryKinesis(shards=2)

    @agents.agent(numbers)
    async def total(
        stream: Stream[Numbered], sums: Annotated[Table[str, int], TableOptions(merge=lambda a, b: a + b)]
    ) -> None:
        async for _ in stream:
            sums["all"] += 1

    async with crowd(kinesis, agents=agents) as workers:
        for key in KEYS:
            await workers.send(key)
        await workers.until(lambda: len(workers.dynamodb.tables[STATE]) == 2)
        kinesis.merge(*kinesis.open_shard_ids)

        def is_merged() -> bool:
            return len(workers.open_leases()) == 1 and workers.table("sums", int) == {"all": len(KEYS)}

        await workers.until(is_merged)


async def test_a_shard_at_its_end_is_recorded_so() -> None:
    kinesis = InMemoryKinesis()
    async with crowd(kinesis) as workers:
        await workers.send("key")
        (parent,) = kinesis.open_shard_ids
        kinesis.split(parent)

        await workers.until(lambda: len(workers.open_leases()) == 2)

        row = workers.dynamodb.row(LEASES, f"counter/events/{parent}")
        assert row["checkpoint"] == {"S": SHARD_END}
        assert "owner" not in row


async def test_a_burst_is_over_once_all_is_read(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    kinesis = InMemoryKinesis(shards=3)
    workers = Crowd(kinesis)
    for key in KEYS:
        await workers.send(key, events=2)
    name = await workers.hire()

    async with asyncio.timeout(10):
        await workers.workers[name][0].caught_up.wait()

    assert workers.counts() == workers.sent
    await workers.dismiss(name)
    assert workers.owned() == {}


async def test_timers_are_called_again_and_again() -> None:
    agents, calls = Agents(), asyncio.Queue[int]()

    @agents.timer(every_ms=10)
    async def beat(out: Sink[int]) -> None:
        out.send(1)

    async def outlet(results: Any, /) -> None:
        for result in results:
            calls.put_nowait(result)

    workers = Crowd(InMemoryKinesis(), agents=agents)
    workers.outlets["out"] = outlet
    name = await workers.hire()

    async with asyncio.timeout(10):
        assert [await calls.get() for _ in range(3)] == [1, 1, 1]
    await workers.dismiss(name)


def neighbours(kinesis: InMemoryKinesis) -> list[tuple[str, str]]:
    """Open shards that may be merged: those whose ranges of hash keys touch."""
    shards = sorted((kinesis.hashes(shard_id), shard_id) for shard_id in kinesis.open_shard_ids)
    return [
        (first, second) for ((_, last), first), ((start, _), second) in pairwise(shards) if last + 1 == start
    ]
