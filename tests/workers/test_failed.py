"""What a failure is shown to hold, decoded where that can be."""

from datetime import UTC, datetime

import msgspec
import pytest

from schemas.events import encode_event
from schemas.failures import FailedRecord, encode_failed
from schemas.updates import ProgramDeleted, encode_update
from tests.factories import NOW_MS, click
from workers.failed import line, shown
from workers.listing import Place


def failed(payload: bytes, *, stream: str = "events", index: int | None = None) -> bytes:
    return encode_failed(
        FailedRecord(
            stream=stream,
            shard_id="shardId-000000000000",
            sequence_number="7",
            payload=payload,
            reason="bad_event",
            detail="no number",
            failed_at_ms=NOW_MS,
            index=index,
        )
    )


def holds(data: bytes) -> dict[str, object]:
    (only,) = msgspec.json.decode(shown(data, update_stream="updates"))["holds"]
    found: dict[str, object] = only
    return found


def test_one_event_of_a_frame_is_shown_by_its_fields() -> None:
    event = click()

    told = holds(failed(encode_event(event), index=3))

    assert told["failed"] == []
    (only,) = msgspec.convert(told["events"], list[dict[str, object]])
    assert (only["message_id"], only["click_id"]) == (str(event.message_id), "click-1")
    assert only["program"] == msgspec.to_builtins(msgspec.structs.asdict(event.program))


def test_an_update_is_shown_as_one() -> None:
    update = ProgramDeleted(program_id="p", version=7)

    told = holds(failed(encode_update(update), stream="updates"))

    assert msgspec.convert(told["update"], dict[str, object])["version"] == 7


@pytest.mark.parametrize("stream", ["events", "updates"])
def test_what_does_not_decode_is_shown_as_it_is_with_why(stream: str) -> None:
    told = holds(failed(b"\x7f", stream=stream))

    assert told["data"] == "fw=="
    assert told["error"]


def test_a_line_says_when_why_what_and_where() -> None:
    told = line(Place("bucket", "key"), failed(b"", index=3))

    at = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    assert told == f"{at:%Y-%m-%dT%H:%M:%SZ}  bad_event  event 3  s3://bucket/key  no number"
