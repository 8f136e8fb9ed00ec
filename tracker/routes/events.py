"""`/event/{programId}` and `/events`: events come in."""

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from schemas.errors import MalformedError, RateLimitedError, TooLargeError, TrackerError, UnavailableError
from schemas.events import Event
from schemas.programs import InvalidReason
from tracker.answers import answer
from tracker.events import traces_of
from tracker.requests import EventRequest, decode_event, decode_item, decode_query, split_batch
from tracker.routes.body import read_body
from tracker.routes.senders import sender_of
from tracker.services import services_of
from tracker.tracking import Receipt

Reason = Annotated[str, Meta(extra_json_schema={"enum": list(InvalidReason)})]

events = Blueprint("events")


class EventAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """The program as of this event, and `reason` where the event does not count."""

    user_agent: str | None
    program_id: str
    program_name: str
    checksum: str
    customer_id: int
    customer_name: str
    message_id: UUID
    valid: bool
    reason: Reason | None = None


class Accepted(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """An item of a batch that was taken, and `reason` where it does not count."""

    index: int
    message_id: UUID
    valid: bool
    reason: Reason | None = None


class Rejected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An item of a batch that was not taken, with an error's `reason`."""

    index: int
    reason: str
    detail: str


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each item: `results` and `errors` name it by its place in the batch."""

    accepted: int
    rejected: int
    results: list[Accepted]
    errors: list[Rejected]


@events.get("/event/<program_id>")
async def get_event(request: Request, program_id: str) -> HTTPResponse:
    asked = decode_query(request.get_query_args()) if request.query_string else EventRequest()
    return await _tracked(request, program_id, asked)


@events.post("/event/<program_id>")
async def post_event(request: Request, program_id: str) -> HTTPResponse:
    asked = decode_event(read_body(request), request.headers.get("content-type"))
    return await _tracked(request, program_id, asked)


@events.post("/events")
async def post_events(request: Request) -> HTTPResponse:
    """Answers 200 with the fate of each item; 503, or 429 for a limit, where one is to be sent again."""
    items = read_items(request, request.headers.get("content-type"))
    outcomes = await services_of(request).tracking.track_all(items, sender_of(request))
    return answer(request, batch_answer(outcomes), status=batch_status(outcomes))


async def _tracked(request: Request, program_id: str, asked: EventRequest) -> HTTPResponse:
    sender = sender_of(request)
    tracked = await services_of(request).tracking.track(program_id, asked, sender)
    return answer(request, event_answer(tracked.event, user_agent=traces_of(asked, sender).user_agent))


def event_answer(event: Event, *, user_agent: str | None) -> EventAnswer:
    """The client is told its own user agent, whatever of it is stored."""
    program = event.program
    return EventAnswer(
        user_agent=user_agent,
        program_id=program.program_id,
        program_name=program.name,
        checksum=program.checksum,
        customer_id=program.customer_id,
        customer_name=program.customer_name,
        message_id=event.message_id,
        valid=event.valid,
        reason=event.reason,
    )


def batch_answer(outcomes: list[Receipt | TrackerError]) -> BatchAnswer:
    results = []
    errors = []
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, TrackerError):
            errors.append(Rejected(index=index, reason=outcome.reason, detail=str(outcome)))
        else:
            message_id, valid, reason = outcome
            results.append(Accepted(index=index, message_id=message_id, valid=valid, reason=reason))
    return BatchAnswer(accepted=len(results), rejected=len(errors), results=results, errors=errors)


def batch_status(outcomes: list[Receipt | TrackerError]) -> int:
    """Asks for the whole batch again where any item needs it: what was taken is not taken twice."""
    again = [
        outcome.status for outcome in outcomes if isinstance(outcome, UnavailableError | RateLimitedError)
    ]
    return max(again, default=200)


def read_items(request: Request, content_type: str | None) -> Iterator[EventRequest | TrackerError]:
    """The items of a batch, each decoded or with what is wrong with it. Raises MalformedError or
    TooLargeError for the batch as a whole."""
    settings = services_of(request).settings
    batch = split_batch(read_body(request), content_type)
    if not batch.raw:
        raise MalformedError("the batch is empty")
    if len(batch.raw) > settings.batch_max_items:
        raise TooLargeError(f"the batch has {len(batch.raw)} of {settings.batch_max_items} items")
    return (decode_item(raw, batch.decoder, max_bytes=settings.event_max_bytes) for raw in batch.raw)
