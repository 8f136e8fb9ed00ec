"""Leases in DynamoDB. Every write is conditional: of several workers that try, one succeeds.

Conditions as in KCL's DynamoDBLeaseRefresher and DynamoDBLeaseRenewer: a lease is taken while its counter
is as seen, and renewed, released or committed under the token of its acquisition.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from botocore.exceptions import ClientError

from schemas.errors import UnavailableError
from schemas.leases import Lease, lease_from_row, lease_row_key
from workers.runtime.source import AWS_ERRORS

KEYS_PER_READ = 100
"""What BatchGetItem takes."""
LOST = "ConditionalCheckFailedException"


class DynamoDB(Protocol):
    """What leases ask of a DynamoDB client."""

    async def batch_get_item(self, **request: Any) -> dict[str, Any]: ...

    async def update_item(self, **request: Any) -> dict[str, Any]: ...


class LeaseTable:
    """The rows of leases, by key. Everything raises UnavailableError where DynamoDB does not answer within
    `timeout_s` a call: who waits for longer than a lease lasts has lost it."""

    def __init__(self, dynamodb: DynamoDB, table: str, *, timeout_s: float) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._timeout_s = timeout_s

    async def read(self, keys: Sequence[str], *, is_latest: bool = True) -> dict[str, Lease]:
        """The leases of these keys, as last written. One that has no row is new.

        Without `is_latest` they may be of a moment before, for half the read units: one for two leases.
        """
        try:
            rows = [row async for row in self._rows(keys, is_latest)]
        except AWS_ERRORS as error:
            raise unavailable(self._table, error) from error
        return {key: Lease(key=key) for key in keys} | {
            str(row.key): row for row in map(lease_from_row, rows)
        }

    async def take(self, lease: Lease, *, owner: str, token: str) -> Lease | None:
        """Makes `owner` the owner of a lease that is as seen; None where it no longer is."""
        return await self._update(
            lease.key,
            "SET #owner = :owner, #token = :token, #counter = :next REMOVE wanted_by",
            "attribute_not_exists(#counter)" if lease.counter == 0 else "#counter = :seen",
            owner=owner,
            token=token,
            next=lease.counter + 1,
            seen=lease.counter,
        )

    async def renew(self, key: str, token: str) -> Lease | None:
        """Shows that the owner is alive. Returns the lease as it is now; None where it is lost."""
        return await self._update(key, "ADD #counter :one", "#token = :token", one=1, token=token)

    async def ask(self, lease: Lease, *, by: str) -> Lease | None:
        """Has the owner hand the lease over to `by`; None where it has changed hands or is asked for."""
        condition = "#token = :token AND attribute_not_exists(wanted_by)"
        return await self._update(lease.key, "SET wanted_by = :by", condition, by=by, token=lease.token or "")

    async def release(self, key: str, token: str) -> Lease | None:
        """Lets go of the lease, for who asked or for anyone; None where it was lost."""
        update = "REMOVE #owner, #token ADD #counter :one"
        return await self._update(key, update, "#token = :token", one=1, token=token)

    async def _update(self, key: str, update: str, condition: str, **values: str | int) -> Lease | None:
        asked = f"{update} {condition}"
        names = [name for name in ("owner", "token", "counter") if f"#{name}" in asked]
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._dynamodb.update_item(
                    TableName=self._table,
                    Key=lease_row_key(key),
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeNames={f"#{name}": name for name in names},
                    ExpressionAttributeValues={
                        f":{name}": attribute(value) for name, value in values.items() if f":{name}" in asked
                    },
                    ReturnValues="ALL_NEW",
                )
        except AWS_ERRORS as error:
            if code_of(error) == LOST:
                return None
            raise unavailable(self._table, error) from error
        return lease_from_row(answer["Attributes"])

    async def _rows(self, keys: Sequence[str], is_latest: bool) -> Any:
        for some in _slices(keys):
            wanted = {"Keys": [lease_row_key(key) for key in some], "ConsistentRead": is_latest}
            left: Any = {self._table: wanted}
            while left:
                async with asyncio.timeout(self._timeout_s):
                    answer = await self._dynamodb.batch_get_item(RequestItems=left)
                for row in answer["Responses"].get(self._table, []):
                    yield row
                left = answer.get("UnprocessedKeys")


def attribute(value: str | int) -> dict[str, str]:
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def code_of(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def unavailable(table: str, error: Exception) -> UnavailableError:
    return UnavailableError(f"table {table}: {str(error) or type(error).__name__}")


def _slices(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), KEYS_PER_READ):
        yield keys[start : start + KEYS_PER_READ]
