from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given

from schemas.events import KINDS, Click, Conversion, CoreData, Event, View, encode_event, kind_of
from tests.factories import click, conversion, core_data, view
from tests.schemas import strategies

MESSAGE_ID = UUID("01999999-0000-7000-8000-000000000001")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

_HEAD = (
    b"\xc4\x10\x01\x99\x99\x99\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x01"
    b"\xcf\x00\x00\x01\x99\xc8\x2c\xc0\x00"
    b"\x96\xa6212313\xa8program2\xcd\x23\xa4\xa9Customer2\xa3124\xcf\x00\x06\x40\xb5\xee\xce\x00\x00"
)
GOLDEN: dict[str, tuple[Event, bytes]] = {
    "view": (
        view(message_id=MESSAGE_ID),
        b"\x9f\xa4view" + _HEAD + b"\xc3\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0",
    ),
    "click": (
        click(
            message_id=MESSAGE_ID,
            user_agent="curl/8",
            referrer="https://news.example/",
            client_address="192.0.2.0",
            retention_days=30,
            traceparent=TRACEPARENT,
        ),
        b"\x9f\xa5click" + _HEAD + b"\xc3\xc0\xa6curl/8\xb5https://news.example/"
        b"\xa9visitor-1\xa7click-1\xa9192.0.2.0\xc0\xc0\x1e\xd9\x37" + TRACEPARENT.encode(),
    ),
    "conversion": (
        conversion(
            message_id=MESSAGE_ID,
            valid=False,
            reason="bad_checksum",
            visitor="v",
            value=Decimal("19.90"),
            currency="EUR",
        ),
        b"\x9f\xaaconversion"
        + _HEAD
        + b"\xc2\xacbad_checksum\xc0\xc0\xa1v\xa7click-1\xc0\xa519.90\xa3EUR\xc0\xc0",
    ),
}

decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


@pytest.mark.parametrize("kind", GOLDEN)
def test_golden_bytes(kind: str) -> None:
    event, golden = GOLDEN[kind]

    assert encode_event(event) == golden
    assert decoder.decode(golden) == event
    assert kind_of(event) == kind


@pytest.mark.parametrize("kind", GOLDEN)
def test_an_event_of_an_older_writer_ends_after_the_required_fields(kind: str) -> None:
    event, golden = GOLDEN[kind]
    array = msgspec.msgpack.decode(golden)

    decoded = decoder.decode(msgspec.msgpack.encode(array[:5]))

    assert decoded == KINDS[kind](
        message_id=MESSAGE_ID, received_at_ms=event.received_at_ms, program=core_data(), valid=event.valid
    )


@pytest.mark.parametrize("kind", GOLDEN)
def test_fields_of_a_newer_writer_are_passed_over(kind: str) -> None:
    event, golden = GOLDEN[kind]
    tag, message_id, received_at_ms, core, *rest = msgspec.msgpack.decode(golden)
    newer = [tag, message_id, received_at_ms, [*core, "new", {"a": [1]}], *rest, None, [1, {"b": b"2"}]]

    decoded = decoder.decode(msgspec.msgpack.encode(newer))

    assert decoded == event


@pytest.mark.parametrize(
    "array",
    [
        ["like", MESSAGE_ID.bytes, 1, ["1", "n", 1, "c", "k", 1], True],
        ["view", "no-uuid", 1, ["1", "n", 1, "c", "k", 1], True],
        ["view", MESSAGE_ID.bytes, 1, ["1", "n", 1, "c", "k"], True],
        ["view", MESSAGE_ID.bytes, 1, ["1", "n", 1, "c", "k", 1]],
        ["view", MESSAGE_ID.bytes, 1, ["1", "n", 1, "c", "k", 1], 1],
        [],
    ],
    ids=["unknown tag", "bad message id", "short core data", "short event", "wrong type", "empty"],
)
def test_anything_else_is_no_event(array: list[object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(msgspec.msgpack.encode(array))


@given(strategies.events)
def test_round_trip(event: Event) -> None:
    assert decoder.decode(encode_event(event)) == event


def test_the_kinds_share_their_fields_so_that_one_can_be_appended() -> None:
    assert View.__struct_fields__ == Click.__struct_fields__ == Conversion.__struct_fields__
    assert set(KINDS.values()) == {View, Click, Conversion}
    assert all(kind.__struct_config__.tag == name for name, kind in KINDS.items())


def test_only_optional_fields_follow_the_first_release() -> None:
    event_fields = msgspec.structs.fields(View)
    core_fields = msgspec.structs.fields(CoreData)

    assert [field.name for field in event_fields if field.required] == [
        "message_id",
        "received_at_ms",
        "program",
        "valid",
    ]
    assert [field.name for field in core_fields if field.required] == [
        "program_id",
        "name",
        "customer_id",
        "customer_name",
        "checksum",
        "version",
    ]


@pytest.mark.parametrize(
    ("visitor", "click_id", "key"),
    [
        ("visitor", "click", "visitor"),
        ("visitor", None, "visitor"),
        (None, "click", "click"),
        ("", "click", "click"),
        (None, None, str(MESSAGE_ID)),
        ("", "", str(MESSAGE_ID)),
    ],
)
def test_key_is_the_visitor_else_the_click_else_the_message(
    visitor: str | None, click_id: str | None, key: str
) -> None:
    event = view(message_id=MESSAGE_ID, visitor=visitor, click_id=click_id)

    assert event.key == key


def test_events_are_immutable() -> None:
    event = view()

    with pytest.raises(AttributeError):
        event.valid = False  # type: ignore[misc]
