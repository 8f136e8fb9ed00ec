"""The API: a row for each method of each path, in README's order. `/openapi.json` is made of it."""

from decimal import Decimal
from uuid import UUID

from schemas.errors import (
    BufferFullError,
    CoreDataUnavailableError,
    DrainingError,
    EventNotFoundError,
    EventsUnavailableError,
    ExpiredSignatureError,
    NotAcknowledgedError,
    NotConfiguredError,
    OriginError,
    ProgramNotFoundError,
    RateLimitedError,
    SignatureError,
    TooManyWatchersError,
    UnsupportedMediaTypeError,
    UpdateStreamUnavailableError,
)
from schemas.programs import PublicProgram, Totals
from tracker.answers import JSON
from tracker.changes import Change
from tracker.openapi import MESSAGE_ID, PROGRAM_ID, Answer, Body, Errors, Operation
from tracker.requests import EventRequest
from tracker.routes.cache import SAMPLES, FillAnswer, PurgeAnswer
from tracker.routes.click import ClickRequest
from tracker.routes.events import Accepted, BatchAnswer, EventAnswer, Rejected
from tracker.routes.health import HealthAnswer
from tracker.routes.live import PARTS, StreamQuery
from tracker.routes.postback import PostbackAnswer, PostbackRequest
from tracker.routes.programs import ChangeQuery, KeyAnswer, PageAnswer, PageQuery, ProgramAnswer, ProgramBody
from tracker.routes.stored import EventQuery, EventsAnswer, EventsQuery, StoredEventAnswer

MSGPACK = "application/msgpack"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"

_VERSION = 1_795_477_946_559_466
_RECEIVED_AT_MS = 1_795_477_946_560
_TAKING: Errors = (
    RateLimitedError,
    BufferFullError,
    NotAcknowledgedError,
    DrainingError,
    CoreDataUnavailableError,
)
_CHANGING: Errors = (UpdateStreamUnavailableError,)

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
_PROGRAM = ProgramAnswer(
    PublicProgram(
        program_id=PROGRAM_ID,
        name="program2",
        customer_id=9124,
        customer_name="Customer2",
        checksum="124",
        version=_VERSION,
        written_version=_VERSION,
    ),
    Totals(views=5, clicks=3, conversions=2, invalid=1),
)
_CHANGED = Change(program_id=PROGRAM_ID, version=_VERSION, applied=True)
_SENT = Change(program_id=PROGRAM_ID, version=_VERSION, applied=False)
_CHANGE_ANSWERS = {
    200: Answer(meaning="this task has applied it", example=_CHANGED),
    202: Answer(meaning="on its way", example=_SENT),
}
_FILL_ANSWERS = {
    200: Answer(
        meaning="this task has applied all",
        example=FillAnswer([Change(program_id=each, version=_VERSION, applied=True) for each in SAMPLES]),
    ),
    202: Answer(meaning="on their way", example=FillAnswer([_SENT])),
}
_PURGE_ANSWERS = {
    200: Answer(meaning="this task's memory is empty", example=PurgeAnswer(_VERSION, True)),
    202: Answer(meaning="on its way", example=PurgeAnswer(_VERSION, False)),
}
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
_KEY = KeyAnswer(PROGRAM_ID, 0, "f8fff3ee0af2f50527c1b25c2665d44c1fc2764add3110871ddb9d5e4b1ab1f4")
_TAGGED = {"ETag": "of the script as it is now"}

_AGAIN_HEADER = {"Retry-After": "seconds after which to load it again"}


