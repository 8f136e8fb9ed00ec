"""The failed-events store of stream agents: what an agent could not take, with the reason."""

import logging
from collections.abc import Callable
from traceback import format_exception
from typing import Any, Generic, Protocol, TypeVar

from schemas.errors import AgentError, TrackerError, UnavailableError
from schemas.failures import FailedRecord, encode_failed
from schemas.logs import about
from workers.runtime.clock import Clock
from workers.runtime.source import AWS_ERRORS
from workers.runtime.stream import Item, Named, Origin

T = TypeVar("T")

NAMELESS = Named()

log = logging.getLogger(__name__)


class S3(Protocol):
    """What a store of failures asks of an S3 client."""

    async def put_object(self, **request: Any) -> dict[str, Any]: ...


class FailedEvents(Generic[T]):
    """A bucket, an object each. To keep the same again overwrites it. Raises UnavailableError."""

    def __init__(
        self,
        s3: S3,
        bucket: str,
        clock: Clock,
        *,
        agent: str,
        stream: str,
        encode: Callable[[T], bytes],
        named: Callable[[T], Named],
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._clock = clock
        self._agent = agent
        self._stream = stream
        self._encode = encode
        self._named = named

    async def keep(self, item: Item[T], error: Exception) -> None:
        """Keeps an event that the agent raised on, with the traceback."""
        name = self._named(item.event)
        await self.keep_payload(self._encode(item.event), item.origin, error, name=name)

    async def keep_payload(
        self,
        payload: bytes,
        origin: Origin,
        error: Exception,
        *,
        is_whole: bool = False,
        name: Named = NAMELESS,
    ) -> None:
        """Keeps the bytes of an event, or of a whole record."""
        is_ours = isinstance(error, TrackerError) and not isinstance(error, AgentError)
        failed = FailedRecord(
            stream=self._stream,
            shard_id=origin.shard_id,
            sequence_number=origin.sequence_number,
            payload=payload,
            reason=error.reason if isinstance(error, TrackerError) else AgentError.reason,
            detail=str(error) if is_ours else "".join(format_exception(error)),
            failed_at_ms=self._clock.now_ms(),
            index=None if is_whole else origin.place,
            agent=self._agent,
            traceparent=name.traceparent,
        )
        try:
            await self._s3.put_object(
                Bucket=self._bucket,
                Key=failed.key,
                Body=encode_failed(failed),
                ContentType="application/json",
            )
        except AWS_ERRORS as failure:
            reason = str(failure) or type(failure).__name__
            raise UnavailableError(f"bucket {self._bucket}: {reason}") from failure
        log.warning("set aside %s: %s", failed.key, failed.reason, extra=about(*name))
