"""Sends changes of core data into the update stream: the one way in."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from schemas.errors import UpdateStreamUnavailableError
from schemas.updates import Update, encode_update
from workers.runtime.backoff import backoff_s

FIRST_RETRY_S = 0.05
MOST_RETRY_S = 1.0


class Kinesis(Protocol):
    """What updates ask of a Kinesis client."""

    async def put_records(self, **request: Any) -> dict[str, Any]: ...


class Updates:
    """Puts updates on the stream, keyed by program, so that each program keeps its order."""

    def __init__(self, kinesis: Kinesis, *, stream: str, timeout_ms: int) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._timeout_s = timeout_ms / 1000

    async def send(self, updates: Sequence[Update]) -> None:
        """Returns once Kinesis confirmed every update; at most 500, of different programs.

        Raises UpdateStreamUnavailableError after the timeout: some may have landed, and sending
        them again is harmless.
        """
        records = [{"PartitionKey": update.key, "Data": encode_update(update)} for update in updates]
        waits = backoff_s(first_s=FIRST_RETRY_S, most_s=MOST_RETRY_S)
        try:
            async with asyncio.timeout(self._timeout_s):
                for wait_s in waits:
                    records = await self._refused(records)
                    if not records:
                        return
                    await asyncio.sleep(wait_s)
        except TimeoutError as error:
            raise UpdateStreamUnavailableError("the update stream did not confirm the change") from error

    async def _refused(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            answer = await self._kinesis.put_records(StreamName=self._stream, Records=records)
        except (ClientError, BotoCoreError):
            return records
        return [
            record
            for record, result in zip(records, answer["Records"], strict=True)
            if result.get("ErrorCode")
        ]
