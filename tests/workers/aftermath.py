"""The world of `persist` with what may follow a failure: batches given up, replay and recount."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import repeat
from typing import Any
from uuid import uuid4

from lambdas.batch import Record
from schemas.dynamodb import Item
from schemas.failures import encode_discarded
from schemas.programs import Totals
from schemas.settings import EventStoreName
from tests.factories import NOW_MS
from tests.lambdas.memory import Killed, Steps
from tests.lambdas.world import Shard, World
from workers.hosting.destination import Discarded, discarded_batch
from workers.packed import PackedEvents
from workers.recount import Recount
from workers.replay import Replay
from workers.restore import Streams
from workers.runtime import source
from workers.runtime.puts import Puts
from workers.settings import RecountSettings

BUCKET = "failed"
STREAMS = Streams("stream", "updates")
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream"
SETTINGS = RecountSettings(
    update_stream="updates", events_table="events", totals_table="totals", programs_table="programs"
)
KEYS_PER_PAGE = 2


class Awaited:
    """A port that is called, to be awaited: others go on before each call."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, operation: str) -> Any:
        async def call(**parameters: Any) -> Any:
            await asyncio.sleep(0)
            return getattr(self._port, operation)(**parameters)

        return call


class Body:
    """An object's bytes, as a client streams them."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self) -> bytes:
        return self._data


class MemoryS3:
    """The bucket that `persist` puts in, to list, get and delete from."""

    def __init__(self, steps: Steps, objects: dict[str, bytes]) -> None:
        self._steps = steps
        self._objects = objects

    def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = "") -> dict[str, Any]:
        with self._steps.call("list_objects_v2"):
            assert Bucket == BUCKET
            keys = [
                key for key in sorted(self._objects) if key.startswith(Prefix) and key > ContinuationToken
            ]
            page = keys[:KEYS_PER_PAGE]
            if len(page) == len(keys):
                return {"Contents": [{"Key": key} for key in page]} if page else {}
            return {
                "Contents": [{"Key": key} for key in page],
                "IsTruncated": True,
                "NextContinuationToken": page[-1],
            }

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        with self._steps.call("get_object"):
            return {"Body": Body(self._objects[Key])}

    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        with self._steps.call("delete_object"):
            self._objects.pop(Key, None)
            return {}


class MemoryStreams:
    """Both streams. Records of events arrive on a shard of their own, to be delivered."""

    def __init__(self, world: World, shard: Shard) -> None:
        self.arrived: list[Record] = []
        self._world = world
        self._shard = shard

    def put_records(self, *, StreamName: str, Records: list[Any]) -> Any:
        if StreamName == STREAMS.updates:
            return self._world.updates.put_records(StreamName=StreamName, Records=Records)
        with self._world.steps.call("put_records"):
            self.arrived += [self._shard.record(each["Data"], key=each["PartitionKey"]) for each in Records]
            return {"Records": [{} for _ in Records]}


class Aftermath(World):
    """What went wrong, and the means to put it right."""

    def __init__(self, event_store: EventStoreName = "items") -> None:
        super().__init__(event_store)
        self.said: list[str] = []
        self.streams = MemoryStreams(self, Shard(9))
        self.puts = Puts(Awaited(self.streams), waits_s=_waits_s)
        self.recount = Recount(Awaited(self.dynamodb), self.puts, SETTINGS)

    async def replay(self, **options: Any) -> tuple[int, int]:
        return await self.replaying().run([BUCKET], **options)

    def replaying(self) -> Replay:
        s3 = Awaited(MemoryS3(self.steps, self.bucket.objects))
        packed = PackedEvents(Awaited(self.dynamodb), table="events")
        return Replay(s3, self.puts, self.recount, packed, streams=STREAMS, say=self.said.append)

    def deliver_arrived(self) -> None:
        """What replay has put on the event stream."""
        self.deliver(self.streams.arrived)

    def store_only(self, batch: Sequence[Record]) -> None:
        """Kills `persist` when all is stored and nothing is counted."""
        self.kill(batch, "before get_item")

    def kill(self, batch: Sequence[Record], at: str) -> None:
        def kill(step: str) -> None:
            if step == at:
                raise Killed(step)

        self.steps.hook = kill
        with suppress(Killed):
            self.persist().apply(batch)
        self.steps.hook = lambda step: None

    def give_up(self, batch: Sequence[Record], *, stream: str = STREAMS.events) -> None:
        """Discards the batch to the bucket, as the event source mapping does."""
        records = [
            source.Record(each.shard_id, each.sequence_number, each.partition_key, each.data, NOW_MS)
            for each in batch
        ]
        discarded = Discarded(
            "persist", f"{ARN}/{stream}", records, "RetryAttemptsExhausted", 1, None, NOW_MS
        )
        self.bucket.objects[f"aws/lambda/{uuid4()}"] = encode_discarded(discarded_batch(discarded))

    @property
    def stored(self) -> Totals:
        """What the items of the sample program count as."""
        return counted(self.items)


def counted(items: Sequence[Item]) -> Totals:
    counts = Counter(f"{item['kind']['S']!s}s" if item["valid"]["BOOL"] else "invalid" for item in items)
    return Totals(**counts)


def _waits_s() -> Iterator[float]:
    return repeat(0.0, 3)
