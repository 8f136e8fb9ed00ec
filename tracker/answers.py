"""HTTP answers: JSON bodies, problems, compression when asked for."""

import gzip
import zlib
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from sanic import Request
from sanic.http import Http
from sanic.response import HTTPResponse

from schemas.errors import RateLimitedError, TrackerError, UnauthorizedError, UnavailableError

JSON = "application/json"
PROBLEM = "application/problem+json"

_FASTEST = 1
_SMALL_BYTES = 4_096
_SMALL_GZIP = 16 + 12
"""What zlib takes for a gzip header, and for a window of 2 ** 12 bytes."""
_SMALL_MEMORY = 4
_encoder = msgspec.json.Encoder()


class Problem(msgspec.Struct, frozen=True):
    """An error as RFC 9457 has it; `reason` is from the closed set in schemas/errors.py."""

    title: str
    status: int
    reason: str
    detail: str
    type: str = "about:blank"


class Reply(NamedTuple):
    """What is said to a client, over whichever connection."""

    status: int
    content_type: str
    headers: dict[str, str]
    body: bytes


def answer(request: Request, body: object, *, status: int = 200) -> HTTPResponse:
    """`body` as JSON. Answers are about this moment, so nobody may cache them."""
    again = status in (UnavailableError.status, RateLimitedError.status)
    headers = {"retry-after": str(UnavailableError.retry_after_s)} if again else {}
    return _sent(request, Reply(status, JSON, headers, encode(body)))


def encode(body: object) -> bytes:
    """`body` as JSON."""
    return _encoder.encode(body)


def problem(request: Request, error: TrackerError) -> HTTPResponse:
    """`error` as a problem, with the headers that its status asks for."""
    return _sent(request, problem_reply(error))


def problem_reply(error: TrackerError) -> Reply:
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if isinstance(error, UnauthorizedError):
        headers["www-authenticate"] = "Bearer"
    return _problem(status=error.status, reason=error.reason, detail=str(error), headers=headers)


def plain_problem(
    request: Request, *, status: int, reason: str, detail: str, headers: dict[str, str]
) -> HTTPResponse:
    """A problem of a status that no error of ours has."""
    return _sent(request, _problem(status=status, reason=reason, detail=detail, headers=headers))


def respond(
    request: Request, body: bytes, *, status: int = 200, content_type: str | None, headers: dict[str, str]
) -> HTTPResponse:
    """`body` as it is. Nobody may cache it unless `headers` say otherwise. A task that is stopping
    sends its clients elsewhere."""
    if request.app.ctx.draining and isinstance(request.stream, Http):
        request.stream.keep_alive = False
    headers = {"cache-control": "no-store"} | headers
    return HTTPResponse(body, status=status, headers=headers, content_type=content_type)


def wants_gzip(accepted: str | None) -> bool:
    """Whether an Accept-Encoding header takes gzip (RFC 9110, 12.5.3): named, and not with q=0."""
    if not accepted:
        return False
    for coding in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in coding.split(";"))
        if name == "gzip":
            return not any(_is_refusal(parameter) for parameter in parameters)
    return False


def packed(reply: Reply, accepted: str | None) -> Reply:
    """`reply`, compressed where the client's Accept-Encoding takes it and it gets smaller by it."""
    headers = {"cache-control": "no-store", **reply.headers, "vary": "accept-encoding"}
    if wants_gzip(accepted):
        body = gzipped(reply.body)
        if len(body) < len(reply.body):
            return reply._replace(headers={**headers, "content-encoding": "gzip"}, body=body)
    return reply._replace(headers=headers)


def gzipped(body: bytes) -> bytes:
    """`body` as gzip. To make room for zlib's usual window takes ten times as long as to compress a small
    answer, so such a one gets a small window."""
    if len(body) > _SMALL_BYTES:
        return gzip.compress(body, _FASTEST, mtime=0)
    compressor = zlib.compressobj(_FASTEST, zlib.DEFLATED, _SMALL_GZIP, _SMALL_MEMORY)
    return compressor.compress(body) + compressor.flush()


def _problem(*, status: int, reason: str, detail: str, headers: dict[str, str]) -> Reply:
    body = Problem(title=HTTPStatus(status).phrase, status=status, reason=reason, detail=detail)
    return Reply(status, PROBLEM, headers, encode(body))


def _sent(request: Request, reply: Reply) -> HTTPResponse:
    status, content_type, headers, body = packed(reply, request.headers.get("accept-encoding"))
    return respond(request, body, status=status, content_type=content_type, headers=headers)


def _is_refusal(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip("0. ")
