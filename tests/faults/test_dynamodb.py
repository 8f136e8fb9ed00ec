"""DynamoDB that throttles, or is gone."""

import asyncio
import random

from tests.faults.aws_faults import DYNAMODB_CALLS, throttled_calls, throttled_statements
from tests.faults.ordeal import Ordeal
from tests.faults.stores import in_both_stores

THROTTLED_S = 20
DOWN_S = 10


@in_both_stores
async def test_dynamodb_throttles(ordeal: Ordeal) -> None:
    """DynamoDB throttles.

    For 20 s half of the statements of every BatchExecuteStatement are answered ThrottlingError or
    ProvisionedThroughputExceeded while the others are executed, and a third of all other calls is refused.
    """
    dynamodb, choose = ordeal.system.dynamodb, random.Random()
    async with ordeal.under_load():
        with (
            dynamodb.suffering(throttled_statements(0.5, choose)),
            dynamodb.suffering(throttled_calls(DYNAMODB_CALLS, 1 / 3, choose)),
        ):
            await asyncio.sleep(THROTTLED_S)


@in_both_stores
async def test_dynamodb_down(ordeal: Ordeal) -> None:
    """DynamoDB down for 10 s.

    Connections to DynamoDB break and new ones are refused. Trackers answer for the programs they know; the
    Lambdas wait, and no event is stored until it is back.
    """
    async with ordeal.under_load():
        await ordeal.system.cables.dynamodb.cut()
        await asyncio.sleep(1)
        stored = await _stored(ordeal)
        await asyncio.sleep(DOWN_S - 1)
        assert await _stored(ordeal) == stored
        await ordeal.system.cables.dynamodb.heal()


async def _stored(ordeal: Ordeal) -> int:
    return len(await asyncio.to_thread(ordeal.system.books.stored, ordeal.program_ids))
