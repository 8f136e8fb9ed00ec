"""Stored events, for the admin."""

from schemas.errors import EventNotFoundError, EventsUnavailableError, ProgramNotFoundError
from tracker.openapi import MESSAGE_ID, PROGRAM_ID, Answer, Operation
from tracker.routes.stored import EventQuery, EventsAnswer, EventsQuery, StoredEventAnswer

_VERSION = 1_795_477_946_559_466
_RECEIVED_AT_MS = 1_795_477_946_560
_STORED = StoredEventAnswer(
    message_id=MESSAGE_ID,
    kind="click",
    received_at_ms=_RECEIVED_AT_MS,
    program_id=PROGRAM_ID,
    program_name="program2",
    customer_id=9124,
    customer_name="Customer2",
    checksum="124",
    program_version=_VERSION,
    valid=True,
    visitor="v1",
)

STORED: tuple[Operation, ...] = (
    Operation(
        name="listEvents",
        method="GET",
        path="/programs/{programId}/events",
        summary="Stored events of a program, newest first, page by page",
        query=EventsQuery(from_ms=_RECEIVED_AT_MS, limit=10),
        answers={200: Answer(meaning="a page", example=EventsAnswer([_STORED], None))},
        errors=(ProgramNotFoundError, EventsUnavailableError),
        admin=True,
    ),
    Operation(
        name="getStoredEvent",
        method="GET",
        path="/events/{messageId}",
        summary="A stored event of a program; message ids are of a program, so it must be named",
        query=EventQuery(program_id=PROGRAM_ID),
        answers={200: Answer(meaning="as it is stored", example=_STORED)},
        errors=(EventNotFoundError, EventsUnavailableError),
        admin=True,
    ),
)
