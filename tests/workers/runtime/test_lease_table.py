import asyncio
from typing import Any

import pytest

from schemas.errors import UnavailableError
from schemas.leases import Lease
from tests.workers.dynamodb import LEASES, MemoryDynamoDB
from workers.runtime.keeper import Keeper
from workers.runtime.lease_table import LeaseTable

TIMEOUT_S = 0.05


class Hanging(MemoryDynamoDB):
    """Answers nothing about the rows of `hung`."""

    hung = ""

    async def update_item(self, **request: Any) -> dict[str, Any]:
        await self._answer(str(request["Key"]["lease_key"]["S"]))
        return await super().update_item(**request)

    async def batch_get_item(self, **request: Any) -> dict[str, Any]:
        for key in request["RequestItems"][LEASES]["Keys"]:
            await self._answer(str(key["lease_key"]["S"]))
        return await super().batch_get_item(**request)

    async def _answer(self, key: str) -> None:
        if key == self.hung:
            await asyncio.Event().wait()


async def test_a_call_that_hangs_is_given_up_as_unavailable() -> None:
    dynamodb = Hanging()
    table = LeaseTable(dynamodb, LEASES, timeout_s=TIMEOUT_S)
    dynamodb.hung = "a"

    with pytest.raises(UnavailableError):
        await table.read(["a"])
    with pytest.raises(UnavailableError):
        await table.take(Lease(key="a"), owner="worker", token="token")


async def test_a_renewal_that_hangs_keeps_no_other_lease_from_being_renewed() -> None:
    dynamodb = Hanging()
    table = LeaseTable(dynamodb, LEASES, timeout_s=TIMEOUT_S)
    keeper = Keeper(table, worker="worker", failover_s=60)
    await keeper.take([Lease(key="a"), Lease(key="b")])
    before = await table.read(["b"])
    dynamodb.hung = "a"

    renewed = await keeper.renew()

    assert (await table.read(["b"]))["b"].counter == before["b"].counter + 1
    assert renewed.lost == []
    assert set(keeper.held) == {"a", "b"}
