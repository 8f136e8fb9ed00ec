"""Order-free convergence: however updates travel, DynamoDB, Redis and every tracker end the same.

Real: Refresh, Programs, Link. In memory: DynamoDB, Redis, its channel, time.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lambdas.batch import Record as StreamRecord
from lambdas.refresh import Refresh
from lambdas.settings import RefreshSettings
from schemas.dynamodb import NEVER, PROGRAMS_KEY, StoredProgram
from schemas.facts import FLAGGED_MAX, Facts, is_spent, joined
from schemas.redis import Record
from schemas.updates import (
    BudgetReached,
    CachePurged,
    ProgramChanged,
    ProgramDeleted,
    Update,
    VisitorFlagged,
    encode_update,
)
from tests.factories import NOW_MS, program
from tests.lambdas.memory import Killed, MemoryBucket, MemoryDynamoDB, Steps, not_connected
from tests.properties.leaping import LeapingLoop, turns
from tests.properties.world import SETTINGS, TABLE, MemoryRedis, Node, Truth
from tracker.programs import Programs

PROGRAM_IDS = ("a", "b")
PROGRAMS_MAX = (2, 1)
"""Per tracker: the second has room for one program, so that the other is pushed out."""
NODES = len(PROGRAMS_MAX)
BEACON = "beacon"
"""Its change is the next message on the channel: what was lost before is missed only then."""
ALL = 1_000
NOTHING = Record(0, None)
SHRINKING_S = 600
"""A pass takes seconds; a failure is made small before it is shown."""
RECOVERY_S = 2 * SETTINGS.heartbeat_timeout_ms // 1000

node_numbers = st.integers(0, NODES - 1)
program_ids = st.sampled_from(PROGRAM_IDS)
versions = st.none() | st.none() | st.integers(1, 9)
"""The next one, or any: from skewed clocks they come out of order, and two may be the same."""
visitors = st.sampled_from(["visitor-1", "visitor-2"])
losses = st.sampled_from(["cut", "stall", "replace", "lose"])
rarely = st.integers(0, 3).map(lambda n: n == 0)
deliveries = st.sampled_from(
    ["delivered", "delivered", "left_waiting", "killed_after_dynamodb", "refused_by_redis"]
)


class Convergence(RuleBasedStateMachine):
    """Every rule is something that happens to updates, to Redis, or at a tracker. Facts last throughout:
    `refresh` stands at NOW_MS."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=LeapingLoop)
        self.steps = Steps()
        self.dynamodb = MemoryDynamoDB(self.steps, {TABLE: PROGRAMS_KEY})
        self.redis = MemoryRedis(self.steps, self.runner.get_loop().time)
        self.truth = Truth(self.dynamodb)
        self.refresh = Refresh(
            dynamodb=self.dynamodb,
            cache=self.redis,
            s3=MemoryBucket(self.steps),
            settings=RefreshSettings(programs_table=TABLE, failed_events_bucket="failed"),
            clock_ms=lambda: NOW_MS,
        )
        self.stream: list[StreamRecord] = []
        self.applied = 0
        self.nodes: list[Node] = []
        self.nothing = self.redis.snapshot()
        self.newest: Counter[str] = Counter()
        """The highest version that a writer ever sent, by program."""
        self.facts: defaultdict[str, Facts] = defaultdict(Facts)
        """What all facts ever sent say, by program."""
        self.seen: dict[tuple[int, str], int] = {}
        """The highest version ever answered, by tracker and program."""

    @initialize()
    def start(self) -> None:
        self.do(self._start)

    @rule(program_id=program_ids, version=versions, deleted=rarely, delivery=deliveries)
    def a_program_changes(self, program_id: str, version: int | None, deleted: bool, delivery: str) -> None:
        issued = self.newest[program_id] + 1 if version is None else version
        name, budget = f"change {len(self.stream)}", len(self.stream) % 5
        changed = ProgramChanged(
            program=program(program_id=program_id, name=name, version=issued, budget=budget)
        )
        self.send(ProgramDeleted(program_id=program_id, version=issued) if deleted else changed)
        self.newest[program_id] = max(self.newest[program_id], issued)
        getattr(self, delivery)()

    @rule(program_id=program_ids, counted=st.integers(1, 5), delivery=deliveries)
    def a_budget_is_reached(self, program_id: str, counted: int, delivery: str) -> None:
        self.send(BudgetReached(program_id=program_id, counted=counted))
        self.find(program_id, Facts(counted=counted))
        getattr(self, delivery)()

    @rule(program_id=program_ids, visitor=visitors, later_ms=st.integers(1, 3), delivery=deliveries)
    def a_visitor_floods(self, program_id: str, visitor: str, later_ms: int, delivery: str) -> None:
        until_ms = NOW_MS + later_ms
        self.send(VisitorFlagged(program_id=program_id, visitor=visitor, until_ms=until_ms, clicks=100))
        self.find(program_id, Facts(flagged={visitor: until_ms}))
        getattr(self, delivery)()

    @rule(program_id=program_ids, later_ms=st.integers(1, 3), delivery=deliveries)
    def a_crowd_floods(self, program_id: str, later_ms: int, delivery: str) -> None:
        """Each is a fact of its own, and all but the last wait with those before."""
        for number in range(FLAGGED_MAX):
            self.a_visitor_floods(program_id, f"one of many {number}", later_ms, "left_waiting")
        self.a_visitor_floods(program_id, "the one too many", later_ms, delivery)

    @rule(version=st.integers(1, 5), delivery=deliveries)
    def caches_are_purged(self, version: int, delivery: str) -> None:
        self.send(CachePurged(version=version))
        getattr(self, delivery)()

    @rule()
    def delivered(self) -> None:
        self.deliver_batch(self.stream[self.applied :])
        self.applied = len(self.stream)

    @rule(data=st.data())
    def deliver_again_in_any_order(self, data: st.DataObject) -> None:
        """A batch is retried whole, a second host reads the same shard, a stream is replayed."""
        if self.stream:
            self.deliver_batch(data.draw(st.lists(st.sampled_from(self.stream), max_size=5)))

    @rule(program_id=program_ids, healed=st.booleans())
    def redis_fails_over_to_a_replica_that_lags(self, program_id: str, healed: bool) -> None:
        replica = self.redis.snapshot()
        self.a_program_changes(program_id, None, False, "delivered")
        self.redis.restore(replica)
        for node in self.nodes:
            node.line.fail_over()
        self.heal_or_not(healed)

    @rule()
    def redis_is_emptied(self) -> None:
        self.redis.restore(self.nothing)

    @rule(number=node_numbers, program_id=program_ids, how=losses, healed=st.booleans())
    def a_change_is_lost_on_its_way(self, number: int, program_id: str, how: str, healed: bool) -> None:
        self.a_program_changes(program_id, None, False, "delivered")
        getattr(self.nodes[number].line, how)()
        self.heal_or_not(healed)

    @rule(count=st.sampled_from([1, ALL, ALL]))
    def messages_arrive(self, count: int) -> None:
        for node in self.nodes:
            node.line.arrive(count)

    @rule(program_id=program_ids)
    def a_program_is_asked_for(self, program_id: str) -> None:
        for number in range(NODES):
            self.do(self._ask, number, program_id)

    @rule(number=node_numbers, program_id=program_ids, healed=st.booleans())
    def a_change_overtakes_a_read(self, number: int, program_id: str, healed: bool) -> None:
        node = self.nodes[number]
        node.truth.open.clear()
        self.do(self._ask, number, program_id)
        self.a_program_changes(program_id, None, False, "delivered")
        self.messages_arrive(ALL)
        self.do(turns)
        node.truth.open.set()
        self.heal_or_not(healed)

    @rule(number=node_numbers, wire=st.integers(0, 1), slow=st.booleans())
    def a_level_is_slow_or_answers(self, number: int, wire: int, slow: bool) -> None:
        gate = self.nodes[number].open[wire]
        gate.clear() if slow else gate.set()

    @rule(seconds=st.sampled_from([0.2, 1.0, 4.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.do(asyncio.sleep, seconds)

    @rule(down=st.booleans())
    def the_truth_is_out_of_reach_or_back(self, down: bool) -> None:
        self.truth.down = down
        if not down:
            self.do(asyncio.sleep, SETTINGS.heartbeat_ms / 1000)

    @rule()
    def all_is_well_again(self) -> None:
        self.do(self._heal)
        self.do(self._check_agreement)

    @invariant()
    def no_tracker_goes_back(self) -> None:
        """Save without the truth, when a cache that may lag is all there is."""
        self.do(turns)
        for number, node in enumerate(self.nodes):
            for program_id, record in node.answers:
                newest = self.seen.get((number, program_id), 0)
                assert self.truth.down or record.version >= newest, (number, program_id)
                self.seen[number, program_id] = max(newest, record.version)
            node.answers.clear()

    def teardown(self) -> None:
        try:
            self.all_is_well_again()
        finally:
            self.do(self._stop)
            self.runner.close()

    def heal_or_not(self, healed: bool) -> None:
        self.do(turns)
        if healed:
            self.all_is_well_again()

    def left_waiting(self) -> None:
        pass

    def killed_after_dynamodb(self) -> None:
        """The last change gets no further, and the batch is still to be retried."""
        self.steps.hook = _kill_after_dynamodb
        with suppress(Killed):
            self.refresh.apply(self.stream[self.applied :])
        self.steps.hook = lambda step: None

    def refused_by_redis(self) -> None:
        self.steps.faults["publish"] += not_connected(1)
        first = self.refresh.apply(self.stream[self.applied :])
        self.applied = len(self.stream) if first is None else self.stream.index(first)
        self.steps.faults["publish"].clear()

    def send(self, update: Update) -> None:
        number = str(len(self.stream))
        self.stream.append(
            StreamRecord(
                stream="updates",
                shard_id="shard",
                sequence_number=number,
                data=encode_update(update),
                arrived_at_ms=NOW_MS,
            )
        )

    def find(self, program_id: str, found: Facts) -> None:
        self.facts[program_id] = joined(self.facts[program_id], found, now_ms=NOW_MS)

    def deliver_batch(self, records: list[StreamRecord]) -> None:
        assert self.refresh.apply(records) is None

    def do(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Runs `work`, then all that it set going, on the trackers' loop."""
        self.runner.run(_with_turns(work(*args)))

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self.nodes = [
            Node(self.redis, self.truth, lambda: NOW_MS + int(loop.time() * 1000), programs_max=most)
            for most in PROGRAMS_MAX
        ]

    async def _ask(self, number: int, program_id: str) -> None:
        self.nodes[number].ask(program_id)

    async def _heal(self) -> None:
        self.truth.down = False
        for node in self.nodes:
            node.heal()
        self.a_program_changes(BEACON, None, False, "delivered")
        await asyncio.sleep(RECOVERY_S)
        for node in self.nodes:
            node.line.arrive(ALL)
        await turns()

    async def _check_agreement(self) -> None:
        for program_id in PROGRAM_IDS:
            newest = self.truth.held(program_id) or NOTHING
            answers = [await node.programs.record(program_id) for node in self.nodes]
            self._check_truth(program_id, self.truth.stored(program_id))
            assert answers == [newest] * NODES
            assert await self._read_by_a_new_task(program_id) == newest
            assert (await self.redis.read(program_id) or NOTHING) == newest

    def _check_truth(self, program_id: str, stored: StoredProgram | None) -> None:
        newest, facts = self.newest.get(program_id, NEVER), self.facts[program_id]
        assert (stored.written_version, stored.facts) == (newest, facts) if stored else newest == NEVER
        if stored is not None and stored.program is not None:
            assert stored.program.budget_spent == is_spent(stored.program.budget, facts)
            assert stored.program.flagged == (facts.flagged or None)
            assert stored.program.flooded_until_ms == (facts.flooded_until_ms or None)

    async def _read_by_a_new_task(self, program_id: str) -> Record:
        programs = Programs(self.redis, self.truth, SETTINGS, lambda: NOW_MS)
        programs.link_up()
        return await programs.record(program_id)

    async def _stop(self) -> None:
        for node in self.nodes:
            await node.close()


def _kill_after_dynamodb(step: str) -> None:
    if step == "after put_item":
        raise Killed(step)


async def _with_turns(work: Coroutine[Any, Any, None]) -> None:
    await work
    await turns()


@pytest.mark.timeout(SHRINKING_S)
def test_whatever_happens_to_updates_all_copies_of_core_data_end_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    bounds = settings(max_examples=400, stateful_step_count=15, derandomize=True, deadline=None)
    run_state_machine_as_test(Convergence, settings=bounds)
