"""Sends a process's share of a load, and again, with the same ids, what was not acknowledged."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain

from cdk.local.answers import failures
from tests.load.connection import Client, Server
from tests.load.events import Events
from tests.load.plan import Plan
from tests.load.schedule import requests_of, schedule_of
from tests.load.tally import Tally

RESEND_S = 0.25
RESEND_MOST_S = 2.0
LATE_MOST_S = 1.0
"""After a load's end, how late a request may still begin."""
DRAIN_S = 30.0
"""After a load's end, or its stop, how long events are still sent again."""


class Sender:
    """No more requests are unanswered at a time than it has clients. One that has to wait for a client is
    late, and took as much longer."""

    def __init__(self, plan: Plan, process: int = 0) -> None:
        self._tally = Tally()
        self.unacknowledged: list[int] = []
        """The numbers of the events that were lost or refused."""
        self._plan = plan
        self._process = process
        self._schedule = schedule_of(plan)
        self._events = Events(plan)
        self._free: asyncio.Queue[Client] = asyncio.Queue()
        self._stop = asyncio.Event()
        self._begin_s = self._begin_cpu_s = self._deadline_s = 0.0

    @property
    def tally(self) -> Tally:
        """As of now."""
        if self._begin_s:
            self._tally.ran_s = time.perf_counter() - self._begin_s
            self._tally.busy_s = time.process_time() - self._begin_cpu_s
        return self._tally

    def stop(self) -> None:
        """Begins nothing new. What is under way is still sent until it is acknowledged or given up."""
        self._stop.set()
        self._deadline_s = min(self._deadline_s, time.perf_counter() + DRAIN_S)

    async def run(self) -> None:
        """Returns at the plan's end, or after `stop`, with an outcome for each event sent."""
        clients = self._clients()
        self._begin_s, self._begin_cpu_s = time.perf_counter(), time.process_time()
        self._deadline_s = self._begin_s + self._plan.duration_s + DRAIN_S
        try:
            async with asyncio.TaskGroup() as group:
                offering = group.create_task(self._offer(clients))
                await self._send_all(group)
                offering.cancel()
        finally:
            for client in clients:
                client.close()

    def _clients(self) -> list[Client]:
        servers = [Server(url) for url in self._plan.trackers]
        number = len(range(self._process, self._plan.connections, self._plan.processes))
        return [Client(servers, timeout_s=self._plan.timeout_s) for _ in range(number)]

    async def _offer(self, clients: Sequence[Client]) -> None:
        """All at once, but for a saturation with a ramp, which uses one after the other."""
        ramp_s = self._plan.ramp_s if self._plan.rate_per_s is None else 0.0
        for number, client in enumerate(clients):
            await self._stopped_by(self._begin_s + ramp_s * number / len(clients))
            self._free.put_nowait(client)

    async def _send_all(self, group: asyncio.TaskGroup) -> None:
        requests = requests_of(self._plan, self._process)
        for request in requests:
            due_s = self._due_s(request)
            if not await self._stopped_by(due_s):
                client = await self._free.get()
                now_s = time.perf_counter()
                if not self._ended(now_s):
                    group.create_task(self._deliver(client, request, due_s or now_s))
                    continue
            self._tally.unsent = self._unsent(chain([request], requests))
            return

    def _due_s(self, request: int) -> float:
        """0 for a saturation, in which a request is due when it is sent."""
        return self._begin_s + self._schedule.due_s(request) if self._plan.rate_per_s else 0.0

    def _ended(self, now_s: float) -> bool:
        """What was due by the end may begin a little later."""
        grace_s = LATE_MOST_S if self._plan.rate_per_s else 0.0
        return self._stop.is_set() or now_s > self._begin_s + self._plan.duration_s + grace_s

    def _unsent(self, requests: Iterable[int]) -> int:
        if self._plan.rate_per_s is None:
            return 0
        now_s = time.perf_counter()
        return sum(self._due_s(request) <= now_s for request in requests)

    async def _stopped_by(self, due_s: float) -> bool:
        """Waits until it is time, or until the stop. A timer of uvloop may be a millisecond early."""
        while (left_s := due_s - time.perf_counter()) > 0 and not self._stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._stop.wait()
        return self._stop.is_set()

    async def _deliver(self, client: Client, request: int, due_s: float) -> None:
        left: Sequence[int] = self._schedule.events(request)
        self._tally.late.add((time.perf_counter() - due_s) * 1000)
        self._tally.requests += 1
        self._tally.sent += len(left)
        turn, wait_s = sum(divmod(request, len(self._plan.batch_sizes))), RESEND_S
        left = await self._attempt(client, turn, left)
        for attempt in range(1, self._plan.attempts):
            if not left or time.perf_counter() + wait_s > self._deadline_s:
                break
            await asyncio.sleep(wait_s)
            left = await self._attempt(client, turn + attempt, left)
            wait_s = min(wait_s * 2, RESEND_MOST_S)
        if not left:
            self._tally.latency.add((time.perf_counter() - due_s) * 1000)
        self._tally.lost += len(left)
        self.unacknowledged += left
        self._free.put_nowait(client)

    async def _attempt(self, client: Client, turn: int, numbers: Sequence[int]) -> Sequence[int]:
        """What is left to send again."""
        try:
            status, body = await client.ask(turn, self._events.message(numbers))
        except (OSError, TimeoutError) as error:
            self._tally.fail(_kind(error), len(numbers))
            return numbers
        failed = failures(status, body, len(numbers))
        for failure in failed:
            self._tally.fail(f"{status} {failure.reason}".rstrip())
        refused = [numbers[failure.index] for failure in failed if failure.final]
        self._tally.acknowledged += len(numbers) - len(failed)
        self._tally.refused += len(refused)
        self.unacknowledged += refused
        return [numbers[failure.index] for failure in failed if not failure.final]


def _kind(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return "timeout" if isinstance(error, TimeoutError) else "connection lost"
