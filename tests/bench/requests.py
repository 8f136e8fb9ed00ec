"""Requests as a load balancer hands them on: each from an address of its own, with a trace of its own."""

import json
from collections.abc import Callable, Iterable

import msgspec

HOPS = 1
"""Proxies that a request has passed."""
ITEMS = 100
"""Of a batch."""
POOL = 1_000
"""Requests that are made before a round and sent in turn."""
FIRST_PROGRAM = 212_313
USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)


def gets(programs: int, *, gzip: bool = False) -> Iterable[bytes]:
    """Views of `programs` programs in turn."""
    extra = "Accept-Encoding: gzip, deflate, br\r\n" if gzip else ""
    return (
        f"GET /event/{FIRST_PROGRAM + number % programs} HTTP/1.1\r\n{_headers(number)}{extra}\r\n".encode()
        for number in range(max(programs, POOL))
    )


def clicks() -> Iterable[bytes]:
    return (
        f"GET /click/{FIRST_PROGRAM}?visitor=v{number} HTTP/1.1\r\n{_headers(number)}\r\n".encode()
        for number in range(POOL)
    )


def health() -> Iterable[bytes]:
    return [b"GET /health/live HTTP/1.1\r\nHost: tracker\r\n\r\n"]


def batches(content_type: str) -> Iterable[bytes]:
    """Batches as a page's library sends them: a view of a program by a visitor, where it was."""
    encode = _ENCODERS[content_type]
    for number in range(POOL // 10):
        body = encode(batch_items(number))
        head = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        yield f"POST /events HTTP/1.1\r\n{_headers(number)}{head}\r\n".encode() + body


def batch_items(number: int) -> list[dict[str, object]]:
    """What the batch of that number holds."""
    return [_item(number * ITEMS + place) for place in range(ITEMS)]


def _item(number: int) -> dict[str, object]:
    return {
        "programId": str(FIRST_PROGRAM + number % 3),
        "kind": "view",
        "visitor": f"visitor-{number:08}",
        "referrer": f"https://news.example/articles/{number}",
    }


def _headers(number: int) -> str:
    address = f"198.51.{number // 250 % 250}.{number % 250}"
    return (
        f"X-Forwarded-For: {address}\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n"
        f"Host: track.example\r\nX-Amzn-Trace-Id: Root=1-69260000-{number:024x}\r\n"
        f"User-Agent: {USER_AGENT}\r\nAccept: */*\r\n"
    )


def _json_lines(items: list[dict[str, object]]) -> bytes:
    return b"\n".join(json.dumps(item, separators=(",", ":")).encode() for item in items)


_ENCODERS: dict[str, Callable[[list[dict[str, object]]], bytes]] = {
    "application/json": msgspec.json.encode,
    "application/x-ndjson": _json_lines,
    "application/msgpack": msgspec.msgpack.encode,
}

KINDS: dict[str, Callable[[int], Iterable[bytes]]] = {
    "get": gets,
    "get-gzip": lambda programs: gets(programs, gzip=True),
    "click": lambda _: clicks(),
    "health": lambda _: health(),
    "json": lambda _: batches("application/json"),
    "ndjson": lambda _: batches("application/x-ndjson"),
    "msgpack": lambda _: batches("application/msgpack"),
}
EVENTS = {"json": ITEMS, "ndjson": ITEMS, "msgpack": ITEMS}
"""Of one request of a kind, where there are several."""
