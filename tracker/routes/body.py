"""The body of a request."""

from sanic import Request

from schemas.errors import UnsupportedMediaTypeError


def read_body(request: Request) -> bytes:
    """The body as it was sent, taken out of the request: it is not held while an answer waits.

    Raises UnsupportedMediaTypeError for a compressed one: a limit on what was sent is none on what
    it unpacks to.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise UnsupportedMediaTypeError("a body is sent without Content-Encoding")
    body, request.body = request.body, b""
    return body
