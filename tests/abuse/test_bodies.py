"""Bodies that are not what they say: nothing of them is stored, and each is told why."""

import gzip
import json
import struct
import zlib

import pytest

from tests.abuse.wire import ask, assert_problem, post, request
from tests.tracker.server import BODY, ID, TOKEN, Tracker

EVENT = f"/event/{ID}"
JSON = "application/json"
NDJSON = "application/x-ndjson"
MSGPACK = "application/msgpack"
DEEP = 9_000

BAD_EVENTS = {
    "half": (JSON, b'{"kind":"view"'),
    "two": (JSON, b'{"kind":"view"}{"kind":"view"}'),
    "a list": (JSON, b"[]"),
    "a byte order mark": (JSON, b"\xef\xbb\xbf{}"),
    "UTF-16": (JSON, '{"kind":"view"}'.encode("utf-16")),
    "a string that is not UTF-8": (JSON, b'{"visitor":"\xff\xfe"}'),
    "half a surrogate pair": (JSON, b'{"visitor":"\\ud800"}'),
    "a line break in a string": (JSON, b'{"visitor":"a\nb"}'),
    "not a number": (JSON, b'{"value":NaN}'),
    "infinity": (JSON, b'{"value":"Infinity"}'),
    "an enormous number": (JSON, b'{"value":' + b"9" * 9_000 + b"}"),
    "an enormous exponent": (JSON, b'{"value":1e999999999}'),
    "an exponent that no decimal has": (JSON, b'{"value":1E+99999999999999999999}'),
    "an enormous fraction": (JSON, b'{"value":1e-999999999}'),
    "a key of the wrong kind": (JSON, b'{"kind":{"$gt":""}}'),
    "lists in lists": (JSON, b'{"x":' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "objects in objects": (JSON, b'{"x":' * (DEEP // 3)),
    "msgpack that ends early": (MSGPACK, b"\x81\xa4kind\xa4vi"),
    "a map of four thousand million": (MSGPACK, b"\xdf\xff\xff\xff\xff"),
    "a string of four gigabytes": (MSGPACK, b"\x81\xa4kind\xdb\xff\xff\xff\xff"),
    "an extension": (MSGPACK, b"\xc7\x01\x05a"),
    "a key that is bytes": (MSGPACK, b"\x81\xc4\x04kind\xa4view"),
    "msgpack that is not UTF-8": (MSGPACK, b"\x81\xa7visitor\xa2\xff\xfe"),
    "not a number in msgpack": (MSGPACK, b"\x81\xa5value\xcb" + struct.pack(">d", float("nan"))),
    "maps in maps": (MSGPACK, b"\x81\xa1x" * (DEEP // 2)),
    "JSON as msgpack": (MSGPACK, b'{"kind":"view"}'),
    "msgpack as JSON": (JSON, b"\x81\xa4kind\xa4view"),
}


@pytest.mark.parametrize(("content_type", "body"), BAD_EVENTS.values(), ids=BAD_EVENTS)
async def test_a_malformed_event_is_a_400_and_not_stored(
    tracker: Tracker, content_type: str, body: bytes
) -> None:
    answer = await ask(tracker, post(body, path=EVENT, content_type=content_type))

    assert_problem(answer, 400, "malformed")
    assert tracker.intake.events == []


BAD_BATCHES = {
    "no batch": (JSON, b'"events"'),
    "half an array": (JSON, b'[{"programId":"212313"},'),
    "lists in lists": (JSON, b"[" * DEEP + b"]" * DEEP),
    "an array of four thousand million": (MSGPACK, b"\xdd\xff\xff\xff\xff"),
    "an array that ends early": (MSGPACK, b"\xdc\x00\x02\xc0"),
    "a map": (MSGPACK, b"\x80"),
    "lines without any": (NDJSON, b"\n\r\n \n"),
}


@pytest.mark.parametrize(("content_type", "body"), BAD_BATCHES.values(), ids=BAD_BATCHES)
async def test_a_malformed_batch_is_a_400_and_nothing_of_it_is_stored(
    tracker: Tracker, content_type: str, body: bytes
) -> None:
    answer = await ask(tracker, post(body, content_type=content_type))

    assert_problem(answer, 400, "malformed")
    assert tracker.intake.events == []


GOOD = f'{{"programId":"{ID}"}}'.encode()
BAD_LINES = [
    b'{"programId":"212313"',
    b"\xff\xfe",
    b'{"x":' * 500,
    b'{"programId":"212313","value":1e999}',
    b'{"programId":"../../etc/passwd"}',
    b'{"programId":"212313\\r\\nSet-Cookie: a=b"}',
    b'{"programId":null}',
]


async def test_bad_lines_spoil_no_good_one(tracker: Tracker) -> None:
    lines = b"\r\n".join(line for bad in BAD_LINES for line in (GOOD, bad))

    answer = await ask(tracker, post(lines, content_type=NDJSON))

    assert (answer.status, answer.json["accepted"]) == (200, len(BAD_LINES))
    assert [error["index"] for error in answer.json["errors"]] == list(range(1, 2 * len(BAD_LINES), 2))
    assert {error["reason"] for error in answer.json["errors"]} == {"malformed", "program_not_found"}
    assert len(tracker.intake.events) == len(BAD_LINES)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b"[" + b",".join([GOOD] * 51) + b"]"),
        (NDJSON, b"{}\n" * 51),
        (MSGPACK, b"\xdc\x00\x33" + b"\x80" * 51),
    ],
)
async def test_more_items_than_a_batch_may_have_are_a_413(
    tracker: Tracker, content_type: str, body: bytes
) -> None:
    assert_problem(await ask(tracker, post(body, content_type=content_type)), 413, "too_large")
    assert tracker.intake.events == []


async def test_of_a_repeated_key_the_last_counts(tracker: Tracker) -> None:
    body = b'{"kind":"view","kind":"click","kind":"conversion"}'

    assert (await ask(tracker, post(body, path=EVENT))).status == 200
    assert [type(event).__name__ for event in tracker.intake.events] == ["Conversion"]


async def test_of_a_repeated_parameter_the_first_counts(tracker: Tracker) -> None:
    assert (await ask(tracker, request(path=f"{EVENT}?kind=click&kind=view&kind=%00"))).status == 200
    assert [type(event).__name__ for event in tracker.intake.events] == ["Click"]


BOMB = b" " * 10_000_000
ENCODINGS = {
    "gzip": gzip.compress(BOMB),
    "x-gzip": gzip.compress(BOMB),
    "GZIP": gzip.compress(BOMB),
    "deflate": zlib.compress(BOMB),
    "br": b"\x1b\xff\xff",
    "gzip, identity": gzip.compress(BOMB),
    "identity, gzip": gzip.compress(BOMB),
    "zstd": b"(\xb5/\xfd",
}


@pytest.mark.parametrize(("encoding", "body"), ENCODINGS.items(), ids=ENCODINGS)
@pytest.mark.parametrize("path", ["/events", EVENT])
async def test_a_compressed_body_is_refused_before_it_is_unpacked(
    tracker: Tracker, path: str, encoding: str, body: bytes
) -> None:
    answer = await ask(tracker, post(body, f"Content-Encoding: {encoding}", path=path))

    assert_problem(answer, 415, "unsupported_media_type")
    assert tracker.intake.events == []


BAD_PROGRAMS = {
    "an enormous number": json.dumps(BODY | {"customerId": 10**400}),
    "a number one too large": json.dumps(BODY | {"budget": 2**53}),
    "a negative number": json.dumps(BODY | {"startsAtMs": -1}),
    "a fraction": json.dumps(BODY | {"budget": 1.5}),
    "a word for a number": json.dumps(BODY | {"budget": "1"}),
    "lists in lists": f'{{"name":{"[" * DEEP}',
    "another program": json.dumps(BODY | {"programId": "212312"}),
    "a script for a destination": json.dumps(BODY | {"destination": "javascript:alert(1)"}),
    "a line break in a destination": json.dumps(
        BODY | {"destination": "https://a.example/\r\nSet-Cookie: a=b"}
    ),
}


@pytest.mark.parametrize("body", BAD_PROGRAMS.values(), ids=BAD_PROGRAMS)
async def test_a_malformed_program_is_a_400_and_nothing_is_sent(tracker: Tracker, body: str) -> None:
    answer = await tracker.client.put(f"/programs/{ID}", content=body, headers=TOKEN)

    assert (answer.status_code, answer.json()["reason"]) == (400, "malformed")
    assert tracker.updates.sent == []
