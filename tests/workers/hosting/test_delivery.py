"""The rules of Lambda's event source mapping, each with the page of AWS that states it.

FAILURES  https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
PARTIAL   https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
MAPPING   https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
"""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.workers.ports import (
    Event,
    MemoryDestination,
    MemoryPositions,
    RecordingHandler,
    failing_from,
    host_settings,
    record,
)
from workers.hosting.delivery import Delivery, halves
from workers.hosting.invocation import Function
from workers.runtime.source import Record

ARN = "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"
NOW_MS = 1_760_000_000_000
BROKEN = ValueError("broken")


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


class Shard:
    """One shard's delivery, with all that it talks to in memory."""

    def __init__(self, *answers: Any, otherwise: Any = None, refusals: int = 0, **settings: Any) -> None:
        self.handler = RecordingHandler(*answers, otherwise=otherwise)
        self.positions = MemoryPositions()
        self.destination = MemoryDestination(refusals)
        self.clock = Clock()
        self.delivery = Delivery(
            Function("persist", self.handler),
            self.positions,
            host_settings(**({"retry_most_ms": 1} | settings)),
            stream_arn=ARN,
            destination=self.destination,
            clock_ms=self.clock,
        )

    async def deliver(self, *records: Record) -> list[str]:
        """Returns each invocation's records, a letter each."""
        await self.delivery.deliver(list(records))
        return [letters(event) for event in self.handler.events]


def records(letters: str, *, arrived_ms: int = NOW_MS) -> list[Record]:
    return [record(99 + ord(letter), letter.encode(), arrived_ms=arrived_ms) for letter in letters]


def letters(event: Event) -> str:
    return "".join(chr(int(each["kinesis"]["sequenceNumber"]) - 99) for each in event["Records"])


def breaking_on(bad: str) -> Callable[[Event], object]:
    """The answer that fails every batch with one of the `bad` records."""

    def answer(event: Event) -> object:
        if set(bad) & set(letters(event)):
            raise BROKEN
        return None

    return answer


async def test_a_failed_batch_is_halved_until_the_bad_record_is_alone() -> None:
    """FAILURES: bisect "splits a failed batch into two smaller batches, isolating bad records"."""
    shard = Shard(otherwise=breaking_on("c"), bisect_batch_on_function_error=True, maximum_retry_attempts=0)

    invoked = await shard.deliver(*records("abcd"))

    assert invoked == ["abcd", "ab", "cd", "c", "d"]
    assert shard.destination.batches == [[b"c"]]


async def test_splitting_uses_up_no_retries() -> None:
    """FAILURES: "Splitting batches doesn't consume the retry quota"."""
    shard = Shard(otherwise=breaking_on("a"), bisect_batch_on_function_error=True, maximum_retry_attempts=2)

    invoked = await shard.deliver(*records("abcd"))

    assert invoked == ["abcd", "ab", "a", "a", "a", "b", "cd"]


async def test_without_bisect_a_failed_batch_is_given_up_whole() -> None:
    """MAPPING: BisectBatchOnFunctionError is false by default."""
    shard = Shard(otherwise=breaking_on("c"), maximum_retry_attempts=1)

    assert await shard.deliver(*records("abcd")) == ["abcd", "abcd"]
    assert shard.destination.batches == [[b"a", b"b", b"c", b"d"]]


async def test_with_bisect_a_batch_is_cut_at_the_record_that_the_function_names() -> None:
    """PARTIAL: with both on, "the batch is bisected at the returned sequence number, and Lambda
    retries only the remaining records"."""
    shard = Shard(failing_from(1), failing_from(0), bisect_batch_on_function_error=True)

    assert await shard.deliver(*records("abcd")) == ["abcd", "bcd", "bcd"]


async def test_an_answer_that_cannot_be_read_halves_the_batch_as_an_error_does() -> None:
    """PARTIAL: an empty itemIdentifier is a complete failure."""
    unreadable = {"batchItemFailures": [{"itemIdentifier": ""}]}
    shard = Shard(unreadable, bisect_batch_on_function_error=True)

    assert await shard.deliver(*records("abc")) == ["abc", "a", "bc"]


