"""`/live`: the page that shows what is known now, and the stream of server-sent events that it reads."""

import asyncio
import logging
from contextlib import aclosing
from typing import cast

import msgspec
from sanic import Blueprint, Request
from sanic.response import HTTPResponse, empty

from tracker.assets import Asset, load_asset, send_asset
from tracker.routes.query import read_query
from tracker.services import services_of

EVENT_STREAM = "text/event-stream; charset=utf-8"
PAGE = load_asset("live/index.html", "text/html; charset=utf-8")
PARTS = {
    name: load_asset(f"live/{name}", content_type)
    for content_type, names in {
        "text/css; charset=utf-8": ("style.css",),
        "image/svg+xml": ("icon.svg",),
        "text/javascript; charset=utf-8": (
            "main.js",
            "stream.js",
            "pace.js",
            "model.js",
            "format.js",
            "chart.js",
            "table.js",
            "detail.js",
            "side.js",
            "readers.js",
            "admin.js",
        ),
    }.items()
    for name in names
}
"""What the page loads, by name."""
_PAGE_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no", "x-content-type-options": "nosniff"}

log = logging.getLogger(__name__)
live = Blueprint("live")


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader chooses: to be told all there is `once`, and no more."""

    once: bool = False


@live.get("/")
async def get_front(request: Request) -> HTTPResponse:
    """Whoever comes with a browser wants to see it."""
    return empty(status=302, headers={"location": "/live"})


@live.get("/live")
async def get_page(request: Request) -> HTTPResponse:
    """304 to a browser that has it already, as for each of its parts."""
    return send_asset(request, PAGE, _PAGE_HEADERS)


def _add_part(name: str, asset: Asset) -> None:
    async def get_part(request: Request) -> HTTPResponse:
        return send_asset(request, asset, _PAGE_HEADERS)

    live.add_route(get_part, f"/live/{name}", name=name.replace(".", "_"))


for _part in PARTS.items():
    _add_part(*_part)


@live.get("/live/stream")
async def get_stream(request: Request) -> None:
    """Goes on where `Last-Event-ID` says, if that is still known. Drops who does not read."""
    services = services_of(request)
    query = read_query(request, StreamQuery)
    last_id = request.headers.get("last-event-id")
    with services.live.watching():
        response = await request.respond(content_type=EVENT_STREAM, headers=_HEADERS)
        async with aclosing(services.live.stream(last_id, once=query.once)) as stream:
            try:
                async for data in stream:
                    async with asyncio.timeout(services.settings.live_send_timeout_ms / 1000):
                        await response.send(data)
            except TimeoutError:
                log.info("a reader of /live/stream did not read, and is dropped")
                cast(asyncio.Transport, request.transport).abort()
                return
        await response.eof()
