"""The fast lane: plain views (tracker.plain) are answered in their connection, past Sanic and its tasks.

What it answers is what `tracker.routes.events` answers; what it cannot answer at once, since the program
has to be read first, it leaves to that. An answer waits for nothing but its event's acknowledgement.
"""

import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl

from sanic.cookies.request import CookieRequestParameters, parse_cookie

from schemas.errors import TrackerError
from tracker.answers import JSON, Reply, encode, packed, problem_reply
from tracker.events import traces_of
from tracker.metrics import Answered, Answers
from tracker.plain import PlainRequest, read_plain
from tracker.requests import EventRequest, decode_query
from tracker.routes.events import event_answer
from tracker.sender import Sender, read_sender
from tracker.services import Services

ROUTE = "event/<program_id:str>"
"""As Sanic names it."""
_OK = Answered("GET", ROUTE, 200)
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncache-control: no-store\r\nvary: accept-encoding\r\n"
    b"content-type: application/json\r\nconnection: keep-alive\r\ncontent-length: %d\r\n\r\n"
)
_VIEW = EventRequest()

log = logging.getLogger(__name__)


class Line(Protocol):
    """The connection that a request came on."""

    @property
    def peer(self) -> str: ...

    def answer(self, data: bytes) -> None:
        """Once for each request taken."""


class View:
    """A view on its way: waits for its event's acknowledgement, and is answered then."""

    __slots__ = ("_done", "_gave_up", "_lane", "asked", "began_s", "body", "line", "reason", "request")

    def __init__(self, lane: "FastLane", line: Line, request: PlainRequest, asked: EventRequest) -> None:
        self._lane = lane
        self._done = self._gave_up = False
        self.line = line
        self.request = request
        self.asked = asked
        self.began_s = time.perf_counter()
        self.reason: str | None = None
        self.body = b""
        """What is answered once it is acknowledged."""

    def cancelled(self) -> bool:
        return self._gave_up

    def done(self) -> bool:
        return self._done

    def set_result(self, _: None) -> None:
        self._done = True
        self._lane.accept(self)

    def set_exception(self, error: Exception) -> None:
        self._done = self._gave_up = True
        self._lane.refuse(self, error)


class FastLane:
    """One for a task's connections."""

    def __init__(self, services: Services, answers: Answers, *, is_draining: Callable[[], bool]) -> None:
        self._tracking = services.tracking
        self._visitor_cookie = services.settings.visitor_cookie
        self._proxy_hops = services.settings.proxy_hops
        self._header_max_bytes = services.settings.header_max_bytes
        self._answers = answers
        self._is_draining = is_draining

    def take(self, data: bytes, line: Line) -> bool:
        """Answers the request that `data` is, now or later; False where it is for Sanic."""
        if len(data) > self._header_max_bytes or self._is_draining():
            return False
        request = read_plain(data)
        return request is not None and self._answered(request, line)

    def accept(self, view: View) -> None:
        """The view's event is acknowledged."""
        self._tracking.accepted(view.asked.kind, view.reason, began_s=view.began_s)
        if "accept-encoding" in view.request.headers or self._is_draining():
            self._say(view.request, view.line, Reply(200, JSON, {}, view.body))
        else:
            self._answers[_OK] += 1
            view.line.answer(_HEAD % len(view.body) + view.body)

    def refuse(self, view: View, error: Exception) -> None:
        """The view's event was not taken, or may not have been."""
        refusal = error if isinstance(error, TrackerError) else TrackerError(str(error))
        self._tracking.count(view.asked.kind, refusal.reason)
        self._say(view.request, view.line, problem_reply(refusal))

    def _answered(self, request: PlainRequest, line: Line) -> bool:
        try:
            asked = decode_query(parse_qsl(request.query, errors="replace")) if request.query else _VIEW
            return self._track(View(self, line, request, asked))
        except TrackerError as error:
            self._say(request, line, problem_reply(error))
        except Exception as error:
            log.error("GET /event failed", exc_info=error)
            self._say(request, line, problem_reply(TrackerError("this is our fault; it has been logged")))
        return True

    def _track(self, view: View) -> bool:
        sender = self._sender(view.request, view.line)
        try:
            tracked = self._tracking.make(view.request.program_id, view.asked, sender)
            if tracked is None:
                return False
            view.reason = tracked.event.reason
            view.body = encode(
                event_answer(tracked.event, user_agent=traces_of(view.asked, sender).user_agent)
            )
            self._tracking.send(tracked, view)
        except TrackerError as error:
            self.refuse(view, error)
        return True

    def _sender(self, request: PlainRequest, line: Line) -> Sender:
        cookies = request.headers.get("cookie")
        named = CookieRequestParameters(parse_cookie(cookies)) if cookies else {}
        return read_sender(
            request.headers,
            peer=line.peer,
            cookie=named.get(self._visitor_cookie),
            proxy_hops=self._proxy_hops,
        )

    def _say(self, request: PlainRequest, line: Line, reply: Reply) -> None:
        self._answers[Answered("GET", ROUTE, reply.status)] += 1
        line.answer(self._with_head(packed(reply, request.headers.get("accept-encoding"))))

    def _with_head(self, reply: Reply) -> bytes:
        headers = {
            **reply.headers,
            "content-type": reply.content_type,
            "connection": "close" if self._is_draining() else "keep-alive",
            "content-length": str(len(reply.body)),
        }
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + reply.body
