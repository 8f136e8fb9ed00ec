"""A Kinesis that misbehaves, and watches how it is used."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from schemas.events import Event
from schemas.frames import decode_frame
from tests.kinesis import InMemoryKinesis

Answer = dict[str, Any]


class HostileKinesis(InMemoryKinesis):
    """A put given up by its caller stays on its way, and arrives when `stragglers_arrive`."""

    def __init__(self, *, shards: int) -> None:
        super().__init__(shards=shards)
        self.most_in_flight = 0
        """The most puts that one lane ever had in flight at once."""
        self.puts = 0
        self._in_flight: Counter[str] = Counter()
        self._stuck: str | None = None
        self._stragglers: deque[Answer] = deque()

    async def put_records(self, **request: Any) -> Answer:
        lane = request["Records"][0]["ExplicitHashKey"]
        self.puts += 1
        self._in_flight[lane] += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight[lane])
        try:
            if lane == self._stuck:
                await asyncio.Event().wait()
            return await super().put_records(**request)
        except asyncio.CancelledError:
            self._stragglers.append(request)
            raise
        finally:
            self._in_flight[lane] -= 1

    def stragglers_arrive(self) -> None:
        while self._stragglers:
            for record in self._stragglers.popleft()["Records"]:
                self._put(record)

    def stick(self, shard_id: str) -> None:
        """No put on this shard's hash key is answered until `heal` or another shard is stuck."""
        self._stuck = str(self._shards[shard_id].first_hash)

    def heal(self) -> None:
        self._stuck = None
        self._failures.clear()
        self.refuse_every(0)
        self.let_go()

    def neighbours(self) -> tuple[str, str] | None:
        """Two open shards whose ranges touch, None where only one is open."""
        open_shards = sorted(
            (shard for shard in self._shards.values() if not shard.closed), key=lambda each: each.first_hash
        )
        return (open_shards[0].shard_id, open_shards[1].shard_id) if len(open_shards) > 1 else None

    def events(self) -> Iterator[Event]:
        """Every event on the stream, in the order of arrival."""
        for record in sorted(self.records(), key=lambda each: int(each["SequenceNumber"])):
            yield from decode_frame(record["Data"]).events

    def message_ids(self) -> set[UUID]:
        return {event.message_id for event in self.events()}
