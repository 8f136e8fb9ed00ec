"""AWS that takes no signature."""

import asyncio

from tests.faults.aws_faults import refused_signatures
from tests.faults.load import NOT_ACKNOWLEDGED
from tests.faults.ordeal import Ordeal

REFUSED_S = 10


async def test_credentials_expired(ordeal: Ordeal) -> None:
    """Credentials expired for 10 s.

    Every call to Kinesis and to DynamoDB is refused, in turn with ExpiredTokenException and, as where a
    clock is wrong, InvalidSignatureException. Whoever is refused tries again until it is not.
    """
    system, ordeal.errors = ordeal.system, frozenset({NOT_ACKNOWLEDGED})
    async with ordeal.under_load() as load:
        with (
            system.kinesis.suffering(refused_signatures()),
            system.dynamodb.suffering(refused_signatures()),
        ):
            await asyncio.sleep(REFUSED_S)
    assert load.errors("during")[NOT_ACKNOWLEDGED]