def _page(meaning: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(meaning=f"a page: {meaning}", media_type="text/html", headers=_OUTCOME | (headers or {}))


OPERATIONS = (
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
    Operation(
        name="getProgram",
        method="GET",
        path="/programs/{programId}",
        summary="Core data of a program, with live totals",
        answers={200: Answer(meaning="as this task knows it", example=_PROGRAM)},
        errors=(ProgramNotFoundError, CoreDataUnavailableError),
    ),
    Operation(
        name="listPrograms",
        method="GET",
        path="/programs",
        summary="Programs page by page, in no particular order",
        query=PageQuery(limit=10),
        answers={200: Answer(meaning="a page", example=PageAnswer([_PROGRAM], None))},
        errors=(CoreDataUnavailableError,),
    ),
    Operation(
        name="getProgramKey",
        method="GET",
        path="/programs/{programId}/key",
        summary="The key that the program's partners sign with",
        answers={200: Answer(meaning="of this version", example=_KEY)},
        errors=(ProgramNotFoundError, CoreDataUnavailableError, NotConfiguredError),
        admin=True,
    ),
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
    Operation(
        name="putProgram",
        method="PUT",
        path="/programs/{programId}",
        summary="Makes a program what the body says, known or not",
        query=ChangeQuery(wait=True),
        body=Body(
            kind=ProgramBody,
            example=ProgramBody(
                name="Autumn sale", customer_id=9124, customer_name="Customer2", checksum="124"
            ),
        ),
        answers=_CHANGE_ANSWERS,
        errors=_CHANGING,
        admin=True,
    ),
    Operation(
        name="deleteProgram",
        method="DELETE",
        path="/programs/{programId}",
        summary="Removes a program, known or not",
        query=ChangeQuery(wait=True),
        answers=_CHANGE_ANSWERS,
        errors=(ProgramNotFoundError, *_CHANGING),
        admin=True,
    ),
    *(
        Operation(
            name=f"{method.lower()}CacheFill",
            method=method,
            path="/cache/fill",
            summary="Loads the sample programs through the update stream",
            answers=_FILL_ANSWERS,
            errors=_CHANGING,
            admin=True,
        )
        for method in ("GET", "POST")
    ),
    *(
        Operation(
            name=f"{method.lower()}CachePurge",
            method=method,
            path="/cache/purge",
            summary="Empties Redis's program keys and every task's memory",
            answers=_PURGE_ANSWERS,
            errors=_CHANGING,
            admin=True,
        )
        for method in ("GET", "POST")
    ),
    Operation(
        name="getHealthLive",
        method="GET",
        path="/health/live",
        summary="Whether this task lives",
        answers={200: Answer(meaning="it does", example=HealthAnswer("alive"))},
    ),
    *(
        Operation(
            name=f"getHealth{path.capitalize()}",
            method="GET",
            path=f"/health/{path}",
            summary="Whether this task takes events",
            answers={200: Answer(meaning="it does", example=HealthAnswer("ready"))},
            errors=(DrainingError,),
        )
        for path in ("ready", "check")
    ),
    Operation(
        name="getFront",
        method="GET",
        path="/",
        summary="The way to the page",
        answers={
            302: Answer(meaning="to `/live`", media_type=None, headers={"Location": "the page, always"})
        },
    ),
    Operation(
        name="getLive",
        method="GET",
        path="/live",
        summary="The page that shows what happens as it happens",
        answers={
            200: Answer(meaning="the page", media_type="text/html", headers=_TAGGED),
            304: Answer(meaning="the page that you have", media_type=None, headers=_TAGGED),
        },
    ),
    *(
        Operation(
            name=f"getLive{name.title().replace('.', '')}",
            method="GET",
            path=f"/live/{name}",
            summary="A part of the page",
            answers={
                200: Answer(
                    meaning="the part", media_type=part.content_type.partition(";")[0], headers=_TAGGED
                ),
                304: Answer(meaning="the part that you have", media_type=None, headers=_TAGGED),
            },
        )
        for name, part in PARTS.items()
    ),
    Operation(
        name="getLiveStream",
        method="GET",
        path="/live/stream",
        summary="What this task knows, and each change of it, as server-sent events: docs/live-updates.md",
        query=StreamQuery(once=True),
        answers={
            200: Answer(
                meaning="without `once`, until the client leaves or the task stops",
                example="event: snapshot",
                media_type="text/event-stream",
            )
        },
        errors=(TooManyWatchersError, DrainingError),
    ),
    Operation(
        name="getOpenapi",
        method="GET",
        path="/openapi.json",
        summary="This document",
        answers={200: Answer(meaning="OpenAPI 3.1", example={"openapi": "3.1.0"})},
    ),
    Operation(
        name="getDocs",
        method="GET",
        path="/docs",
        summary="This document as a page",
        answers={200: Answer(meaning="a page", media_type="text/html")},
    ),
    Operation(
        name="getMetrics",
        method="GET",
        path="/metrics",
        summary="This task's state, for Prometheus",
        answers={
            200: Answer(
                meaning="Prometheus text format", example="tracker_link_up 1.0", media_type="text/plain"
            )
        },
    ),
)
