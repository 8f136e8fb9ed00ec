"""`/beacon`: events that pages of other origins send, `/t.js` among them."""

from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from schemas.errors import OriginError, TrackerError
from tracker.answers import answer, problem, respond
from tracker.routes.events import batch_answer, batch_status, read_items
from tracker.routes.senders import sender_of
from tracker.services import services_of

PREFLIGHT_MAX_AGE_S = 86_400
"""How long a browser remembers what it was told before it sent; browsers cut it to hours."""

READABLE = {"access-control-allow-origin": "*", "access-control-expose-headers": "retry-after"}
"""Lets a page read its answer, by the Fetch Standard's CORS protocol. It names no origin and allows no
credentials: an answer holds nothing but what became of the page's own events."""
_PREFLIGHT = READABLE | {
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": str(PREFLIGHT_MAX_AGE_S),
}

beacon = Blueprint("beacon")


@beacon.post("/beacon")
async def post_beacon(request: Request) -> HTTPResponse:
    """The same as `/events`, of JSON whatever its type is said to be: a beacon's is text, which needs no
    preflight. 403 where each of its programs refuses the page's origin; the page then reads nothing."""
    outcomes = await services_of(request).tracking.track_all(read_items(request, None), sender_of(request))
    if all(isinstance(outcome, OriginError) for outcome in outcomes):
        return answer(request, batch_answer(outcomes), status=OriginError.status)
    return _readable(answer(request, batch_answer(outcomes), status=batch_status(outcomes)))


@beacon.options("/beacon")
async def options_beacon(request: Request) -> HTTPResponse:
    """A preflight has no body and so names no program: the POST itself is what an origin is refused."""
    return respond(request, b"", status=204, content_type=None, headers=_PREFLIGHT)


@beacon.exception(TrackerError)  # type: ignore[untyped-decorator]
async def on_error(request: Request, error: TrackerError) -> HTTPResponse:
    return _readable(problem(request, error))


def _readable(response: HTTPResponse) -> HTTPResponse:
    response.headers.update(READABLE)
    return response
