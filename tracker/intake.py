"""The intake: events in, frames on the event stream, one lane per shard.

A lane is an actor. While its put is in flight its mail piles up, and what piled up becomes the
next frames: a lone event leaves at once, under load frames fill. Order per key holds because

1. a key always goes to the lane whose shard covers its hash;
2. within a lane it always has the same partition key;
3. a put carries at most one record per partition key, and what failed goes again before anything
   newer ("PutRecords doesn't guarantee the ordering of records", Kinesis API reference);
4. after a reshard, the new lanes wait until the lanes they replace are empty.

A put that timed out may have landed. It is sent again: `persist` recognises message ids.
"""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from schemas.errors import TooLargeError, TrackerError, UnavailableError
from schemas.events import HASH_SHIFT, Event, encode_event, hash_key
from schemas.frames import split_frames
from schemas.programs import Acknowledgement
from tracker.confirmations import Confirmation, settled
from tracker.deadlines import Deadlines, not_acknowledged
from tracker.frames import FAILED, SentFrames
from tracker.settings import TrackerSettings
from workers.runtime.actor import Actor, Bound, Envelope, Waiter
from workers.runtime.backoff import backoff_s
from workers.runtime.supervisor import Supervisor

EVENT_OVERHEAD_BYTES = 512
"""What an event in the buffer takes beside its bytes: envelope, future, queue slot."""
REQUEST_OVERHEAD_BYTES = 12_288
"""What a lone event takes whose client waits: connection, head, task. Measured: 10.7 KB."""
FIRST_RETRY_S = 0.05
MOST_RETRY_S = 0.5
"""A tenth of what a client waits: where half of all puts are refused, hardly one in a million meets so many
refusals in a row that its time is up."""

log = logging.getLogger(__name__)


class Kinesis(Protocol):
    """What the intake asks of a Kinesis client."""

    async def list_shards(self, **request: Any) -> dict[str, Any]: ...

    async def put_records(self, **request: Any) -> dict[str, Any]: ...


class Keyed(msgspec.Struct, frozen=True, gc=False):
    """An encoded event and the hash that decides its lane and partition key."""

    hash: int
    payload: bytes


Mail = Envelope[Keyed, None]
Offer = Confirmation | TrackerError | None
"""An event queued whose confirmation is awaited, why it was not taken, or None where that is all."""


class Shard(NamedTuple):
    """An open shard: its id and where its range of hash keys starts."""

    first_hash: int
    shard_id: str


class Put(NamedTuple):
    """One record to put and the mail it carries."""

    partition_key: str
    data: bytes
    mail: list[Mail]


class Queue:
    """The puts of one partition key. Each is made when its turn comes: a frame is a copy of its events,
    and the buffer's bound counts them once."""

    def __init__(self, puts: Iterator[Put]) -> None:
        self._puts = puts
        self.first = next(puts, None)

    def advance(self) -> None:
        self.first = next(self._puts, None)


class Lane(Actor[Keyed, None]):
    """Puts its mail on one shard, in order. A reply means that Kinesis confirmed the event."""

    def __init__(
        self,
        shard: Shard,
        *,
        kinesis: Kinesis,
        settings: TrackerSettings,
        bound: Bound,
        moved: asyncio.Event,
        frames: SentFrames,
    ) -> None:
        super().__init__(bound)
        self.shard = shard
        self._kinesis = kinesis
        self._settings = settings
        self._moved = moved
        self._frames = frames

    async def receive(self, batch: list[Mail]) -> None:
        queues, waits = self._queues(batch), _retry_waits_s()
        while puts := [queue.first for queue in queues if queue.first]:
            confirmed = await self._put(puts)
            for queue in queues:
                if queue.first and (queue.first in confirmed or _abandoned(queue.first)):
                    queue.advance()
            if confirmed:
                waits = _retry_waits_s()
            if len(confirmed) < len(puts):
                await asyncio.sleep(next(waits))

    def _queues(self, batch: list[Mail]) -> list[Queue]:
        wanted = [mail for mail in batch if not mail.abandoned]
        by_key: dict[int, list[Mail]] = {}
        keys = self._settings.keys_per_shard
        if keys == 1:
            by_key[0] = wanted
        else:
            for mail in wanted:
                by_key.setdefault((mail.message.hash >> HASH_SHIFT) % keys, []).append(mail)
        return [Queue(_puts(str(key), mails)) for key, mails in by_key.items()]

    async def _put(self, puts: Sequence[Put]) -> list[Put]:
        records = [
            {
                "PartitionKey": put.partition_key,
                "Data": put.data,
                "ExplicitHashKey": str(self.shard.first_hash),
            }
            for put in puts
        ]
        try:
            async with asyncio.timeout(self._settings.put_timeout_ms / 1000):
                answer = await self._kinesis.put_records(
                    StreamName=self._settings.event_stream, Records=records
                )
            results = answer["Records"]
        except Exception as error:
            # Whatever it was, what was not confirmed is still ours to send.
            log.warning("put on %s failed: %s", self.shard.shard_id, str(error) or type(error).__name__)
            self._frames.again(FAILED, len(puts))
            return []
        return [put for put, result in zip(puts, results, strict=False) if self._settle(put, result)]

    def _settle(self, put: Put, result: dict[str, str]) -> bool:
        if result.get("ErrorCode"):
            log.warning("put on %s refused: %s", self.shard.shard_id, result["ErrorCode"])
            self._frames.again(result["ErrorCode"])
            return False
        self._frames.confirmed(events=len(put.mail), size_bytes=len(put.data))
        if result["ShardId"] != self.shard.shard_id:
            self._moved.set()
        for mail in put.mail:
            mail.settle(None)
        return True


