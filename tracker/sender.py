"""Senders: what a request says of who sent it, before any rule of privacy."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from schemas.traces import read_traceparent
from tracker.addresses import Address, client_address
from tracker.privacy import Signals
from tracker.requests import REFERRER_MAX_CHARS, USER_AGENT_MAX_CHARS
from tracker.visitors import visitor_from_cookie

_PREFETCH = {
    "sec-purpose": "prefetch",  # Fetch Standard, "Sec-Purpose"
    "purpose": "prefetch",  # Chrome and Edge before it
    "x-purpose": "preview",  # Safari
    "x-moz": "prefetch",  # Firefox
}
"""What a browser says of a page that nobody has asked for yet, by header."""


class Headers(Protocol):
    """A request's headers, by lower-case name."""

    def get(self, name: str, /) -> str | None: ...

    def getall(self, name: str, default: Sequence[str], /) -> Sequence[str]: ...


class Sender(msgspec.Struct, frozen=True, gc=False):
    """Who sent a request. Nothing of it may be stored or logged but through tracker.privacy.

    `visitor` is its first-party cookie's. `keeps_cookies` says that the way in can give it one.
    `origin` is that of the page which sends across origins, `traceparent` the trace that it sends in.
    """

    address: Address | None = None
    user_agent: str | None = None
    referrer: str | None = None
    visitor: str | None = None
    signals: Signals = Signals()
    prefetches: bool = False
    origin: str | None = None
    keeps_cookies: bool = False
    traceparent: str | None = None


def read_sender(
    headers: Headers, *, peer: str, cookie: str | None, proxy_hops: int, keeps_cookies: bool = False
) -> Sender:
    """The sender by a request's headers, the address that its socket came from, and its cookie's value."""
    return Sender(
        address=client_address(peer, headers.getall("x-forwarded-for", ()), hops=proxy_hops),
        user_agent=_text(headers, "user-agent", USER_AGENT_MAX_CHARS),
        referrer=_text(headers, "referer", REFERRER_MAX_CHARS),
        visitor=visitor_from_cookie(cookie),
        signals=Signals(headers.get("sec-gpc") == "1", headers.get("dnt") == "1"),
        prefetches=_prefetches(headers),
        origin=headers.get("origin"),
        keeps_cookies=keeps_cookies,
        traceparent=read_traceparent(headers.get("traceparent")),
    )


def _prefetches(headers: Headers) -> bool:
    for name, word in _PREFETCH.items():  # a loop: it is asked of every request
        value = headers.get(name)
        if value is not None and _says(value, word):
            return True
    return False


def _says(value: str, word: str) -> bool:
    """Whether the value, a structured item with parameters, is `word` (`prefetch;prerender`)."""
    return value.partition(";")[0].strip().lower() == word


def _text(headers: Headers, name: str, max_chars: int) -> str | None:
    """A header as text that can be stored: cut, since it must not cost the event, and with what is
    not UTF-8 replaced, since HTTP lets any byte through."""
    value = headers.get(name)
    if value is None or value.isascii():
        return value and value[:max_chars]
    return value.encode("utf-8", "replace").decode()[:max_chars]
