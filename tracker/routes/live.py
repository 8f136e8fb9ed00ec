"""`/live/stream`: what is known now and each change of it, as server-sent events."""

import asyncio
import logging
from typing import cast

import msgspec
from sanic import Blueprint, Request

from tracker.routes.query import read_query
from tracker.services import services_of

EVENT_STREAM = "text/event-stream; charset=utf-8"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no", "x-content-type-options": "nosniff"}

log = logging.getLogger(__name__)
live = Blueprint("live")


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader chooses: to be told all there is `once`, and no more."""

    once: bool = False


@live.get("/live/stream")
async def get_stream(request: Request) -> None:
    """Goes on where `Last-Event-ID` says, if that is still known. Drops who does not read."""
    services = services_of(request)
    query = read_query(request, StreamQuery)
    with services.live.watching():
        response = await request.respond(content_type=EVENT_STREAM, headers=_HEADERS)
        async for data in services.live.stream(request.headers.get("last-event-id"), once=query.once):
            try:
                async with asyncio.timeout(services.settings.live_send_timeout_ms / 1000):
                    await response.send(data)
            except TimeoutError:
                log.info("a reader of /live/stream did not read, and is dropped")
                cast(asyncio.Transport, request.transport).abort()
                return
        await response.eof()
