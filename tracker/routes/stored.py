"""`/programs/{id}/events` and `/events/{messageId}`: events as they are stored, for the admin alone."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, field
from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from schemas.errors import EventNotFoundError, MalformedError
from schemas.events import Event, kind_of
from schemas.places import LATEST_MS, decode_cursor, encode_cursor
from schemas.programs import ProgramId
from tracker.answers import answer
from tracker.routes.admin import admin
from tracker.routes.events import Reason
from tracker.routes.programs import checked
from tracker.routes.query import read_query
from tracker.services import services_of
from tracker.stored import Span

PAGE_MAX = 200
PAGE_DEFAULT = 50

Moment = Annotated[int, Meta(ge=0, le=LATEST_MS)]
"""In epoch milliseconds."""

stored = Blueprint("stored")


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which events: those that came from `from` on and before `to`, at most `limit` of them, older than
    those of the page whose `cursor` is given."""

    from_ms: Moment = field(name="from", default=0)
    to_ms: Moment = field(name="to", default=LATEST_MS)
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT
    cursor: Annotated[str, Meta(max_length=64)] | None = None


class EventQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose event: message ids are of a program."""

    program_id: ProgramId


class StoredEventAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An event with the core data of its program as of then, and what may be kept of its sender."""

    message_id: UUID
    kind: str
    received_at_ms: int
    program_id: str
    program_name: str
    customer_id: int
    customer_name: str
    checksum: str
    program_version: int
    valid: bool
    reason: Reason | None = None
    user_agent: str | None = None
    referrer: str | None = None
    visitor: str | None = None
    click_id: str | None = None
    client_address: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    retention_days: int | None = None
    traceparent: str | None = None


class EventsAnswer(msgspec.Struct, frozen=True):
    """Events, newest first; `cursor` asks for older ones and is null where there are none."""

    events: list[StoredEventAnswer]
    cursor: str | None


@stored.get("/programs/<program_id>/events")
@admin
async def list_events(request: Request, program_id: str) -> HTTPResponse:
    query = read_query(request, EventsQuery)
    page = await services_of(request).stored.page(
        checked(program_id),
        span=Span(query.from_ms, query.to_ms),
        limit=query.limit,
        before=decode_cursor(query.cursor) if query.cursor is not None else None,
    )
    cursor = encode_cursor(page.last) if page.last else None
    return answer(request, EventsAnswer([_shown(event) for event in page.events], cursor))


@stored.get("/events/<message_id>")
@admin
async def get_stored_event(request: Request, message_id: str) -> HTTPResponse:
    program_id = read_query(request, EventQuery).program_id
    event = await services_of(request).stored.find(program_id, _message_id(message_id))
    if event is None:
        raise EventNotFoundError(f"program {program_id} has no stored event {message_id}")
    return answer(request, _shown(event))


def _message_id(text: str) -> UUID:
    try:
        return msgspec.convert(text, UUID)
    except msgspec.ValidationError as error:
        raise MalformedError("a message id is a UUID") from error


def _shown(event: Event) -> StoredEventAnswer:
    program = event.program
    return StoredEventAnswer(
        message_id=event.message_id,
        kind=kind_of(event),
        received_at_ms=event.received_at_ms,
        program_id=program.program_id,
        program_name=program.name,
        customer_id=program.customer_id,
        customer_name=program.customer_name,
        checksum=program.checksum,
        program_version=program.version,
        valid=event.valid,
        reason=event.reason,
        user_agent=event.user_agent,
        referrer=event.referrer,
        visitor=event.visitor,
        click_id=event.click_id,
        client_address=event.client_address,
        value=event.value,
        currency=event.currency,
        retention_days=event.retention_days,
        traceparent=event.traceparent,
    )
