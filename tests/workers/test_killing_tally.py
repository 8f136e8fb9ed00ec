"""`tally` in worker processes that are killed at random: what Redis says is what was sent."""

import asyncio
import random
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from schemas.events import View, encode_event, hash_key
from schemas.frames import encode_frame
from schemas.minutes import Minute, minute_of
from schemas.redis import minute_key, read_minute
from tests.factories import core_data, view
from tests.workers.conftest import MANY_SHARDS
from tests.workers.fleet import Fleet, decimate, mustered
from tests.workers.turns import intruded
from workers.outlets import redis_client

CALM_S = 60
LOOK_EVERY_S = 0.1
PUT_EVERY_S = 0.02
KILLS = 20


class Minutes:
    """Events that are sent, each twice, and what Redis says of them."""

    def __init__(self, redis_url: str) -> None:
        self.over = False
        self.sent: list[View] = []
        self._redis_url = redis_url
        self._program_id = f"killing-{uuid4().hex[:8]}"

    async def send(self, kinesis: Any, stream: str, chance: random.Random) -> None:
        while not self.over:
            now_ms = time.time_ns() // 1_000_000
            program = core_data(program_id=self._program_id)
            visitors = [f"visitor-{chance.randrange(500)}" for _ in range(16)]
            events = [view(visitor=each, received_at_ms=now_ms, program=program) for each in visitors]
            records = [
                {
                    "Data": encode_frame([encode_event(event)]),
                    "PartitionKey": event.key,
                    "ExplicitHashKey": str(hash_key(event.key)),
                }
                for event in (*events, *events)
            ]
            answer = await kinesis.put_records(StreamName=stream, Records=records)
            assert answer["FailedRecordCount"] == 0
            self.sent += events
            await asyncio.sleep(PUT_EVERY_S)

    def expected(self) -> dict[int, Minute]:
        starts = {minute_of(event.received_at_ms) for event in self.sent}
        return {start: self._minute(start) for start in starts}

    async def counted(self) -> dict[int, Minute]:
        found = dict.fromkeys(self.expected(), Minute())
        async with redis_client(self._redis_url) as redis:
            for start in found:
                fields: dict[Any, Any] = await redis.hgetall(minute_key(start))
                for program_id, _, minute in map(read_minute, fields.keys(), fields.values()):
                    found[start] += minute if program_id == self._program_id else Minute()
        return found

    async def until_counted(self) -> None:
        async with asyncio.timeout(CALM_S):
            while sum(each.events for each in (await self.counted()).values()) < len(self.sent):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY_S)

    def _minute(self, start_ms: int) -> Minute:
        events = [event for event in self.sent if minute_of(event.received_at_ms) == start_ms]
        return Minute(views=len(events), visitors=len({event.visitor for event in events}))


@pytest.mark.faults
async def test_the_minutes_of_tally_are_exact_after_forty_seconds_of_kills(
    tmp_path: Path, worker_environment: dict[str, str], kinesis: Any, shards: str
) -> None:
    chance, minutes = random.Random(40), Minutes(worker_environment["REDIS_URL"])
    environment = worker_environment | {"LOG_LEVEL": "DEBUG"}
    async with mustered(Fleet(environment, tmp_path, ("-m", "workers", "worker", "tally"))) as fleet:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(minutes.send(kinesis, shards, chance))
            await decimate(fleet, chance, kills=KILLS)
            minutes.over = True
        await minutes.until_counted()

    print(f"{len(minutes.sent)} events, each sent twice, in {len(minutes.expected())} minutes")
    assert await minutes.counted() == minutes.expected()
    assert len(fleet.commits()) == MANY_SHARDS
    assert intruded(fleet.commits()) == []
