"""Kinesis that throttles, is gone, or does what it was asked and does not say so."""

import asyncio
import random

from cdk.config import LOCAL
from tests.faults.aws_faults import failing_records, losing_answers, throttled_calls
from tests.faults.aws_proxy import Call
from tests.faults.load import NOT_ACKNOWLEDGED
from tests.faults.ordeal import Ordeal
from tests.faults.stores import in_both_stores

THROTTLED_S = 20
DOWN_S = 30
LOSING_S = 20
ERRORS = frozenset({NOT_ACKNOWLEDGED})
"""What clients see of Kinesis."""


async def test_kinesis_throttles(ordeal: Ordeal) -> None:
    """Kinesis throttles half of all records.

    For 20 s half of the records of every PutRecords fail, in turn with
    ProvisionedThroughputExceededException and InternalFailure, and so do half of all GetRecords.
    """
    kinesis, choose, ordeal.errors = ordeal.system.kinesis, random.Random(), ERRORS
    async with ordeal.under_load():
        with (
            kinesis.suffering(failing_records(0.5, choose)),
            kinesis.suffering(throttled_calls(frozenset({"GetRecords"}), 0.5, choose)),
        ):
            await asyncio.sleep(THROTTLED_S)


async def test_kinesis_down(ordeal: Ordeal) -> None:
    """Kinesis down for 30 s.

    Connections to Kinesis break and new ones are refused, for trackers and Lambda hosts alike. A tracker
    answers 503 once it has waited for 5 s; clients send again.
    """
    ordeal.errors = ERRORS
    async with ordeal.under_load() as load:
        await ordeal.system.cables.kinesis.cut()
        await asyncio.sleep(DOWN_S)
        await ordeal.system.cables.kinesis.heal()
    assert load.errors("during")[NOT_ACKNOWLEDGED]


async def test_kinesis_half_open(ordeal: Ordeal) -> None:
    """Kinesis half open for 10 s.

    What is sent to Kinesis arrives, and no answer comes back, on connections that stay open. Every put
    times out after success and is sent again.
    """
    ordeal.errors = ERRORS
    async with ordeal.under_load():
        ordeal.system.cables.kinesis.half_open()
        await asyncio.sleep(10)
        await ordeal.system.cables.kinesis.heal()


@in_both_stores
async def test_put_answers_lost(ordeal: Ordeal) -> None:
    """Answers of puts lost after success.

    For 20 s a third of all PutRecords, of trackers and of the relay, are done by Kinesis, and then the
    connection breaks before the answer. The events are on the stream and are put there again.
    """
    ordeal.errors = ERRORS
    async with ordeal.under_load() as load:
        with ordeal.system.kinesis.suffering(losing_answers(_is_put, 1 / 3, random.Random())):
            await asyncio.sleep(LOSING_S)
    sent = {entry.message_id for entry in load.sent}
    assert ordeal.system.witness.duplicates(sent) > 0


def _is_put(call: Call) -> bool:
    return call.operation == "PutRecords" and call.subject in (
        LOCAL.event_stream.name,
        LOCAL.update_stream.name,
    )
