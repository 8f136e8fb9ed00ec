from itertools import repeat

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import UnavailableError
from tests.kinesis import InMemoryKinesis, client_error
from workers.runtime.puts import BYTES_PER_CALL, RECORDS_PER_CALL, Entry, Puts, calls

MANY = [Entry(Data=str(number).encode(), PartitionKey="key") for number in range(7)]


def puts(kinesis: InMemoryKinesis) -> Puts:
    return Puts(kinesis, waits_s=lambda: repeat(0.0, 3))


def data(kinesis: InMemoryKinesis) -> list[bytes]:
    return sorted(record["Data"] for record in kinesis.records())


async def test_what_was_refused_alone_is_put_again_alone() -> None:
    kinesis = InMemoryKinesis()
    kinesis.refuse_every(3)

    await puts(kinesis).put(kinesis.stream, MANY)

    assert data(kinesis) == [entry["Data"] for entry in MANY]
    assert [len(request["Records"]) for request in kinesis.requests("put_records")] == [7, 2, 1]


@pytest.mark.parametrize(
    "error",
    [
        client_error("ProvisionedThroughputExceededException"),
        EndpointConnectionError(endpoint_url="http://kinesis"),
    ],
    ids=["throttled", "unreachable"],
)
async def test_a_call_that_fails_is_made_again(error: Exception) -> None:
    kinesis = InMemoryKinesis()
    kinesis.fail("put_records", error, error)

    await puts(kinesis).put(kinesis.stream, MANY)

    assert len(kinesis.requests("put_records")) == 3


async def test_a_lost_answer_puts_again() -> None:
    kinesis = InMemoryKinesis()
    kinesis.lose_answers(1)

    await puts(kinesis).put(kinesis.stream, MANY[:1])

    assert data(kinesis) == [b"0", b"0"]


async def test_a_stream_that_takes_nothing_is_an_outage() -> None:
    kinesis = InMemoryKinesis()
    kinesis.refuse_every(1)

    with pytest.raises(UnavailableError, match="did not take 7 records: InternalFailure"):
        await puts(kinesis).put(kinesis.stream, MANY)

    assert len(kinesis.requests("put_records")) == 4


async def test_nothing_is_put_for_nothing() -> None:
    kinesis = InMemoryKinesis()

    await puts(kinesis).put(kinesis.stream, [])

    assert kinesis.requests("put_records") == []


@given(sizes=st.lists(st.integers(0, 1_048_576), max_size=20), copies=st.integers(1, 60))
def test_calls_keep_order_and_limits(sizes: list[int], copies: int) -> None:
    blank = bytes(max(sizes, default=0))
    entries = [Entry(Data=blank[:size], PartitionKey="key") for size in sizes * copies]

    made = list(calls(entries))

    assert [entry for call in made for entry in call] == entries
    for call in made:
        assert 1 <= len(call) <= RECORDS_PER_CALL
        assert sum(len(entry["Data"]) + 3 for entry in call) <= BYTES_PER_CALL
