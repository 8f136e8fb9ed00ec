"""`/click/{programId}`: a person follows a link to where the program's clicks go."""

import logging
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace
from sanic import Blueprint, Request
from sanic.response import HTTPResponse
from uuid_utils.compat import uuid7

from schemas.destinations import destination_problem
from schemas.errors import (
    MalformedError,
    NotFoundError,
    ProgramNotFoundError,
    RateLimitedError,
    SignatureError,
    TrackerError,
    UnavailableError,
)
from schemas.events import Event
from schemas.programs import Program, Url
from tracker.answers import respond
from tracker.destinations import fill
from tracker.events import Tracked
from tracker.pages import HEADERS, page
from tracker.requests import EventRequest
from tracker.routes.pixel import OUTCOME
from tracker.routes.programs import checked
from tracker.routes.query import read_query
from tracker.routes.senders import cookie_of, sender_of
from tracker.services import services_of

HTML = "text/html; charset=utf-8"
NOWHERE = "no_destination"

_INACTIVE = ("This link is not active", "The offer behind it has ended, is paused or has not begun.")
_PAGES: dict[type[TrackerError], tuple[str, str]] = {
    ProgramNotFoundError: ("This link leads nowhere", "The offer behind it is not there, or not any more."),
    SignatureError: ("This link is damaged", "Part of it was changed. Please ask for it again."),
    MalformedError: ("This link is damaged", "Part of it cannot be read. Please ask for it again."),
    RateLimitedError: ("Please try again", "Too many links were followed at once. Wait a few seconds."),
    UnavailableError: ("Please try again", "This link is not working at the moment. Wait a few seconds."),
    TrackerError: ("Something went wrong", "This link cannot be followed now. It is not your fault."),
}

click = Blueprint("click")
log = logging.getLogger(__name__)


class ClickRequest(EventRequest, frozen=True, kw_only=True, rename="camel", gc=False):
    """A click, and where to go instead of the program's destination, signed with the program's key."""

    url: Url | None = None
    signature: Annotated[str, Meta(max_length=256)] = ""


@click.get("/click/<program_id>")
async def get_click(request: Request, program_id: str) -> HTTPResponse:
    """302 once the click is acknowledged, to the program's destination or the signed `url`; to its
    fallback while it does not count; else a page that says so, with 404.

    A bot goes where people go, or nobody could preview the link. The visitor that a destination is
    told is the one that privacy lets be stored. Refused links are pages too, with an error's status.
    """
    services = services_of(request)
    asked = read_query(request, ClickRequest)
    program = await services.programs.get(checked(program_id))
    destination = _destination(request, program, asked)
    sender = sender_of(request, keeps_cookies=True)
    tracked = await services.tracking.track(program_id, _as_click(asked), sender)
    target = destination if tracked.counts else None
    return _redirect(request, tracked, target or program.fallback)


@click.exception(Exception)  # type: ignore[untyped-decorator]
async def on_error(request: Request, error: Exception) -> HTTPResponse:
    if not isinstance(error, TrackerError):
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        error = TrackerError()
    title, text = next(_PAGES[kind] for kind in type(error).__mro__ if kind in _PAGES)
    headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    return _page(request, title, text, status=error.status, headers=headers | {OUTCOME: error.reason})


def _destination(request: Request, program: Program, asked: ClickRequest) -> str | None:
    """Raises SignatureError for a `url` that the program's key has not signed, MalformedError for one
    that is no destination."""
    if asked.url is None:
        return program.destination
    services_of(request).signatures.check(program, asked.url, asked.signature)
    if problem := destination_problem(asked.url):
        raise MalformedError(f"url {problem}")
    return asked.url


def _as_click(asked: ClickRequest) -> EventRequest:
    """A click with an id of its own, unless it came with one."""
    message_id = asked.message_id or uuid7()
    return replace(asked, kind="click", message_id=message_id, click_id=asked.click_id or str(message_id))


def _redirect(request: Request, tracked: Tracked, target: str | None) -> HTTPResponse:
    event = tracked.event
    headers = cookie_of(request, tracked) | {OUTCOME: event.reason or "accepted"}
    if target is None:
        if tracked.counts:
            headers[OUTCOME] = NOWHERE
        return _page(request, *_INACTIVE, status=NotFoundError.status, headers=headers)
    headers["location"] = fill(target, _values(event))
    return respond(request, b"", status=302, content_type=None, headers=headers)


def _values(event: Event) -> dict[str, str | None]:
    return {"click_id": event.click_id, "program_id": event.program.program_id, "visitor": event.visitor}


def _page(request: Request, title: str, text: str, *, status: int, headers: dict[str, str]) -> HTTPResponse:
    body = page(title, text).encode()
    return respond(request, body, status=status, content_type=HTML, headers=HEADERS | headers)
