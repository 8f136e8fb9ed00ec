"""In-memory ports of the Lambda host, each of which lets a test wait for what happens."""

import asyncio
import threading
from base64 import b64decode
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import repeat
from queue import SimpleQueue
from typing import Any

from schemas.errors import UnavailableError
from tests.kinesis import InMemoryKinesis
from workers.hosting.delivery import ClockMs, wall_clock_ms
from workers.hosting.destination import Destination, Discarded, Nowhere
from workers.hosting.host import Host
from workers.hosting.invocation import Context, Function
from workers.runtime.source import Record
from workers.runtime.supervisor import Supervisor
from workers.settings import HostSettings

TIMEOUT_S = 10.0
"""Long enough for anything that is going to happen."""
QUIET_S = 0.1
"""How long a test watches that nothing happens."""

SHARD = "shardId-000000000000"
OTHER_SHARD = "shardId-000000000001"

NOWHERE = Nowhere()

Event = dict[str, Any]
Answer = object | Callable[[Event], object]


class RecordingHandler:
    """A Lambda handler that gives its answers in turn, then `otherwise` for ever.

    An answer may be an exception, which is raised, or a function of the event.
    """

    def __init__(self, *answers: Answer, otherwise: Answer = None) -> None:
        self.events: list[Event] = []
        self.contexts: list[Context] = []
        self._answers = deque(answers)
        self._otherwise = otherwise
        self._batches: SimpleQueue[list[bytes]] = SimpleQueue()

    def __call__(self, event: Event, context: Context) -> object:
        self.events.append(event)
        self.contexts.append(context)
        answer = self._answers.popleft() if self._answers else self._otherwise
        self._batches.put([b64decode(record["kinesis"]["data"]) for record in event["Records"]])
        if isinstance(answer, BaseException):
            raise answer
        return answer(event) if callable(answer) else answer

    def answer_otherwise(self, answer: Answer) -> None:
        """From here on, once the answers given are used up."""
        self._otherwise = answer

    async def next_batch(self) -> list[bytes]:
        """The data of the next invocation's records, as soon as it begins."""
        return await asyncio.to_thread(self._batches.get, timeout=TIMEOUT_S)

    @property
    def is_quiet(self) -> bool:
        """No invocation that `next_batch` has not given."""
        return self._batches.empty()


class Gate:
    """The answer that comes once the gate is open."""

    def __init__(self) -> None:
        self._opened = threading.Event()

    def open(self) -> None:
        self._opened.set()

    def __call__(self, event: Event) -> object:
        if not self._opened.wait(TIMEOUT_S):
            raise TimeoutError("the gate was never opened")
        return None


class MemoryPositions:
    """Positions in a dictionary: can be down, and tell of every save."""

    def __init__(self, **saved: str) -> None:
        self.saved = saved
        self.down = False
        self._saves: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def load(self, shard_id: str) -> str | None:
        self._check()
        return self.saved.get(shard_id)

    async def save(self, shard_id: str, sequence_number: str) -> None:
        self._check()
        self.saved[shard_id] = sequence_number
        self._saves.put_nowait((shard_id, sequence_number))

    async def next_save(self) -> tuple[str, str]:
        async with asyncio.timeout(TIMEOUT_S):
            return await self._saves.get()

    def _check(self) -> None:
        if self.down:
            raise UnavailableError("down")


class MemoryDestination:
    """Keeps what is discarded; is down for the first `refusals` calls."""

    def __init__(self, refusals: int = 0) -> None:
        self.discarded: list[Discarded] = []
        self.refusals = refusals

    async def keep(self, discarded: Discarded) -> None:
        if self.refusals:
            self.refusals -= 1
            raise UnavailableError("the destination is down")
        self.discarded.append(discarded)

    @property
    def batches(self) -> list[list[bytes]]:
        """The data of each batch it keeps."""
        return [[record.data for record in each.records] for each in self.discarded]


def shard_of(event: Event) -> str:
    return str(event["Records"][0]["eventID"].partition(":")[0])


def failing_on(shard_id: str) -> Callable[[Event], object]:
    """The answer that fails every batch of one shard."""

    def answer(event: Event) -> object:
        if shard_of(event) == shard_id:
            raise ValueError(f"broken on {shard_id}")
        return None

    return answer


def failing_from(place: int) -> Callable[[Event], object]:
    """The answer that reports the record at `place` of the batch."""

    def answer(event: Event) -> object:
        sequence_number = event["Records"][place]["kinesis"]["sequenceNumber"]
        return {"batchItemFailures": [{"itemIdentifier": sequence_number}]}

    return answer


def host_settings(**fields: Any) -> HostSettings:
    """Settings that wait for nothing long."""
    names = {"event_stream": "events", "update_stream": "updates", "leases_table": "leases"}
    waits = {"poll_interval_ms": 5, "retry_most_ms": 5, "shard_refresh_ms": 50}
    return HostSettings(**(names | waits | fields))


def record(number: int, data: bytes = b"data", **fields: Any) -> Record:
    """A record of the first shard. Sequence numbers order as numbers, not as text."""
    return Record(SHARD, str(number), "key", data, 1_545_084_650_987)._replace(**fields)


async def put(kinesis: InMemoryKinesis, *data: bytes, key: str = "key") -> list[str]:
    """Puts a record each and returns their sequence numbers."""
    records = [{"Data": each, "PartitionKey": key} for each in data]
    answer = await kinesis.put_records(StreamName=kinesis.stream, Records=records)
    return [each["SequenceNumber"] for each in answer["Records"]]


async def put_on_each_shard(kinesis: InMemoryKinesis, data: bytes) -> None:
    """Puts the same data once on every open shard."""
    shards = (await kinesis.list_shards(StreamName=kinesis.stream))["Shards"]
    records = [
        {"Data": data, "PartitionKey": "key", "ExplicitHashKey": shard["HashKeyRange"]["StartingHashKey"]}
        for shard in shards
        if "EndingSequenceNumber" not in shard["SequenceNumberRange"]
    ]
    await kinesis.put_records(StreamName=kinesis.stream, Records=records)


@asynccontextmanager
async def hosting(
    handler: RecordingHandler,
    kinesis: InMemoryKinesis,
    positions: MemoryPositions,
    *,
    destination: Destination = NOWHERE,
    clock_ms: ClockMs = wall_clock_ms,
    **settings: Any,
) -> AsyncIterator[Supervisor]:
    """A host of `handler` under a supervisor that restarts at once. Leaving stops it."""
    host = Host(
        Function("persist", handler),
        kinesis,
        positions,
        host_settings(**settings),
        stream=kinesis.stream,
        destination=destination,
        clock_ms=clock_ms,
    )
    async with Supervisor(backoff=lambda: repeat(0.01)) as supervisor:
        supervisor.start("persist", partial(host.run, supervisor))
        yield supervisor
