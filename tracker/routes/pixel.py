"""`/pixel/{programId}.gif`: an event from a page or a mail that can only show an image."""

import logging

from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from schemas.errors import TrackerError
from tracker.answers import respond
from tracker.requests import decode_query
from tracker.routes.senders import cookie_of, sender_of
from tracker.services import services_of

OUTCOME = "x-outcome"
NOT_STORED = "not_stored"
"""The outcome of a HEAD: a look at the image, which shows nothing to anybody."""

GIF = bytes.fromhex(
    "474946383961 0100 0100 80 00 00"  # GIF89a, 1 x 1, a table of two colours
    "000000 000000"
    "21f9 04 01 0000 00 00"  # the first colour is transparent
    "2c 0000 0000 0100 0100 00"
    "02 02 4401 00"  # one pixel of it
    "3b"
)
_HEADERS = {"cross-origin-resource-policy": "cross-origin", "x-content-type-options": "nosniff"}

pixel = Blueprint("pixel")
log = logging.getLogger(__name__)


@pixel.get("/pixel/<image>")
async def get_pixel(request: Request, image: str) -> HTTPResponse:
    """Always the image, with 200: a browser shows any error as a broken one. What became of the event
    is in `x-outcome`: `accepted`, or the reason why it does not count or was not taken."""
    asked = decode_query(request.get_query_args())
    sender = sender_of(request, keeps_cookies=True)
    tracked = await services_of(request).tracking.track(image.removesuffix(".gif"), asked, sender)
    return _image(request, tracked.event.reason or "accepted", **cookie_of(request, tracked))


@pixel.head("/pixel/<image>")
async def head_pixel(request: Request, image: str) -> HTTPResponse:
    return _image(request, NOT_STORED)


@pixel.exception(Exception)  # type: ignore[untyped-decorator]
async def on_error(request: Request, error: Exception) -> HTTPResponse:
    if isinstance(error, TrackerError):
        return _image(request, error.reason)
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return _image(request, TrackerError.reason)


def _image(request: Request, outcome: str, **headers: str) -> HTTPResponse:
    return respond(request, GIF, content_type="image/gif", headers=_HEADERS | headers | {OUTCOME: outcome})
