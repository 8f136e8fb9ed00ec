"""The demo's clients: events of every kind, sent one by one and in batches to every tracker."""

import asyncio
import random
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle

import httpx
import msgspec
from msgspec import Struct

from cdk.local.answers import failures
from cdk.local.audit import Entry
from cdk.local.errors import DemoError
from cdk.local.stored import COUNT_OF_KIND

BATCH = 100
SINGLES = 0.1
"""The share of events that come in a request of their own."""
CLIENTS = 16
ATTEMPTS = 20
RETRY_S = 0.5
VISITORS = 2_000
KINDS = ("view",) * 80 + ("click",) * 15 + ("conversion",) * 5
WRONG_CHECKSUMS = 0.02
JSON = {"content-type": "application/json"}


class ClientEvent(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An event as a client sends it. Its id is the client's own, so that a resend is known as one."""

    program_id: str
    message_id: str
    kind: str
    visitor: str
    checksum: str
    value: str | None = None
    currency: str | None = None


class Sample(Struct, frozen=True):
    """An event to send and where the ledger must show it."""

    event: ClientEvent
    entry: Entry


Delivery = Sequence[Sample]
"""One request: a single event by GET, or several by POST."""


def make_samples(checksums: Mapping[str, str], number: int, seed: int | None = None) -> list[Sample]:
    """`number` events over the programs of `checksums`; some have a wrong checksum and do not count."""
    choose = random.Random(seed)
    return [_sample(choose, checksums) for _ in range(number)]


def make_deliveries(samples: Sequence[Sample]) -> list[Delivery]:
    """A tenth of `samples` one by one, the rest in batches, in random order."""
    singles = int(len(samples) * SINGLES)
    one_by_one: list[Delivery] = [[sample] for sample in samples[:singles]]
    batches: list[Delivery] = [samples[at : at + BATCH] for at in range(singles, len(samples), BATCH)]
    return random.sample(one_by_one + batches, len(one_by_one) + len(batches))


class Client:
    """Sends to each tracker in turn, and again, with the same ids, what was not acknowledged.

    `answer_ms` are the times of acknowledged requests: of single events, and of batches.
    """

    def __init__(self, http: httpx.AsyncClient, trackers: Sequence[str], *, retry_s: float = RETRY_S) -> None:
        self.acknowledged: set[Entry] = set()
        self.unanswered: set[Entry] = set()
        """Sent and never acknowledged: stored or not, either is right."""
        self.last_acknowledged_s = 0.0
        self.single_ms: list[float] = []
        self.batch_ms: list[float] = []
        self._http = http
        self._retry_s = retry_s
        self._turns = cycle(trackers)

    async def send_all(self, deliveries: Iterable[Delivery]) -> None:
        """Sends with CLIENTS requests in flight. Raises DemoError where a tracker refuses an event."""
        waiting = iter(deliveries)
        refusals = await asyncio.gather(*(self._send_from(waiting) for _ in range(CLIENTS)))
        for refusal in filter(None, refusals):
            raise refusal

    async def _send_from(self, waiting: Iterator[Delivery]) -> DemoError | None:
        try:
            for delivery in waiting:
                await self._send(delivery)
        except DemoError as error:
            return error
        return None

    async def _send(self, delivery: Delivery) -> None:
        left = delivery
        for _ in range(ATTEMPTS):
            left = await self._attempt(next(self._turns), left)
            if not left:
                return
            await asyncio.sleep(self._retry_s)
        self.unanswered.update(sample.entry for sample in left)

    async def _attempt(self, tracker: str, samples: Delivery) -> Delivery:
        """What is left to send again."""
        started_s = time.perf_counter()
        try:
            response = await self._request(tracker, samples)
        except httpx.TransportError:
            return samples
        took_ms = (time.perf_counter() - started_s) * 1000
        left = _left(response, samples)
        if not left:
            (self.single_ms if len(samples) == 1 else self.batch_ms).append(took_ms)
        self.last_acknowledged_s = time.perf_counter()
        self.acknowledged |= {sample.entry for sample in set(samples) - set(left)}
        return left

    async def _request(self, tracker: str, samples: Delivery) -> httpx.Response:
        if len(samples) == 1:
            query = msgspec.to_builtins(samples[0].event)
            return await self._http.get(f"{tracker}/event/{query.pop('programId')}", params=query)
        body = msgspec.json.encode([sample.event for sample in samples])
        return await self._http.post(f"{tracker}/events", content=body, headers=JSON)


def _left(response: httpx.Response, samples: Delivery) -> Delivery:
    """The samples that `response` does not acknowledge. Raises DemoError for one it refuses for good."""
    failed = failures(response.status_code, response.content, len(samples))
    for failure in failed:
        if failure.final:
            raise DemoError(
                f"{response.request.url} answered {response.status_code} {failure.reason}: {failure.detail}"
            )
    return [samples[failure.index] for failure in failed]


def _sample(choose: random.Random, checksums: Mapping[str, str]) -> Sample:
    program_id = choose.choice(list(checksums))
    kind = choose.choice(KINDS)
    wrong = choose.random() < WRONG_CHECKSUMS
    event = ClientEvent(
        program_id=program_id,
        message_id=str(uuid.UUID(int=choose.getrandbits(128), version=4)),
        kind=kind,
        visitor=f"visitor-{choose.randrange(VISITORS)}",
        checksum="wrong" if wrong else checksums[program_id],
        value="9.99" if kind == "conversion" else None,
        currency="EUR" if kind == "conversion" else None,
    )
    return Sample(event, Entry(program_id, event.message_id, "invalid" if wrong else COUNT_OF_KIND[kind]))
