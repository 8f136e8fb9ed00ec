"""What is stored, counted and set aside, read past every proxy, and whether it agrees with a load."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from cdk.local.audit import Audit, Entry, audit
from cdk.local.resources import aws_client
from cdk.local.stack_file import StackFile
from cdk.local.stored import entries_of
from schemas.dynamodb import bucket_names, sum_of_lanes
from schemas.failures import FailedRecord, decode_failed
from schemas.leases import lease_key, lease_row_key
from schemas.packs import packs_bucket
from schemas.programs import Totals
from tests.faults.load import Load
from tests.faults.witness import Witness

CAUGHT_UP_TIMEOUT_S = 120.0
POLL_S = 0.3


class Books:
    """The tables and the failed-events bucket of a running stack."""

    def __init__(self, file: StackFile) -> None:
        self._file = file
        self._dynamodb, self._s3, self.kinesis = (
            aws_client(each, endpoint_url=file.aws_endpoint_url, region=file.region)
            for each in ("dynamodb", "s3", "kinesis")
        )

    def close(self) -> None:
        for client in (self._dynamodb, self._s3, self.kinesis):
            client.close()

    async def settle(self, load: Load, witness: Witness, program_ids: Iterable[str]) -> tuple[Audit, int]:
        """The audit once all that reached the stream is done with, its last copy, too: before that, what is
        counted twice by a copy might not be yet. Or, where that does not come about, after two minutes.

        Also how many distinct events are stored.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(CAUGHT_UP_TIMEOUT_S):
                while not await asyncio.to_thread(self._caught_up, witness):  # noqa: ASYNC110
                    await asyncio.sleep(POLL_S)
        found, stored = await asyncio.to_thread(self._audit, load, list(program_ids))
        return found, len(stored)

    def failed(self) -> dict[str, FailedRecord]:
        """What was set aside, by key."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._file.failed_events_bucket)
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return {key: decode_failed(self._body(key)) for key in keys}

    def totals(self, program_id: str) -> Totals:
        return sum_of_lanes(self._query(self._file.totals_table, "program_id", program_id))

    def stored(self, program_ids: Iterable[str]) -> list[Entry]:
        return [entry for program_id in program_ids for entry in self._entries(program_id)]

    def _caught_up(self, witness: Witness) -> bool:
        """Whether `persist` has saved that it is past each shard's last record."""
        return all(self._position(shard_id) >= last for shard_id, last in dict(witness.last_put).items())

    def _position(self, shard_id: str) -> int:
        key = lease_row_key(lease_key("persist", self._file.event_stream, shard_id))
        row = self._dynamodb.get_item(TableName=self._file.leases_table, Key=key, ConsistentRead=True)
        return int(row.get("Item", {}).get("checkpoint", {}).get("S", "-1"))

    def _audit(self, load: Load, program_ids: list[str]) -> tuple[Audit, set[Entry]]:
        totals = {program_id: self.totals(program_id) for program_id in program_ids}
        stored = self.stored(program_ids)
        found = audit(
            acknowledged=load.acknowledged, stored=stored, totals=totals, expected_extra=load.given_up
        )
        return found, set(stored)

    def _entries(self, program_id: str) -> Iterable[Entry]:
        for bucket in (*bucket_names(program_id), packs_bucket(program_id)):
            for item in self._query(self._file.events_table, "bucket", bucket):
                yield from entries_of(item)

    def _query(self, table: str, key: str, value: str) -> list[Any]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="#key = :value",
            ExpressionAttributeNames={"#key": key},
            ExpressionAttributeValues={":value": {"S": value}},
            ConsistentRead=True,
        )
        return [item for page in pages for item in page["Items"]]

    def _body(self, key: str) -> bytes:
        body: bytes = self._s3.get_object(Bucket=self._file.failed_events_bucket, Key=key)["Body"].read()
        return body
