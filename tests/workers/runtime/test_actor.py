import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import repeat
from typing import Any

import pytest

from schemas.errors import BufferFullError, DrainingError
from tests.workers.ports import QUIET_S, TIMEOUT_S
from workers.runtime.actor import Actor, Bound, Envelope
from workers.runtime.supervisor import Supervisor

Mail = Envelope[str, str]


class Echo(Actor[str, str]):
    """Answers each message with itself. Holds its batch while `open` is not set."""

    def __init__(self, bound: Bound | None = None) -> None:
        super().__init__(bound or Bound(100))
        self.batches: list[list[str]] = []
        self.received = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.failures: list[Exception] = []

    async def receive(self, batch: list[Mail]) -> None:
        self.batches.append([mail.message for mail in batch])
        self.received.set()
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        for mail in batch:
            mail.settle(mail.message)


@asynccontextmanager
async def running(run: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator["asyncio.Task[None]"]:
    """One run of an actor, without a supervisor: what it raises is the test's to see."""
    task = asyncio.create_task(run())
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_batch_is_all_that_waited_in_order() -> None:
    actor = Echo()
    for message in "abc":
        actor.tell(message)

    async with running(actor.run):
        await actor.drained()

    assert actor.batches == [["a", "b", "c"]]


async def test_what_comes_while_a_batch_is_in_hand_is_the_next_batch() -> None:
    actor = Echo()
    actor.open.clear()

    async with running(actor.run):
        actor.tell("a")
        await actor.received.wait()
        actor.tell("b")
        reply = actor.ask("c")
        actor.open.set()
        answered = await reply

    assert answered == "c"
    assert actor.batches == [["a"], ["b", "c"]]


async def test_mail_nobody_waits_for_any_more_is_skipped() -> None:
    bound = Bound(10)
    actor = Echo(bound)
    actor.ask("abandoned", weight=4).cancel()
    reply = actor.ask("wanted", weight=4)

    async with running(actor.run):
        await reply
        await actor.drained()

    assert actor.batches == [["wanted"]]
    assert bound.used == 0


async def test_a_batch_of_abandoned_mail_only_is_no_batch() -> None:
    bound = Bound(10)
    actor = Echo(bound)
    actor.ask("abandoned", weight=4).cancel()

    async with running(actor.run):
        await actor.drained()

    assert actor.batches == []
    assert bound.used == 0


async def test_weights_count_until_their_batch_is_handled() -> None:
    bound = Bound(10)
    actor = Echo(bound)
    actor.open.clear()

    async with running(actor.run):
        reply = actor.ask("a", weight=6)
        await actor.received.wait()
        with pytest.raises(BufferFullError):
            actor.tell("b", weight=5)
        actor.open.set()
        await reply
        await actor.drained()
        actor.tell("b", weight=5)


async def test_what_waits_and_what_is_in_hand_is_held() -> None:
    actor = Echo()
    actor.open.clear()

    async with running(actor.run):
        actor.tell("a")
        await actor.received.wait()
        actor.tell("b")
        held = actor.held
        actor.open.set()
        await actor.drained()

    assert (held, actor.held) == (2, 0)


async def test_a_bound_is_shared_and_takes_nothing_where_it_refuses() -> None:
    bound = Bound(10)
    first, second = Echo(bound), Echo(bound)
    first.tell("a", weight=8)

    with pytest.raises(BufferFullError):
        second.tell("b", weight=3)

    assert bound.used == 8
    second.tell("c", weight=2)


async def test_a_failure_fails_the_batch_in_hand_and_keeps_what_waits() -> None:
    bound = Bound(10)
    actor = Echo(bound)
    actor.failures = [ValueError("broken")]
    actor.open.clear()

    async with Supervisor(backoff=lambda: repeat(0.0)) as supervisor:
        supervisor.start("echo", actor.run)
        in_hand = actor.ask("in hand")
        await actor.received.wait()
        waiting = actor.ask("waiting")
        actor.open.set()

        with pytest.raises(ValueError, match="broken"):
            await in_hand
        async with asyncio.timeout(TIMEOUT_S):
            assert await waiting == "waiting"

    assert bound.used == 0


async def test_what_was_settled_before_the_failure_stays_settled() -> None:
    class Half(Actor[str, str]):
        async def receive(self, batch: list[Mail]) -> None:
            batch[0].settle("done")
            raise ValueError("broken")

    actor = Half(Bound(10))
    done, failed = actor.ask("a"), actor.ask("b")

    async with running(actor.run) as task:
        await asyncio.wait([task])

    assert done.result() == "done"
    assert isinstance(failed.exception(), ValueError)
    assert isinstance(task.exception(), ValueError)


async def test_cancelling_a_run_that_waits_loses_no_mail() -> None:
    actor = Echo()
    async with running(actor.run):
        await asyncio.sleep(0)
    reply = actor.ask("later")

    async with running(actor.run) as task:
        task.cancel()
        await asyncio.wait([task])
        assert not reply.done()

    async with running(actor.run):
        assert await reply == "later"


async def test_cancelling_at_the_moment_mail_arrives_loses_none() -> None:
    actor = Echo()

    async with running(actor.run) as task:
        await asyncio.sleep(0)
        reply = actor.ask("a")
        task.cancel()
        await asyncio.wait([task])
        assert not reply.done()

    async with running(actor.run):
        assert await reply == "a"


async def test_a_cancelled_run_fails_what_is_in_hand_and_keeps_what_waits() -> None:
    bound = Bound(10)
    actor = Echo(bound)
    actor.open.clear()

    async with running(actor.run) as task:
        in_hand = actor.ask("in hand")
        await actor.received.wait()
        waiting = actor.ask("waiting")
        task.cancel()
        with pytest.raises(DrainingError):
            await in_hand

    actor.open.set()
    async with running(actor.run):
        assert await waiting == "waiting"
    assert bound.used == 0


async def test_a_closed_actor_takes_no_mail_and_handles_what_waits() -> None:
    actor = Echo()
    reply = actor.ask("a")
    actor.close()

    with pytest.raises(DrainingError):
        actor.tell("b")
    async with running(actor.run):
        await actor.drained()

    assert reply.result() == "a"


async def test_drained_waits_for_what_is_in_hand() -> None:
    actor = Echo()
    actor.open.clear()

    async with running(actor.run):
        actor.tell("a")
        await actor.received.wait()
        actor.close()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(actor.drained(), QUIET_S)
        actor.open.set()
        await actor.drained()


async def test_mail_that_a_failed_run_left_behind_is_not_drained() -> None:
    actor = Echo()
    actor.failures = [ValueError("broken")]
    actor.open.clear()

    async with running(actor.run) as task:
        actor.tell("in hand")
        await actor.received.wait()
        actor.tell("waiting")
        actor.open.set()
        await asyncio.wait([task])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(actor.drained(), QUIET_S)

    async with running(actor.run):
        await actor.drained()


async def test_an_actor_without_mail_is_drained() -> None:
    async with asyncio.timeout(TIMEOUT_S):
        await Echo().drained()