class Intake:
    """Takes events for the event stream, bounded in bytes over all lanes.

    `run` must be running: it keeps the map of shards and with it the lanes.
    """

    def __init__(self, kinesis: Kinesis, settings: TrackerSettings, supervisor: Supervisor) -> None:
        self._kinesis = kinesis
        self._settings = settings
        self._supervisor = supervisor
        self._bound = Bound(settings.buffer_max_bytes)
        self._moved = asyncio.Event()
        self.frames = SentFrames()
        self._lanes: list[Lane] = []
        self._replaced: list[Lane] = []
        self._starts: list[int] = []
        self._closed = False
        self._ack_timeout_s = settings.ack_timeout_ms / 1000
        self._deadlines = Deadlines(self._ack_timeout_s)

    @property
    def lanes(self) -> Sequence[Lane]:
        """One for each open shard known, in the order of their hash ranges."""
        return self._lanes

    @property
    def buffered_bytes(self) -> int:
        """What events accepted and not yet settled take, with the requests that wait for them; at most
        `buffer_max_bytes`."""
        return self._bound.used

    @property
    def accepting(self) -> bool:
        """Whether an event of the largest size would be taken now."""
        largest = self._settings.event_max_bytes + EVENT_OVERHEAD_BYTES + REQUEST_OVERHEAD_BYTES
        return bool(self._lanes) and not self._closed and self._bound.limit - self._bound.used >= largest

    async def send(self, event: Event, *, ack: Acknowledgement | None = None) -> None:
        """Returns once `event` is acknowledged: confirmed by Kinesis (`durable`), or queued and
        sent as soon as can be (`buffered`). The task's own mode applies where `ack` is None.

        Raises TooLargeError, BufferFullError, DrainingError or UnavailableError where it was not
        taken; NotAcknowledgedError where it may or may not land.
        """
        if not self._is_durable(ack):
            self._tell(event)
            return
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ask(event, confirmed, request_bytes=REQUEST_OVERHEAD_BYTES)
        try:
            async with asyncio.timeout(self._ack_timeout_s):
                await confirmed
        except TimeoutError as error:
            raise not_acknowledged() from error

    def post(self, event: Event, waiter: Waiter[None], *, ack: Acknowledgement | None = None) -> None:
        """As `send`, for who does not wait in a task: tells `waiter`, maybe before it returns. Raises
        what `send` raises where it was not taken."""
        if self._is_durable(ack):
            self._ask(event, waiter, request_bytes=REQUEST_OVERHEAD_BYTES)
            self._deadlines.watch(waiter)
        else:
            self._tell(event)
            waiter.set_result(None)

    def offer(self, event: Event, *, ack: Acknowledgement | None = None) -> Offer:
        """Queues `event`: what `acknowledged` takes to wait for it. Whoever offers many lets go of each."""
        try:
            if self._is_durable(ack):
                confirmation = Confirmation()
                self._ask(event, confirmation)
                return confirmation
            self._tell(event)
        except TrackerError as error:
            return error.with_traceback(None)  # which would hold the event
        return None

    async def acknowledged(self, offers: Sequence[Offer]) -> list[TrackerError | None]:
        """For each offer, in order, None or what `send` would have raised."""
        asked = [offer for offer in offers if isinstance(offer, Confirmation)]
        await settled(asked, timeout_s=self._ack_timeout_s)
        return [_outcome(offer) for offer in offers]

    async def run(self) -> None:
        """Follows the stream's shards until cancelled, at once where a record landed elsewhere.

        Raises what `refresh` raises; the lanes there are go on.
        """
        while True:
            self._moved.clear()
            await self.refresh()
            try:
                async with asyncio.timeout(self._settings.shard_refresh_ms / 1000):
                    await self._moved.wait()
            except TimeoutError:
                pass

    async def refresh(self) -> None:
        """Reads the map of shards and makes the lanes match it. Raises UnavailableError."""
        await self._follow(await open_shards(self._kinesis, self._settings.event_stream))

    async def drain(self) -> bool:
        """Takes no more and waits until all is confirmed, at most the drain timeout; True if it is."""
        self._closed = True
        lanes = [*self._replaced, *self._lanes]
        for lane in lanes:
            lane.close()
        try:
            async with asyncio.timeout(self._settings.drain_timeout_ms / 1000):
                for lane in lanes:
                    await lane.drained()
        except TimeoutError:
            log.error("drain timed out with %d bytes not confirmed", self._bound.used)
            return False
        return True

    def _is_durable(self, ack: Acknowledgement | None) -> bool:
        return (ack or self._settings.ack) == "durable"

    def _ask(self, event: Event, waiter: Waiter[None], *, request_bytes: int = 0) -> None:
        keyed = self._keyed(event)
        weight = EVENT_OVERHEAD_BYTES + len(keyed.payload) + request_bytes
        self._lane(keyed).ask_for(waiter, keyed, weight=weight)

    def _tell(self, event: Event) -> None:
        keyed = self._keyed(event)
        self._lane(keyed).tell(keyed, weight=EVENT_OVERHEAD_BYTES + len(keyed.payload))

    def _keyed(self, event: Event) -> Keyed:
        payload = encode_event(event)
        if len(payload) > self._settings.event_max_bytes:
            raise TooLargeError(f"the event takes {len(payload)} of {self._settings.event_max_bytes} bytes")
        return Keyed(hash_key(event.key), payload)

    def _lane(self, keyed: Keyed) -> Lane:
        if not self._lanes:
            raise UnavailableError("the event stream's shards are not known yet")
        return self._lanes[bisect_right(self._starts, keyed.hash) - 1]

    async def _follow(self, shards: list[Shard]) -> None:
        present = {lane.shard: lane for lane in self._lanes}
        if shards == list(present) or self._closed:
            return
        log.info("%s: %d open shards", self._settings.event_stream, len(shards))
        added = {shard: self._new_lane(shard) for shard in shards if shard not in present}
        self._replaced += [lane for shard, lane in present.items() if shard not in shards]
        self._lanes = [present.get(shard) or added[shard] for shard in shards]
        self._starts = [shard.first_hash for shard in shards]
        while self._replaced:
            await self._replaced[0].drained()
            lane = self._replaced.pop(0)
            await self._supervisor.stop(lane.shard.shard_id)
        for shard, lane in added.items():
            self._supervisor.start(shard.shard_id, lane.run)

    def _new_lane(self, shard: Shard) -> Lane:
        return Lane(
            shard,
            kinesis=self._kinesis,
            settings=self._settings,
            bound=self._bound,
            moved=self._moved,
            frames=self.frames,
        )


