"""Places: where a stored event stands in the list of its program's events.

A place is when the event came and its message id. A UUIDv7 begins with the time at which it was made (RFC
9562, 5.7); where that is about when the event came, the id alone gives the place, and the events table's own
order is the list's. Other ids say nothing, so their items carry their place in an attribute, which an index
sorts by. As text, places sort by time:

    "{epoch milliseconds, 12 hexadecimal digits}/{message id}"
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple
from uuid import UUID

from schemas.errors import MalformedError
from schemas.events import Event

TOLERANCE_MS = 60_000
"""How far a client's clock may be from ours, and a resend from the first attempt, for the time in an id to
be taken for when its event came."""
TIME_BITS = 48
LATEST_MS = 2**TIME_BITS - 1

_RANDOM_BITS = 128 - TIME_BITS
_TIME_BYTES = TIME_BITS // 8
_CURSOR = re.compile(r"[A-Za-z0-9_-]{30}")
"""22 bytes as base64: a time and a message id."""


class Place(NamedTuple):
    """Newer is greater. Two events of one millisecond stand by their ids."""

    at_ms: int
    message_id: UUID

    def __str__(self) -> str:
        return f"{self.at_ms:012x}/{self.message_id}"


def place_of(event: Event) -> Place:
    """By the time in the event's id where it is about when it was received, else by the latter."""
    told_ms = told_by_id(event)
    return Place(event.received_at_ms if told_ms is None else told_ms, event.message_id)


def told_by_id(event: Event) -> int | None:
    """The time in the event's id, where it is one and about when the event was received."""
    made_ms = time_in(event.message_id)
    return made_ms if made_ms is not None and abs(made_ms - event.received_at_ms) <= TOLERANCE_MS else None


def time_in(message_id: UUID) -> int | None:
    """When an id says that it was made; None where it says nothing of it."""
    return message_id.int >> _RANDOM_BITS if message_id.version == 7 else None


def first_id(at_ms: int) -> UUID:
    """No UUIDv7 made in this millisecond is less."""
    return UUID(int=at_ms << _RANDOM_BITS)


def last_id(at_ms: int) -> UUID:
    """No UUIDv7 made in this millisecond is greater."""
    return UUID(int=(at_ms + 1 << _RANDOM_BITS) - 1)


def encode_cursor(place: Place) -> str:
    """A place for clients, who need not know what it is."""
    return urlsafe_b64encode(place.at_ms.to_bytes(_TIME_BYTES) + place.message_id.bytes).decode().rstrip("=")


def decode_cursor(text: str) -> Place:
    """What `encode_cursor` made. Raises MalformedError."""
    if not _CURSOR.fullmatch(text):
        raise MalformedError("the cursor is not one of ours")
    data = urlsafe_b64decode(text + "==")
    return Place(int.from_bytes(data[:_TIME_BYTES]), UUID(bytes=data[_TIME_BYTES:]))
