"""HTTP answers: JSON bodies, problems, compression when asked for."""

import gzip
from http import HTTPStatus

import msgspec
from sanic import Request
from sanic.http import Http
from sanic.response import HTTPResponse

from schemas.errors import RateLimitedError, TrackerError, UnauthorizedError, UnavailableError

JSON = "application/json"
PROBLEM = "application/problem+json"

_FASTEST = 1
_encoder = msgspec.json.Encoder()


class Problem(msgspec.Struct, frozen=True):
    """An error as RFC 9457 has it; `reason` is from the closed set in schemas/errors.py."""

    title: str
    status: int
    reason: str
    detail: str
    type: str = "about:blank"


def answer(request: Request, body: object, *, status: int = 200) -> HTTPResponse:
    """`body` as JSON. Answers are about this moment, so nobody may cache them."""
    again = status in (UnavailableError.status, RateLimitedError.status)
    headers = {"retry-after": str(UnavailableError.retry_after_s)} if again else {}
    return _packed(request, _encoder.encode(body), status=status, content_type=JSON, headers=headers)


def problem(request: Request, error: TrackerError) -> HTTPResponse:
    """`error` as a problem, with the headers that its status asks for."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if isinstance(error, UnauthorizedError):
        headers["www-authenticate"] = "Bearer"
    return plain_problem(
        request, status=error.status, reason=error.reason, detail=str(error), headers=headers
    )


def plain_problem(
    request: Request, *, status: int, reason: str, detail: str, headers: dict[str, str]
) -> HTTPResponse:
    """A problem of a status that no error of ours has."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, reason=reason, detail=detail)
    return _packed(request, _encoder.encode(body), status=status, content_type=PROBLEM, headers=headers)


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


def _packed(
    request: Request, body: bytes, *, status: int, content_type: str, headers: dict[str, str]
) -> HTTPResponse:
    headers["vary"] = "accept-encoding"
    if wants_gzip(request.headers.get("accept-encoding")):
        packed = gzip.compress(body, _FASTEST, mtime=0)
        if len(packed) < len(body):
            headers["content-encoding"] = "gzip"
            body = packed
    return respond(request, body, status=status, content_type=content_type, headers=headers)


def _is_refusal(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip("0. ")
