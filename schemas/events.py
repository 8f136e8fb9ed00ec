"""Events: what a client did, with the core data of its program as of that moment."""

import zlib
from decimal import Decimal
from uuid import UUID

import msgspec

from schemas.programs import ProgramId


class CoreData(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The program as the tracker knew it when it answered. Only append fields, with defaults."""

    program_id: ProgramId
    name: str
    customer_id: int
    customer_name: str
    checksum: str
    version: int


class _Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Fields of every kind of event. Only append fields, with defaults.

    The kinds add no fields of their own: on the wire an event is an array, so a field appended
    here would otherwise move theirs.
    """

    message_id: UUID
    received_at_ms: int
    program: CoreData
    valid: bool
    reason: str | None = None
    user_agent: str | None = None
    referrer: str | None = None
    visitor: str | None = None
    click_id: str | None = None
    client_address: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    retention_days: int | None = None
    """How long after it was received the stored event lives, by its program; None is for ever."""
    traceparent: str | None = None
    """The trace that the request belongs to, where it came with one: see schemas/traces.py."""

    @property
    def key(self) -> str:
        """What keeps its order in the stream: the visitor, else the click, else the message."""
        return self.visitor or self.click_id or str(self.message_id)


class View(_Event, tag="view", frozen=True, array_like=True, gc=False):
    """An advertisement was shown."""


class Click(_Event, tag="click", frozen=True, array_like=True, gc=False):
    """An advertisement was clicked."""


class Conversion(_Event, tag="conversion", frozen=True, array_like=True, gc=False):
    """A click led to a result, possibly worth `value` units of `currency`."""


Event = View | Click | Conversion

KINDS: dict[str, type[View] | type[Click] | type[Conversion]] = {
    "view": View,
    "click": Click,
    "conversion": Conversion,
}

HASH_SHIFT = 96
"""A CRC has 32 bits, a hash key of Kinesis 128."""

_tags = {kind: tag for tag, kind in KINDS.items()}
_encoder = msgspec.msgpack.Encoder(uuid_format="bytes", decimal_format="string")


def kind_of(event: Event) -> str:
    """The tag of an event: `view`, `click` or `conversion`."""
    return _tags[type(event)]


def counts_as(event: Event) -> str:
    """The field of Totals that it adds to."""
    return f"{kind_of(event)}s" if event.valid else "invalid"


def hash_key(key: str) -> int:
    """Where an event's key lies among Kinesis's hash keys: its shard on the event stream covers that."""
    return zlib.crc32(key.encode()) << HASH_SHIFT


def encode_event(event: Event) -> bytes:
    """One event as msgpack, ready to be joined into a frame. UUIDs take 16 bytes."""
    return _encoder.encode(event)
