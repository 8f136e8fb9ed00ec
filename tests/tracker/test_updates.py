"""Sending into the update stream: confirmed, or said."""

import pytest

from schemas.errors import UpdateStreamUnavailableError
from schemas.updates import ProgramChanged, ProgramDeleted, Update, decode_update
from tests.factories import VERSION, program
from tests.kinesis import InMemoryKinesis, client_error
from tracker.updates import Updates

UPDATES: list[Update] = [
    ProgramChanged(program=program()),
    ProgramDeleted(program_id="gone", version=VERSION),
]


def updates_over(kinesis: InMemoryKinesis, *, timeout_ms: int = 5_000) -> Updates:
    return Updates(kinesis, stream=kinesis.stream, timeout_ms=timeout_ms)


async def test_each_update_is_a_record_keyed_by_its_program() -> None:
    kinesis = InMemoryKinesis()

    await updates_over(kinesis).send(UPDATES)

    assert [decode_update(record["Data"]) for record in kinesis.records()] == UPDATES
    assert [record["PartitionKey"] for record in kinesis.records()] == ["212313", "gone"]


async def test_what_is_refused_is_sent_again() -> None:
    kinesis = InMemoryKinesis()
    kinesis.fail("put_records", client_error("ProvisionedThroughputExceededException"))
    kinesis.refuse_every(2)

    await updates_over(kinesis).send(UPDATES)

    assert sorted(record["PartitionKey"] for record in kinesis.records()) == ["212313", "gone"]


async def test_a_stream_that_does_not_confirm_in_time_is_unavailable() -> None:
    kinesis = InMemoryKinesis()
    kinesis.hold()

    with pytest.raises(UpdateStreamUnavailableError):
        await updates_over(kinesis, timeout_ms=20).send(UPDATES)
