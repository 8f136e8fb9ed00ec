"""A Kinesis in memory, with the API's dictionaries, for what an emulator does not do.

kinesis = InMemoryKinesis(shards=2)
await kinesis.put_records(StreamName="events", Records=[{"Data": b"a", "PartitionKey": "1"}])
kinesis.fail("get_records", client_error("ProvisionedThroughputExceededException"))
kinesis.split("shardId-000000000000")
"""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from itertools import count
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, ConnectionClosedError

STREAM = "events"
HASH_KEYS = 2**128
FIRST_SEQUENCE_NUMBER = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898

Answer = dict[str, Any]


@dataclass
class _Shard:
    shard_id: str
    first_hash: int
    last_hash: int
    parents: tuple[str, ...] = ()
    records: list[Answer] = field(default_factory=list)
    closed: bool = False


class _Place(NamedTuple):
    shard_id: str
    first: int


class InMemoryKinesis:
    """One stream. A closed shard's last read has no NextShardIterator, as on AWS.

    With `keyless`, records are read without a partition key, as where AWS distributes them itself.
    """

    def __init__(
        self, *, stream: str = STREAM, shards: int = 1, page_size: int = 1_000, keyless: bool = False
    ) -> None:
        self.stream = stream
        self.arn = f"arn:aws:kinesis:eu-west-1:123456789012:stream/{stream}"
        self.calls: list[tuple[str, Answer]] = []
        """Every call: the operation and its request."""
        self._page_size = page_size
        self._keyless = keyless
        self._shard_numbers = count()
        self._numbers = count()
        self._shards: dict[str, _Shard] = {}
        self._iterators: dict[str, _Place] = {}
        self._failures: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self._calling = asyncio.Condition()
        self._open = asyncio.Event()
        self._open.set()
        self._puts = 0
        self._refuse_every = 0
        self._answers_to_lose = 0
        width = HASH_KEYS // shards
        for first in range(shards):
            self._add(first * width, (first + 1) * width - 1)

    def fail(self, operation: str, *errors: Exception) -> None:
        """The next calls of `operation` raise these, one each."""
        self._failures[operation].extend(errors)

    def expire_iterators(self) -> None:
        self._iterators.clear()

    def close(self, shard_id: str) -> None:
        """Ends a shard: it takes nothing more and can be read to its end."""
        self._shards[shard_id].closed = True

    def split(self, shard_id: str) -> list[str]:
        """Closes a shard and opens two children. Returns their ids."""
        parent = self._shards[shard_id]
        middle = (parent.first_hash + parent.last_hash) // 2
        self.close(shard_id)
        return [
            self._add(parent.first_hash, middle, shard_id),
            self._add(middle + 1, parent.last_hash, shard_id),
        ]

    def open_shard(self) -> str:
        """Opens a shard without parents that takes over the upper half of the hash keys."""
        return self._add(HASH_KEYS // 2, HASH_KEYS - 1)

    def forget(self, shard_id: str) -> None:
        """The shard is gone with all its records: expired on AWS, deleted by an emulator's split."""
        del self._shards[shard_id]

    def merge(self, first_id: str, second_id: str) -> str:
        """Closes two neighbours and opens the shard that covers both. Returns its id."""
        first, second = self._shards[first_id], self._shards[second_id]
        self.close(first_id)
        self.close(second_id)
        return self._add(first.first_hash, second.last_hash, first_id, second_id)

    def hold(self) -> None:
        """Puts wait, and nothing is stored, until `let_go`."""
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    async def asked(self, operation: str, *, times: int = 1) -> None:
        """Returns once `operation` was called so often, now or before."""
        async with self._calling:
            await self._calling.wait_for(lambda: len(self.requests(operation)) >= times)

    def refuse_every(self, nth: int) -> None:
        """Every nth record put fails with InternalFailure, alone in its request or not."""
        self._refuse_every = nth

    def lose_answers(self, puts: int) -> None:
        """The next puts are stored, and the connection breaks before their answer."""
        self._answers_to_lose = puts

    @property
    def shard_ids(self) -> list[str]:
        """Every shard there is or was, parents before their children."""
        return list(self._shards)

    @property
    def open_shard_ids(self) -> list[str]:
        return [shard.shard_id for shard in self._shards.values() if not shard.closed]

    def hashes(self, shard_id: str) -> tuple[int, int]:
        """The first and last hash key of a shard."""
        return self._shards[shard_id].first_hash, self._shards[shard_id].last_hash

    def records(self, shard_id: str | None = None) -> list[Answer]:
        """What a shard holds, or all of them one after the other, in the order of `shard_ids`."""
        shards = [self._shards[shard_id]] if shard_id else self._shards.values()
        return [record for shard in shards for record in shard.records]

    def requests(self, operation: str) -> list[Answer]:
        return [request for name, request in self.calls if name == operation]

    async def describe_stream_summary(self, **request: Any) -> Answer:
        await self._called("describe_stream_summary", request)
        return {"StreamDescriptionSummary": {"StreamName": self.stream, "StreamARN": self.arn}}

    async def list_shards(self, **request: Any) -> Answer:
        await self._called("list_shards", request)
        start = int(request.get("NextToken", 0))
        shards = list(self._shards.values())
        answer: Answer = {"Shards": [_listed(shard) for shard in shards[start : start + self._page_size]]}
        if start + self._page_size < len(shards):
            answer["NextToken"] = str(start + self._page_size)
        return answer

    async def put_records(self, **request: Any) -> Answer:
        await self._called("put_records", request)
        await self._open.wait()
        await asyncio.sleep(0)
        results = [self._put_or_refuse(record) for record in request["Records"]]
        if self._answers_to_lose:
            self._answers_to_lose -= 1
            raise ConnectionClosedError(endpoint_url="in memory")
        return {"FailedRecordCount": sum("ErrorCode" in each for each in results), "Records": results}

    async def get_shard_iterator(self, **request: Any) -> Answer:
        await self._called("get_shard_iterator", request)
        shard = self._shard(request["ShardId"])
        first = 0
        if request["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER":
            after = int(request["StartingSequenceNumber"])
            first = sum(int(record["SequenceNumber"]) <= after for record in shard.records)
        return {"ShardIterator": self._iterator(_Place(shard.shard_id, first))}

    async def get_records(self, **request: Any) -> Answer:
        await self._called("get_records", request)
        place = self._iterators.get(request["ShardIterator"])
        if place is None:
            raise client_error("ExpiredIteratorException")
        shard = self._shard(place.shard_id)
        end = place.first + request["Limit"]
        left = len(shard.records) - end
        answer: Answer = {
            "Records": shard.records[place.first : end],
            "MillisBehindLatest": 1_000 if left > 0 else 0,
        }
        if left > 0 or not shard.closed:
            answer["NextShardIterator"] = self._iterator(_Place(shard.shard_id, min(end, len(shard.records))))
        return answer

    async def _called(self, operation: str, request: Answer) -> None:
        async with self._calling:
            self.calls.append((operation, request))
            self._calling.notify_all()
        if self._failures[operation]:
            raise self._failures[operation].popleft()
        if request.get("StreamName", self.stream) != self.stream:
            raise client_error("ResourceNotFoundException")

    def _put_or_refuse(self, record: Answer) -> Answer:
        self._puts += 1
        if self._refuse_every and self._puts % self._refuse_every == 0:
            return {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."}
        return self._put(record)

    def _put(self, record: Answer) -> Answer:
        hash_key = int(record.get("ExplicitHashKey", _hash(record["PartitionKey"])))
        shard = next(
            each
            for each in reversed(self._shards.values())
            if not each.closed and each.first_hash <= hash_key <= each.last_hash
        )
        sequence_number = str(FIRST_SEQUENCE_NUMBER + next(self._numbers))
        key = {} if self._keyless else {"PartitionKey": record["PartitionKey"]}
        arrived = {"SequenceNumber": sequence_number, "ApproximateArrivalTimestamp": datetime.now(UTC)}
        shard.records.append(arrived | key | {"Data": record["Data"]})
        return {"SequenceNumber": sequence_number, "ShardId": shard.shard_id}

    def _add(self, first_hash: int, last_hash: int, *parents: str) -> str:
        shard_id = f"shardId-{next(self._shard_numbers):012d}"
        self._shards[shard_id] = _Shard(shard_id, first_hash, last_hash, parents)
        return shard_id

    def _shard(self, shard_id: str) -> _Shard:
        if shard_id not in self._shards:
            raise client_error("ResourceNotFoundException")
        return self._shards[shard_id]

    def _iterator(self, place: _Place) -> str:
        iterator = f"iterator-{next(self._numbers)}"
        self._iterators[iterator] = place
        return iterator


def client_error(code: str) -> ClientError:
    """What an AWS client raises for an error answer."""
    return ClientError({"Error": {"Code": code, "Message": f"an injected {code}"}}, "operation")


def _hash(partition_key: str) -> int:
    return int.from_bytes(md5(partition_key.encode()).digest())


def _listed(shard: _Shard) -> Answer:
    numbers = {"StartingSequenceNumber": str(FIRST_SEQUENCE_NUMBER)}
    if shard.closed:
        numbers["EndingSequenceNumber"] = str(FIRST_SEQUENCE_NUMBER)
    named = zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False)
    return {
        "ShardId": shard.shard_id,
        "HashKeyRange": {"StartingHashKey": str(shard.first_hash), "EndingHashKey": str(shard.last_hash)},
        "SequenceNumberRange": numbers,
        **dict(named),
    }