async def test_positions_follow_the_halves_in_order() -> None:
    shard = Shard(BROKEN, bisect_batch_on_function_error=True)
    batch = records("abcd")

    await shard.deliver(*batch)

    saves = [await shard.positions.next_save() for _ in range(2)]
    assert [number for _, number in saves] == [batch[1].sequence_number, batch[3].sequence_number]


async def test_records_past_the_maximum_age_are_discarded_without_an_invocation() -> None:
    """FAILURES: records that "exceed the maximum age" are discarded; MAPPING: MaximumRecordAgeInSeconds."""
    shard = Shard(maximum_record_age_s=60)
    old, young = records("ab", arrived_ms=NOW_MS - 60_001), records("cd", arrived_ms=NOW_MS - 60_000)

    assert await shard.deliver(*old, *young) == ["cd"]

    (discarded,) = shard.destination.discarded
    assert (list(discarded.records), discarded.condition, discarded.invocations, discarded.last) == (
        old,
        "RecordAgeExceeded",
        0,
        None,
    )


async def test_a_batch_that_ages_while_it_is_retried_is_discarded() -> None:
    """FAILURES: "Lambda retries until the records expire, exceed the maximum age, or reach the
    configured retry quota"."""
    shard = Shard(maximum_record_age_s=60)

    def age(event: Event) -> object:
        shard.clock.now_ms += 40_000
        raise BROKEN

    shard.handler.answer_otherwise(age)

    assert await shard.deliver(*records("ab")) == ["ab", "ab"]
    (discarded,) = shard.destination.discarded
    assert (discarded.condition, discarded.invocations) == ("RecordAgeExceeded", 2)


async def test_no_record_is_too_old_by_default() -> None:
    """MAPPING: MaximumRecordAgeInSeconds is -1 by default: infinite."""
    assert await Shard().deliver(*records("a", arrived_ms=0)) == ["a"]


async def test_the_position_waits_for_the_destination() -> None:
    shard = Shard(BROKEN, maximum_retry_attempts=0, refusals=2)

    await shard.deliver(*records("a"))

    assert shard.destination.refusals == 0
    assert shard.destination.batches == [[b"a"]]


async def test_what_is_discarded_says_how_it_failed() -> None:
    raised = Shard(otherwise=BROKEN, maximum_retry_attempts=2)
    reported = Shard(otherwise=failing_from(0), maximum_retry_attempts=0)

    await raised.deliver(*records("a"))
    await reported.deliver(*records("a"))

    first, second = raised.destination.discarded[0], reported.destination.discarded[0]
    assert (first.condition, first.invocations) == ("RetryAttemptsExhausted", 3)
    assert first.last is not None and first.last.is_error
    assert first.last.request_id == raised.handler.contexts[-1].aws_request_id
    assert second.last is not None and not second.last.is_error


@given(size=st.integers(2, 40))
def test_halves_are_the_batch(size: int) -> None:
    batch = [record(number) for number in range(size)]

    first, second = halves(batch)

    assert first + second == batch
    assert 0 <= len(second) - len(first) <= 1


@given(
    bad=st.frozensets(st.sampled_from("abcdefgh")),
    retries=st.integers(0, 2),
    bisect=st.booleans(),
)
async def test_every_record_succeeds_or_is_kept_and_order_holds(
    bad: frozenset[str], retries: int, bisect: bool
) -> None:
    shard = Shard(
        otherwise=breaking_on("".join(bad)),
        maximum_retry_attempts=retries,
        bisect_batch_on_function_error=bisect,
    )

    invoked = await shard.deliver(*records("abcdefgh"))

    kept = "".join(data.decode() for batch in shard.destination.batches for data in batch)
    passed = [each for each in invoked if not bad & set(each)]
    assert sorted(kept + "".join(passed)) == list("abcdefgh")
    assert kept == "".join(sorted(kept))
    assert set(kept) == bad if bisect else not bad or kept == "abcdefgh"
