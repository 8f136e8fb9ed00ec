"""The ways in: how events come, one or many, from whom."""

from decimal import Decimal
from uuid import UUID

from schemas.errors import (
    BufferFullError,
    CoreDataUnavailableError,
    DrainingError,
    ExpiredSignatureError,
    NotAcknowledgedError,
    NotConfiguredError,
    OriginError,
    ProgramNotFoundError,
    RateLimitedError,
    SignatureError,
    UnsupportedMediaTypeError,
)
from tracker.answers import JSON
from tracker.openapi import MESSAGE_ID, PROGRAM_ID, Answer, Body, Errors, Operation
from tracker.requests import EventRequest
from tracker.routes.click import ClickRequest
from tracker.routes.events import Accepted, BatchAnswer, EventAnswer, Rejected
from tracker.routes.postback import PostbackAnswer, PostbackRequest

MSGPACK = "application/msgpack"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"
_TAKING: Errors = (
    RateLimitedError,
    BufferFullError,
    NotAcknowledgedError,
    DrainingError,
    CoreDataUnavailableError,
)
_EVENT = EventAnswer(
    user_agent="curl/8.5.0",
    program_id=PROGRAM_ID,
    program_name="program2",
    checksum="124",
    customer_id=9124,
    customer_name="Customer2",
    message_id=MESSAGE_ID,
    valid=True,
)
_BATCH = BatchAnswer(
    accepted=1,
    rejected=1,
    results=[Accepted(index=0, message_id=MESSAGE_ID, valid=False, reason="bad_checksum")],
    errors=[Rejected(index=1, reason="program_not_found", detail="program nosuch is not known")],
)
_AGAIN = BatchAnswer(
    accepted=0,
    rejected=1,
    results=[],
    errors=[Rejected(index=0, reason="buffer_full", detail="no room for 700 bytes more")],
)
_FOREIGN = BatchAnswer(
    accepted=0,
    rejected=1,
    results=[],
    errors=[
        Rejected(
            index=0,
            reason="origin_not_allowed",
            detail="program 212313 takes no events from pages of this origin",
        )
    ],
)
_SLOWER = BatchAnswer(
    accepted=0,
    rejected=1,
    results=[],
    errors=[Rejected(index=0, reason="rate_limited", detail="more than 10 events a second of this program")],
)
_IMAGE = Answer(
    meaning="one transparent pixel",
    media_type="image/gif",
    headers={"X-Outcome": "`accepted`, or the `reason` why the event does not count or was not taken"},
)
_OUTCOME = {"X-Outcome": "`accepted`, `no_destination`, or the `reason` as of an image"}
_POSTBACK = PostbackAnswer(
    program_id=PROGRAM_ID,
    transaction="order-1",
    message_id=UUID("3cf4c7a3-b3f8-545a-a9bc-b97717d99f6e"),
    valid=True,
)
_TAGGED = {"ETag": "of the script as it is now"}
_AGAIN_HEADER = {"Retry-After": "seconds after which to load it again"}


