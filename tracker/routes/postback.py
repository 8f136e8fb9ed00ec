"""`/postback/{programId}`: a partner's server reports a conversion, signed."""

from typing import Annotated
from urllib.parse import parse_qsl
from uuid import UUID, uuid5

import msgspec
from msgspec import Meta
from msgspec.structs import replace
from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from schemas.errors import MalformedError, UnsupportedMediaTypeError
from schemas.events import Event
from tracker.answers import answer
from tracker.requests import EventRequest, Identifier, media_type
from tracker.routes.body import read_body
from tracker.routes.events import Reason
from tracker.routes.programs import checked
from tracker.sender import Sender
from tracker.services import services_of
from tracker.signatures import postback_text

FORM = "application/x-www-form-urlencoded"
PARAMETERS_MAX = 32
NAMESPACE = UUID("7d2f5a8e-6c1b-4e0f-9a53-2b8c4d6e1f70")
"""Of the message ids that are made of transactions: RFC 9562's version 5."""

postback = Blueprint("postback")


class PostbackRequest(EventRequest, frozen=True, kw_only=True, rename="camel", gc=False):
    """A conversion of a click or a visitor. `transaction` is the partner's own id of it: the same one
    is stored once. `timestamp` is when it was signed, in epoch seconds."""

    transaction: Identifier
    timestamp: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    signature: Annotated[str, Meta(max_length=256)] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.click_id is None and self.visitor is None:
            raise ValueError("a conversion has a clickId or a visitor")


class PostbackAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The conversion as it is known here, and `reason` where it does not count."""

    program_id: str
    transaction: str
    message_id: UUID
    valid: bool
    reason: Reason | None = None


@postback.get("/postback/<program_id>", name="get_postback")
@postback.post("/postback/<program_id>", name="post_postback")
async def report(request: Request, program_id: str) -> HTTPResponse:
    """200 once the conversion is acknowledged; to a repeated call the same as to the first.

    Whose server calls is the partner's matter: nothing of the caller is taken for the visitor's.
    """
    services = services_of(request)
    parameters = read_parameters(request)
    asked = _decoded(parameters)
    program = await services.programs.get(checked(program_id))
    services.signatures.check(program, postback_text(program_id, parameters), asked.signature)
    services.signatures.check_time(asked.timestamp)
    tracked = await services.tracking.track(program_id, _as_conversion(program_id, asked), Sender())
    return answer(request, _postback_answer(tracked.event, asked.transaction))


def read_parameters(request: Request) -> dict[str, str]:
    """Those of the query and of a form together. Raises MalformedError for a name that comes twice:
    who signed it and who reads it could each mean another one."""
    pairs = _pairs(request.query_string.encode()) + _pairs(_form(request))
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise MalformedError("a parameter is given twice")
    return parameters


def _form(request: Request) -> bytes:
    body = read_body(request)
    if body and media_type(request.headers.get("content-type")) != FORM:
        raise UnsupportedMediaTypeError(f"a postback is a query or {FORM}")
    return body


def _pairs(data: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            data.decode(), keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX
        )
    except ValueError as error:
        raise MalformedError(f"the parameters cannot be read: {error}") from error


def _decoded(parameters: dict[str, str]) -> PostbackRequest:
    try:
        return msgspec.convert(parameters, PostbackRequest, strict=False)
    except msgspec.ValidationError as error:
        raise MalformedError(str(error)) from error


def _as_conversion(program_id: str, asked: PostbackRequest) -> EventRequest:
    message_id = uuid5(NAMESPACE, f"{program_id}/{asked.transaction}")
    return replace(asked, kind="conversion", message_id=message_id)


def _postback_answer(event: Event, transaction: str) -> PostbackAnswer:
    return PostbackAnswer(
        program_id=event.program.program_id,
        transaction=transaction,
        message_id=event.message_id,
        valid=event.valid,
        reason=event.reason,
    )
