"""What clients send: one event or many, as a query, JSON, JSON lines or msgpack."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from schemas.errors import UNREADABLE, MalformedError, TooLargeError, TrackerError

JSON = "application/json"
NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
MSGPACK = frozenset({"application/msgpack", "application/x-msgpack", "application/vnd.msgpack"})

USER_AGENT_MAX_CHARS = 1024
REFERRER_MAX_CHARS = 2048
VALUE_MAX_DIGITS = 18
VALUE_MAX_DECIMALS = 9

Identifier = Annotated[str, Meta(min_length=1, max_length=256)]


class EventRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """An event as a client describes it. Everything is optional; what is not known is passed over.

    A client that may resend gives `message_id`, and the event counts once however often it comes.
    """

    program_id: str = ""
    kind: Literal["view", "click", "conversion"] = "view"
    message_id: UUID | None = None
    checksum: Annotated[str, Meta(max_length=128)] | None = None
    visitor: Identifier | None = None
    click_id: Identifier | None = None
    referrer: Annotated[str, Meta(max_length=REFERRER_MAX_CHARS)] | None = None
    user_agent: Annotated[str, Meta(max_length=USER_AGENT_MAX_CHARS)] | None = None
    value: Decimal | None = None
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not _is_amount(self.value):
            raise ValueError(
                f"value takes at most {VALUE_MAX_DIGITS} digits, {VALUE_MAX_DECIMALS} after the point"
            )


Decoder = msgspec.json.Decoder[EventRequest] | msgspec.msgpack.Decoder[EventRequest]

_json: Decoder = msgspec.json.Decoder(EventRequest)
_msgpack: Decoder = msgspec.msgpack.Decoder(EventRequest)
_json_items = msgspec.json.Decoder(list[msgspec.Raw])
_msgpack_items = msgspec.msgpack.Decoder(list[msgspec.Raw])


class Items(NamedTuple):
    """The undecoded items of a batch, and what decodes each."""

    raw: Sequence[bytes | msgspec.Raw]
    decoder: Decoder


def decode_query(pairs: list[tuple[str, str]]) -> EventRequest:
    """An event from a query string; of a repeated name the first counts. Raises MalformedError."""
    given = dict(reversed(pairs))
    try:
        return msgspec.convert(given, EventRequest, strict=False)
    except msgspec.ValidationError as error:
        raise MalformedError(str(error)) from error


def decode_event(body: bytes, content_type: str | None) -> EventRequest:
    """One event; an empty body is a plain view. Raises MalformedError."""
    if not body:
        return EventRequest()
    return _decode(_msgpack if media_type(content_type) in MSGPACK else _json, body)


def split_batch(body: bytes, content_type: str | None) -> Items:
    """The items of a batch: a JSON or msgpack array, or JSON lines. Raises MalformedError."""
    kind = media_type(content_type)
    try:
        if kind in MSGPACK:
            return Items(_msgpack_items.decode(body), _msgpack)
        if kind in NDJSON or (kind != JSON and body.lstrip()[:1] == b"{"):
            return Items([line for line in body.splitlines() if line.strip()], _json)
        return Items(_json_items.decode(body), _json)
    except UNREADABLE as error:
        raise MalformedError(f"the batch is not an array of events: {error}") from error


def decode_item(raw: bytes | msgspec.Raw, decoder: Decoder, *, max_bytes: int) -> EventRequest | TrackerError:
    """One item of a batch, or what is wrong with it: one bad item spoils no other."""
    if len(raw) > max_bytes:
        return TooLargeError(f"the item takes {len(raw)} of {max_bytes} bytes")
    try:
        return _decode(decoder, raw)
    except MalformedError as error:
        return error


def _decode(decoder: Decoder, data: bytes | msgspec.Raw) -> EventRequest:
    try:
        return decoder.decode(data)
    except UNREADABLE as error:
        raise MalformedError(str(error)) from error


def media_type(content_type: str | None) -> str:
    """A Content-Type without its parameters, in lower case."""
    return (content_type or "").partition(";")[0].strip().lower()


def _is_amount(value: Decimal) -> bool:
    if not value.is_finite():
        return False
    exponent = int(value.as_tuple().exponent)
    return exponent >= -VALUE_MAX_DECIMALS and value.adjusted() < VALUE_MAX_DIGITS - VALUE_MAX_DECIMALS