async def open_shards(kinesis: Kinesis, stream: str) -> list[Shard]:
    """The shards that take records now, in the order of their hash ranges. Raises UnavailableError."""
    request = {"StreamName": stream}
    shards = []
    try:
        while request:
            page = await kinesis.list_shards(**request)
            shards += [_shard(shard) for shard in page["Shards"] if _is_open(shard)]
            request = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
    except (ClientError, BotoCoreError) as error:
        raise UnavailableError(f"the shards of {stream} are not known: {error}") from error
    return sorted(shards)


def _is_open(shard: dict[str, Any]) -> bool:
    return "EndingSequenceNumber" not in shard["SequenceNumberRange"]


def _shard(shard: dict[str, Any]) -> Shard:
    return Shard(int(shard["HashKeyRange"]["StartingHashKey"]), shard["ShardId"])


def _puts(key: str, mails: list[Mail]) -> Iterator[Put]:
    start = 0
    for count, data in split_frames([mail.message.payload for mail in mails]):
        yield Put(key, data, mails[start : start + count])
        start += count


def _retry_waits_s() -> Iterator[float]:
    return backoff_s(first_s=FIRST_RETRY_S, most_s=MOST_RETRY_S)


def _abandoned(put: Put) -> bool:
    return all(mail.abandoned for mail in put.mail)


def _outcome(offer: Offer) -> TrackerError | None:
    if not isinstance(offer, Confirmation):
        return offer
    if offer.cancelled():
        return not_acknowledged()
    error = offer.error
    return error if error is None or isinstance(error, TrackerError) else not_acknowledged()
