"""The intake over a Kinesis that misbehaves: what is acknowledged is there, in order, within bounds."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from schemas.errors import TrackerError
from schemas.events import View
from schemas.programs import Acknowledgement
from tests.factories import view
from tests.kinesis import client_error
from tests.properties.leaping import LeapingLoop, turns
from tests.properties.stream import HostileKinesis
from tests.tracker.ports import tracker_settings
from tracker.intake import Intake
from workers.runtime.supervisor import Supervisor

VISITORS = ("ann", "bob", "cid")
BUFFER_BYTES = 600_000
LARGE = 9_000
SHARD_REFRESH_MS = 500
LATE_S = 120
SHRINKING_S = 600
"""A pass takes seconds; a failure is made small before it is shown."""

visitors = st.sampled_from(VISITORS)
sizes = st.sampled_from([0, 0, 500, LARGE])


class IntakeMachine(RuleBasedStateMachine):
    """Every rule is something that clients, Kinesis or time do to an intake."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=LeapingLoop)
        self.resources = AsyncExitStack()
        self.kinesis = HostileKinesis(shards=2)
        self.sent = 0
        self.acknowledged: list[View] = []
        self.sending: set[asyncio.Task[None]] = set()
        self.broken: list[BaseException] = []
        self.drained = False
        self.intake: Intake

    @initialize(ack=st.sampled_from(["durable", "buffered"]), keys=st.sampled_from([1, 2]))
    def start(self, ack: Acknowledgement, keys: int) -> None:
        self.do(self._start, ack, keys)

    @rule(visitor=visitors, size=sizes)
    def an_event_comes(self, visitor: str, size: int) -> None:
        self.do(self._send, [self.view(visitor, size)])

    @rule(who=st.lists(visitors, min_size=1, max_size=4), times=st.sampled_from([1, 8]), size=sizes)
    def a_batch_comes(self, who: list[str], times: int, size: int) -> None:
        self.do(self._send, [self.view(visitor, size) for visitor in who * times])

    @rule(visitor=visitors, nth=st.integers(1, 3))
    def a_batch_of_several_frames_is_refused_in_part(self, visitor: str, nth: int) -> None:
        self.kinesis.refuse_every(nth)
        self.a_batch_comes([visitor], 16, LARGE)
        self.do(asyncio.sleep, 1)
        self.kinesis.refuse_every(0)

    @rule()
    def clients_hang_up(self) -> None:
        self.do(self._hang_up)

    @rule(nth=st.sampled_from([0, 1, 2, 3]))
    def records_are_refused(self, nth: int) -> None:
        self.kinesis.refuse_every(nth)

    @rule(code=st.sampled_from(["ProvisionedThroughputExceededException", "InternalFailure"]))
    def a_put_fails(self, code: str) -> None:
        self.kinesis.fail("put_records", client_error(code))

    @rule()
    def an_answer_is_lost(self) -> None:
        self.kinesis.lose_answers(1)

    @rule(held=st.booleans())
    def puts_hang_or_go_on(self, held: bool) -> None:
        self.kinesis.hold() if held else self.kinesis.let_go()
        self.do(turns)

    @rule()
    def puts_given_up_arrive(self) -> None:
        self.kinesis.stragglers_arrive()

    @rule()
    def the_shards_cannot_be_listed(self) -> None:
        self.kinesis.fail("list_shards", client_error("LimitExceededException"))

    @rule(nth=st.integers(0, 5))
    def a_shard_is_split(self, nth: int) -> None:
        open_ids = self.kinesis.open_shard_ids
        if len(open_ids) < len(VISITORS) + 1:
            self.kinesis.split(open_ids[nth % len(open_ids)])

    @rule(nth=st.integers(0, 5))
    def a_shard_is_stuck(self, nth: int) -> None:
        open_ids = self.kinesis.open_shard_ids
        self.kinesis.stick(open_ids[nth % len(open_ids)])

    @rule()
    def two_shards_are_merged(self) -> None:
        neighbours = self.kinesis.neighbours()
        if neighbours is not None:
            self.kinesis.merge(*neighbours)

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.5, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.do(asyncio.sleep, seconds)

    @rule()
    def the_task_drains(self) -> None:
        self.do(self._drain)

    @invariant()
    def the_buffer_keeps_its_bound(self) -> None:
        if hasattr(self, "intake"):
            assert 0 <= self.intake.buffered_bytes <= BUFFER_BYTES

    @invariant()
    def every_answer_is_true(self) -> None:
        assert not self.broken

    @invariant()
    def a_lane_has_one_put_in_flight(self) -> None:
        assert self.kinesis.most_in_flight <= 1

    @invariant()
    def what_is_acknowledged_keeps_its_order(self) -> None:
        first_came = {event.message_id: n for n, event in reversed(list(enumerate(self.kinesis.events())))}
        for visitor in VISITORS:
            there = [first_came.get(each.message_id) for each in self.acknowledged if each.visitor == visitor]
            came = [place for place in there if place is not None]
            assert came == sorted(came)

    def teardown(self) -> None:
        try:
            self.do(self._come_to_rest)
            self.every_answer_is_true()
        finally:
            self.do(self.resources.aclose)
            self.runner.close()

    def view(self, visitor: str, size: int) -> View:
        self.sent += 1
        return view(visitor=visitor, received_at_ms=self.sent, referrer="r" * size)

    def do(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Runs `work`, then all that it set going, on the intake's loop."""
        self.runner.run(_with_turns(work(*args)))

    async def _start(self, ack: Acknowledgement, keys: int) -> None:
        supervisor = await self.resources.enter_async_context(Supervisor())
        self.durable = ack == "durable"
        tuned = tracker_settings(
            ack=ack, keys_per_shard=keys, buffer_max_bytes=BUFFER_BYTES, shard_refresh_ms=500
        )
        self.intake = Intake(self.kinesis, tuned, supervisor)
        supervisor.start("intake", self.intake.run)

    async def _send(self, events: list[View]) -> None:
        task = asyncio.create_task(self._sent_all(events))
        self.sending.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self.sending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.broken.append(error)

    async def _sent_all(self, events: list[View]) -> None:
        outcomes = await self.intake.acknowledged([self.intake.offer(event) for event in events])
        for event, error in zip(events, outcomes, strict=True):
            assert error is None or isinstance(error, TrackerError)
            if error is None:
                self._acknowledge(event)

    def _acknowledge(self, event: View) -> None:
        assert not self.durable or event.message_id in self.kinesis.message_ids()
        self.acknowledged.append(event)
        self.acknowledged.sort(key=lambda each: each.received_at_ms)

    async def _hang_up(self) -> None:
        for task in self.sending:
            task.cancel()

    async def _drain(self) -> None:
        self.drained = await self.intake.drain()
        puts = self.kinesis.puts
        await asyncio.sleep(LATE_S)
        assert not self.drained or self.kinesis.puts == puts

    async def _come_to_rest(self) -> None:
        self.kinesis.heal()
        await asyncio.sleep(LATE_S)
        assert self.intake.buffered_bytes == 0
        assert await self.intake.drain()
        assert {event.message_id for event in self.acknowledged} <= self.kinesis.message_ids()
        assert not self.sending


async def _with_turns(work: Coroutine[Any, Any, None]) -> None:
    await work
    await turns()


@pytest.mark.timeout(SHRINKING_S)
def test_whatever_kinesis_does_what_is_acknowledged_is_there_in_order_and_within_bounds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    bounds = settings(max_examples=300, stateful_step_count=20, derandomize=True, deadline=None)
    run_state_machine_as_test(IntakeMachine, settings=bounds)
