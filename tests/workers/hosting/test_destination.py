"""What is given up, as Lambda writes it into a bucket.

https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
"""

import re
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from schemas.errors import UnavailableError
from schemas.failures import DiscardedBatch, KinesisBatchInfo, RequestContext, ResponseContext, decode_failure
from tests.workers.ports import record
from workers.hosting.destination import Discarded, S3Destination, discarded_batch, mapping_of
from workers.hosting.invocation import Outcome

ARN = "arn:aws:kinesis:us-east-2:123456789012:stream/mystream"
AT_MS = 1_573_691_886_021
RECORDS = [record(7, b"a", arrived_ms=AT_MS - 1_186), record(8, b"b", arrived_ms=AT_MS - 441)]
DISCARDED = Discarded(
    "persist", ARN, RECORDS, "RetryAttemptsExhausted", 3, Outcome("request-1", 0, is_error=True), AT_MS
)


class MemoryS3:
    def __init__(self, *errors: Exception) -> None:
        self.objects: dict[str, bytes] = {}
        self._errors = list(errors)

    async def put_object(self, **request: Any) -> dict[str, Any]:
        if self._errors:
            raise self._errors.pop()
        assert (request["Bucket"], request["ContentType"]) == ("failures", "application/json")
        self.objects[request["Key"]] = request["Body"]
        return {}


def test_the_object_is_the_one_of_the_developer_guide() -> None:
    batch = discarded_batch(DISCARDED)

    assert batch.request_context == RequestContext(
        request_id="request-1",
        function_arn="arn:aws:lambda:us-east-2:123456789012:function:persist",
        condition="RetryAttemptsExhausted",
        approximate_invoke_count=3,
    )
    assert batch.response_context == ResponseContext(function_error="Unhandled")
    assert (batch.version, batch.timestamp) == ("1.0", "2019-11-14T00:38:06.021Z")
    assert batch.batch == KinesisBatchInfo(
        shard_id="shardId-000000000000",
        start_sequence_number="7",
        end_sequence_number="8",
        approximate_arrival_of_first_record="2019-11-14T00:38:04.835Z",
        approximate_arrival_of_last_record="2019-11-14T00:38:05.580Z",
        batch_size=2,
        stream_arn=ARN,
    )
    assert [delivered.kinesis.data for delivered in batch.invocation.records] == [b"a", b"b"]


def test_a_batch_that_was_never_invoked_has_no_response() -> None:
    aged = DISCARDED._replace(condition="RecordAgeExceeded", invocations=0, last=None)

    batch = discarded_batch(aged)

    assert batch.response_context is None
    assert batch.request_context.request_id


async def test_its_name_tells_mapping_shard_and_time_and_is_never_taken() -> None:
    s3 = MemoryS3()
    destination = S3Destination(s3, "failures")

    await destination.keep(DISCARDED)
    await destination.keep(DISCARDED)

    place = f"aws/lambda/{mapping_of('persist', ARN)}/shardId-000000000000/2019/11/14/2019-11-14T00.38.06-"
    assert len(s3.objects) == 2
    for key, body in s3.objects.items():
        assert re.fullmatch(re.escape(place) + r"[0-9a-f-]{36}", key)
        assert isinstance(decode_failure(body), DiscardedBatch)


def test_a_mapping_keeps_its_id() -> None:
    assert mapping_of("persist", ARN) == mapping_of("persist", ARN) != mapping_of("refresh", ARN)


async def test_a_bucket_out_of_reach_is_an_outage() -> None:
    destination = S3Destination(MemoryS3(EndpointConnectionError(endpoint_url="http://s3")), "failures")

    with pytest.raises(UnavailableError, match="bucket failures"):
        await destination.keep(DISCARDED)
