"""What clients send: each form, and everything that is not one."""

import json
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from schemas.errors import MalformedError, TooLargeError
from tracker.requests import EventRequest, decode_event, decode_item, decode_query, split_batch

MESSAGE_ID = UUID("0190e8a3-6a1c-7000-8000-000000000001")
FULL = {
    "programId": "212313",
    "kind": "conversion",
    "messageId": str(MESSAGE_ID),
    "checksum": "124",
    "visitor": "v",
    "clickId": "c",
    "referrer": "https://example.org/",
    "userAgent": "agent",
    "value": "12.50",
    "currency": "EUR",
}
DECODED = EventRequest(
    program_id="212313",
    kind="conversion",
    message_id=MESSAGE_ID,
    checksum="124",
    visitor="v",
    click_id="c",
    referrer="https://example.org/",
    user_agent="agent",
    value=Decimal("12.50"),
    currency="EUR",
)


def test_a_query_gives_every_field() -> None:
    assert decode_query(list(FULL.items())) == DECODED


def test_of_a_repeated_name_in_a_query_the_first_counts() -> None:
    assert decode_query([("visitor", "a"), ("visitor", "b")]).visitor == "a"


def test_unknown_names_are_passed_over() -> None:
    assert decode_query([("utm_source", "mail")]) == EventRequest()


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "text/plain", "application/json; charset=utf-8"]
)
def test_a_json_body_gives_every_field(content_type: str | None) -> None:
    assert decode_event(json.dumps(FULL).encode(), content_type) == DECODED


@pytest.mark.parametrize("content_type", ["application/msgpack", "application/x-msgpack"])
def test_a_msgpack_body_gives_every_field(content_type: str) -> None:
    assert decode_event(msgspec.msgpack.encode(FULL), content_type) == DECODED


def test_an_empty_body_is_a_plain_view() -> None:
    assert decode_event(b"", None) == EventRequest(kind="view")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'{"kind":"purchase"}',
        b'{"kind":null}',
        b'{"messageId":"1"}',
        b'{"visitor":""}',
        b'{"visitor":"' + b"v" * 257 + b'"}',
        b'{"checksum":"' + b"c" * 129 + b'"}',
        b'{"referrer":"' + b"r" * 2049 + b'"}',
        b'{"userAgent":"' + b"u" * 1025 + b'"}',
        b'{"currency":"eur"}',
        b'{"currency":"EUR\\n"}',
        b'{"value":"NaN"}',
        b'{"value":"Infinity"}',
        b'{"value":1e400}',
        b'{"value":1000000000}',
        b'{"value":0.0000000001}',
        b'{"visitor":"\xff"}',
        b'{"visitor":"\\ud800"}',
        b"[" * 100_000,
        b'{"value":' + b"9" * 10_000 + b"}",
    ],
)
def test_what_is_no_event_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_event(body, "application/json")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'[{"visitor":"a"},{"visitor":"b"}]', "application/json"),
        (b'[{"visitor":"a"},{"visitor":"b"}]', None),
        (b'{"visitor":"a"}\n{"visitor":"b"}\n', "application/x-ndjson"),
        (b'{"visitor":"a"}\r\n\r\n  {"visitor":"b"}', None),
        (msgspec.msgpack.encode([{"visitor": "a"}, {"visitor": "b"}]), "application/msgpack"),
    ],
)
def test_a_batch_is_an_array_or_lines(body: bytes, content_type: str | None) -> None:
    batch = split_batch(body, content_type)

    items = [decode_item(raw, batch.decoder, max_bytes=1000) for raw in batch.raw]

    assert items == [EventRequest(visitor="a"), EventRequest(visitor="b")]


@pytest.mark.parametrize("content_type", ["application/json", "application/msgpack"])
@pytest.mark.parametrize("body", [b"", b"{}{", b"nothing", b"\xc1", b"[" * 100_000, b'{"a":1}'])
def test_what_is_no_batch_is_malformed(body: bytes, content_type: str) -> None:
    with pytest.raises(MalformedError):
        split_batch(body, content_type)


def test_a_bad_item_and_a_large_one_spoil_no_other() -> None:
    batch = split_batch(b'[{"visitor":"a"},{"kind":1},{"padding":"%s"}]' % (b"x" * 1000), "application/json")

    good, bad, large = (decode_item(raw, batch.decoder, max_bytes=1000) for raw in batch.raw)

    assert good == EventRequest(visitor="a")
    assert isinstance(bad, MalformedError)
    assert isinstance(large, TooLargeError)


def test_a_line_that_is_not_json_spoils_no_other() -> None:
    batch = split_batch(b'{"visitor":"a"}\n{oops\n{"visitor":"b"}', "application/x-ndjson")

    items = [decode_item(raw, batch.decoder, max_bytes=1000) for raw in batch.raw]

    assert isinstance(items[1], MalformedError)
    assert [items[0], items[2]] == [EventRequest(visitor="a"), EventRequest(visitor="b")]
