"""Bytes on a stream that no retry can ever apply: set aside within seconds, their neighbours pass."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import ClientSession

from cdk.config import LOCAL
from cdk.local.audit import Entry
from schemas.events import encode_event
from schemas.failures import FailedRecord
from schemas.frames import VERSION, encode_frame
from tests.factories import core_data, view
from tests.faults.load import Load
from tests.faults.ordeal import Ordeal, put_program
from tests.faults.stores import in_both_stores

SET_ASIDE_WITHIN_S = 5.0
GARBAGE = bytes((VERSION,)) + b"\xc1 no msgpack at all"
BAD_EVENT = msgspec.msgpack.encode(["view", "not-a-uuid", "not a time"])
BAD_UPDATE = b'{"type": "program_changed", "program": {"name": 1}}'


@in_both_stores
async def test_poison_frame(ordeal: Ordeal) -> None:
    """Poison frame.

    A record that is no frame is put on each shard of the event stream, between the trackers' own. It is
    set aside with its bytes and the reason, and nothing behind it waits.
    """
    async with ordeal.under_load():
        for hash_key in ("0", str(2**127)):
            place = await _put(ordeal, LOCAL.event_stream.name, GARBAGE, ExplicitHashKey=hash_key)
            failed = await _set_aside(ordeal, place)
            assert (failed.payload, failed.reason, failed.index) == (GARBAGE, "bad_frame", None)


@in_both_stores
async def test_poison_event(ordeal: Ordeal) -> None:
    """Poison event.

    A frame of three events is put on the event stream, and the one in the middle does not decode. It is
    set aside with its bytes and its place; the other two are stored and counted.
    """
    async with ordeal.under_load() as load:
        good = [_event_of(ordeal, load) for _ in range(2)]
        place = await _put(ordeal, LOCAL.event_stream.name, encode_frame([good[0], BAD_EVENT, good[1]]))
        failed = await _set_aside(ordeal, f"{place}-1")
        assert (failed.payload, failed.reason, failed.index) == (BAD_EVENT, "bad_event", 1)


async def test_poison_update(ordeal: Ordeal) -> None:
    """Poison update.

    A record that is no update is put on the update stream. It is set aside with its bytes and the reason,
    and the change of a program right behind it reaches the tracker that waits for it.
    """
    async with ordeal.under_load(), ClientSession() as session:
        place = await _put(ordeal, LOCAL.update_stream.name, BAD_UPDATE)
        async with asyncio.timeout(SET_ASIDE_WITHIN_S):
            status = await put_program(
                session, ordeal.system.file.trackers[0], ordeal.program_ids[0], name="behind the poison"
            )
        assert status == 200
        failed = await _set_aside(ordeal, place)
        assert (failed.payload, failed.reason) == (BAD_UPDATE, "bad_update")


def _event_of(ordeal: Ordeal, load: Load) -> bytes:
    program_id = ordeal.program_ids[0]
    event = view(program=core_data(program_id=program_id))
    load.acknowledged.add(Entry(program_id, str(event.message_id), "views"))
    return encode_event(event)


async def _put(ordeal: Ordeal, stream: str, data: bytes, **options: str) -> str:
    """Where it landed, as the failed-events store names it."""
    answer: dict[str, Any] = await asyncio.to_thread(
        ordeal.system.books.kinesis.put_record, StreamName=stream, Data=data, PartitionKey="poison", **options
    )
    return f"{stream}/{answer['ShardId']}/{answer['SequenceNumber']}"


async def _set_aside(ordeal: Ordeal, place: str) -> FailedRecord:
    key = f"{place}.json"
    ordeal.expected_failures.add(key)
    with suppress(TimeoutError):
        async with asyncio.timeout(SET_ASIDE_WITHIN_S):
            while True:
                failed = await asyncio.to_thread(ordeal.system.books.failed)
                if key in failed:
                    return failed[key]
                await asyncio.sleep(0.1)
    raise AssertionError(f"{key} was not set aside within {SET_ASIDE_WITHIN_S:.0f} s")