def _page(meaning: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(meaning=f"a page: {meaning}", media_type="text/html", headers=_OUTCOME | (headers or {}))


WAYS_IN: tuple[Operation, ...] = (
    Operation(
        name="getEvent",
        method="GET",
        path="/event/{programId}",
        summary="An event, given as a query; a plain view without one",
        query=EventRequest(kind="click", message_id=MESSAGE_ID, visitor="v1"),
        answers={200: Answer(meaning="durable, and whether it counts", example=_EVENT)},
        errors=(ProgramNotFoundError, OriginError, *_TAKING),
    ),
    Operation(
        name="postEvent",
        method="POST",
        path="/event/{programId}",
        summary="An event, given as a body; a plain view without one",
        body=Body(
            kind=EventRequest,
            example=EventRequest(
                kind="conversion", message_id=MESSAGE_ID, value=Decimal("9.50"), currency="EUR"
            ),
            media_types=(JSON, MSGPACK),
            required=False,
        ),
        answers={200: Answer(meaning="durable, and whether it counts", example=_EVENT)},
        errors=(ProgramNotFoundError, OriginError, *_TAKING),
    ),
    Operation(
        name="postEvents",
        method="POST",
        path="/events",
        summary="A batch of events; one bad item spoils no other",
        body=Body(
            kind=list[EventRequest],
            example=[
                EventRequest(program_id=PROGRAM_ID, message_id=MESSAGE_ID, checksum="999"),
                EventRequest(program_id="nosuch"),
            ],
            media_types=(JSON, NDJSON, MSGPACK),
        ),
        answers={
            200: Answer(meaning="the fate of each item", example=_BATCH),
            429: Answer(meaning="the fate of each item; send those in `errors` again", example=_SLOWER),
            503: Answer(meaning="the fate of each item, some to be sent again", example=_AGAIN),
        },
        errors=_TAKING,
    ),
    Operation(
        name="postBeacon",
        method="POST",
        path="/beacon",
        summary="A batch of events, or one, from a page of any origin that the programs list",
        body=Body(
            kind=list[EventRequest],
            example=[
                EventRequest(program_id=PROGRAM_ID, message_id=MESSAGE_ID, checksum="999"),
                EventRequest(program_id="nosuch"),
            ],
            media_types=(JSON, TEXT),
        ),
        answers={
            200: Answer(meaning="the fate of each item", example=_BATCH),
            403: Answer(meaning="no program takes events from pages of this origin", example=_FOREIGN),
            429: Answer(meaning="the fate of each item; send those in `errors` again", example=_SLOWER),
            503: Answer(meaning="the fate of each item, some to be sent again", example=_AGAIN),
        },
        errors=(OriginError, *_TAKING),
    ),
    Operation(
        name="optionsBeacon",
        method="OPTIONS",
        path="/beacon",
        summary="What a browser asks before a page sends a body that is not text",
        answers={
            204: Answer(
                meaning="pages of any origin may ask; whether a program takes their events, POST answers",
                media_type=None,
                headers={"Access-Control-Allow-Origin": "`*`", "Access-Control-Allow-Methods": "`POST`"},
            )
        },
        problems=False,
    ),
    Operation(
        name="getPixel",
        method="GET",
        path="/pixel/{programId}.gif",
        summary="The event of an image, given as a query; an image whatever becomes of it",
        query=EventRequest(message_id=MESSAGE_ID, visitor="v1"),
        answers={200: _IMAGE},
        problems=False,
    ),
    Operation(
        name="headPixel",
        method="HEAD",
        path="/pixel/{programId}.gif",
        summary="What GET says of the image; stores no event",
        answers={200: _IMAGE},
        problems=False,
    ),
    Operation(
        name="getScript",
        method="GET",
        path="/t.js",
        summary="The script that pages send events with",
        answers={
            200: Answer(meaning="the script", media_type="text/javascript", headers=_TAGGED),
            304: Answer(meaning="the script that you have", media_type=None, headers=_TAGGED),
        },
    ),
    Operation(
        name="getClick",
        method="GET",
        path="/click/{programId}",
        summary="A click, given as a query, that leads to where the program's clicks go",
        query=ClickRequest(message_id=MESSAGE_ID, visitor="v1"),
        answers={
            404: _page("the program is not known, or its clicks go nowhere now"),
            302: Answer(
                meaning="to the program's destination, the signed `url` or the program's fallback",
                media_type=None,
                headers=_OUTCOME | {"Location": "with the click's id in it"},
            ),
            400: _page("a parameter cannot be read"),
            403: _page("`url` is not signed with the program's key, or a page that may not asks"),
            429: _page("over a limit", _AGAIN_HEADER),
            500: _page("our fault"),
            501: _page("`url` is given, and this deployment has no secret"),
            503: _page("not now", _AGAIN_HEADER),
        },
        problems=False,
    ),
    *(
        Operation(
            name=f"{method.lower()}Postback",
            method=method,
            path="/postback/{programId}",
            summary="A conversion that a partner's server reports and signs",
            query=PostbackRequest(
                transaction="order-1",
                timestamp=1_760_000_000,
                click_id="c1",
                value=Decimal("9.50"),
                currency="EUR",
                signature="IaI1FwRVQoFSg4VDjM6CJ6QOnBDBXpXSvHUl6Btaf-8",
            ),
            answers={200: Answer(meaning="durable, stored once", example=_POSTBACK)},
            errors=(
                ProgramNotFoundError,
                SignatureError,
                ExpiredSignatureError,
                UnsupportedMediaTypeError,
                NotConfiguredError,
                *_TAKING,
            ),
        )
        for method in ("GET", "POST")
    ),
)
