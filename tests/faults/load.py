"""Clients of the trackers: a steady rate of events, each sent again until it is acknowledged."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import cycle
from secrets import token_urlsafe
from typing import Literal, NamedTuple

import msgspec
from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, TCPConnector

from cdk.local.answers import Failure, failures
from cdk.local.audit import Entry
from cdk.local.load import JSON, Delivery, make_samples

EVENTS_PER_S = 200
BATCH_SIZES = (1, 1, 10)
"""Of the requests, in turn: two of one event each, by GET, then one batch by POST."""
RESEND_S = 0.25
RESEND_MOST_S = 2.0
ATTEMPTS = 30
TIMEOUT_S = 10.0
IDLE_S = 0.4
"""A client closes a connection that it did not use for so long, as load balancers do: before a stopping
tracker closes it at the end of its drain delay."""

UNAVAILABLE = 503
OK = "ok"
REFUSED = "connection refused"
LOST = "connection lost"
TIMED_OUT = "timeout"
NOT_ACKNOWLEDGED = "503 not_acknowledged"
BUFFER_FULL = "503 buffer_full"
Phase = Literal["before", "during", "after"]


class Attempt(NamedTuple):
    """One request: when, for how long, and how it ended. One that met the fault is of its phase."""

    phase: Phase
    started_s: float
    took_s: float
    outcome: str


class Heard(NamedTuple):
    """What one tracker said a program is called, to a request of that moment."""

    tracker: str
    program_id: str
    name: str
    started_s: float


class Load:
    """Sends to each tracker in turn, at a rate that no failure slows down; `run` it in a task."""

    def __init__(
        self,
        trackers: Sequence[str],
        checksums: Mapping[str, str],
        *,
        events_per_s: int = EVENTS_PER_S,
        batch_sizes: Sequence[int] = BATCH_SIZES,
        attempts: int = ATTEMPTS,
        referrer_bytes: int = 0,
        again_after_s: float | None = None,
        hear: Callable[[Heard], None] = lambda heard: None,
    ) -> None:
        self.phase: Phase = "before"
        self.acknowledged: set[Entry] = set()
        self.given_up: set[Entry] = set()
        """Sent and never acknowledged: stored or not, either is right."""
        self.attempts: list[Attempt] = []
        self.unhelpful = 0
        """Answers that say 503 and not when to send again."""
        self.longest_outage_s = 0.0
        """From the first attempt at an event to its acknowledgement, where that took more than one."""
        self.events_per_s = self.full_events_per_s = events_per_s
        self._checksums = checksums
        self._sizes = cycle(batch_sizes)
        self._attempts = attempts
        self._referrer_bytes = referrer_bytes
        self._again_after_s = again_after_s
        self._hear = hear
        self._turns = cycle(trackers)
        self._stop = asyncio.Event()

    @property
    def sent(self) -> set[Entry]:
        return self.acknowledged | self.given_up

    def stop(self) -> None:
        """Begins nothing new. What is under way is still sent until it is acknowledged or given up."""
        self._stop.set()

    async def run(self) -> None:
        timeout = ClientTimeout(total=TIMEOUT_S)
        connector = TCPConnector(limit=0, keepalive_timeout=IDLE_S)
        async with (
            ClientSession(timeout=timeout, connector=connector) as session,
            asyncio.TaskGroup() as clients,
        ):
            async for delivery in self._deliveries():
                clients.create_task(self._deliver(session, delivery))

    def p99_ms(self, phase: Phase) -> float:
        took_s = sorted(each.took_s for each in self.attempts if each.phase == phase)
        return took_s[int(len(took_s) * 0.99)] * 1000 if took_s else 0.0

    def errors(self, *phases: Phase) -> Counter[str]:
        """Requests that were not acknowledged as a whole, by kind."""
        return Counter(
            each.outcome
            for each in self.attempts
            if each.outcome != OK and (not phases or each.phase in phases)
        )

    async def _deliveries(self) -> AsyncIterator[Delivery]:
        due_s = asyncio.get_running_loop().time()
        while not self._stop.is_set():
            delivery = make_samples(self._checksums, next(self._sizes))
            yield delivery
            due_s += len(delivery) / self.events_per_s
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due_s):
                    await self._stop.wait()

    async def _deliver(self, session: ClientSession, delivery: Delivery) -> None:
        await self._send(session, delivery)
        if self._again_after_s is not None:
            await asyncio.sleep(self._again_after_s)
            await self._send(session, delivery)

    async def _send(self, session: ClientSession, delivery: Delivery) -> None:
        started_s, left = time.monotonic(), delivery
        for attempt, wait_s in zip(range(self._attempts), _waits_s(), strict=False):
            left = await self._attempt(session, left)
            if not left:
                return self._end(started_s, again=attempt > 0)
            await asyncio.sleep(wait_s)
        self.given_up.update(sample.entry for sample in left)
        self._end(started_s, again=True)

    def _end(self, started_s: float, *, again: bool) -> None:
        if again:
            self.longest_outage_s = max(self.longest_outage_s, time.monotonic() - started_s)

    async def _attempt(self, session: ClientSession, samples: Delivery) -> Delivery:
        """What is left to send again. A refused connection goes on to the next tracker at once."""
        left = await self._try(session, next(self._turns), samples)
        if self.attempts[-1].outcome == REFUSED:
            left = await self._try(session, next(self._turns), samples)
        return left

    async def _try(self, session: ClientSession, tracker: str, samples: Delivery) -> Delivery:
        phase, started_s = self.phase, time.monotonic()
        try:
            status, body = await self._request(session, tracker, samples)
        except (ClientError, TimeoutError, OSError) as error:
            left, outcome = samples, _kind(error)
        else:
            failed = failures(status, body, len(samples))
            left, outcome = [samples[each.index] for each in failed], _outcome(status, failed)
            if len(samples) == 1 and not left:
                name = msgspec.json.decode(body)["programName"]
                self._hear(Heard(tracker, samples[0].event.program_id, name, started_s))
        met = self.phase if phase == "before" else phase
        self.attempts.append(Attempt(met, started_s, time.monotonic() - started_s, outcome))
        kept = {sample.entry for sample in left}
        self.acknowledged.update(sample.entry for sample in samples if sample.entry not in kept)
        return left

    def _referrer(self) -> dict[str, str]:
        """Random, so that no compression makes it smaller."""
        return {"referrer": token_urlsafe(self._referrer_bytes)} if self._referrer_bytes else {}

    async def _request(self, session: ClientSession, tracker: str, samples: Delivery) -> tuple[int, bytes]:
        events = [msgspec.to_builtins(sample.event) | self._referrer() for sample in samples]
        if len(events) == 1:
            program_id = events[0].pop("programId")
            request = session.get(f"{tracker}/event/{program_id}", params=events[0])
        else:
            request = session.post(f"{tracker}/events", data=msgspec.json.encode(events), headers=JSON)
        async with request as response:
            if response.status == UNAVAILABLE and "Retry-After" not in response.headers:
                self.unhelpful += 1
            return response.status, await response.read()


def _waits_s() -> Iterator[float]:
    wait_s = RESEND_S
    while True:
        yield wait_s
        wait_s = min(wait_s * 2, RESEND_MOST_S)


def _outcome(status: int, failed: Sequence[Failure]) -> str:
    return f"{status} {failed[0].reason}" if failed else OK


def _kind(error: Exception) -> str:
    if isinstance(error, ClientConnectorError):
        return REFUSED
    return TIMED_OUT if isinstance(error, TimeoutError) else LOST
