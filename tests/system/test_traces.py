"""A trace goes from a request through the stream into what is stored and into the log of the function."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from tests.system.conftest import Stack, running_stack, until

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
STORED_TIMEOUT_S = 20


@pytest.fixture
def talkative(tmp_path: Path) -> Iterator[Stack]:
    """A stack that says all that it does, as machines read it."""
    with running_stack(tmp_path, LOG_LEVEL="DEBUG", LOG_FORMAT="json") as stack:
        assert stack.trackers[0].get("/cache/fill").status_code == 200
        yield stack


def lines(stack: Stack, part: str) -> Iterator[dict[str, Any]]:
    """What a part has logged, each line an object."""
    text = (stack.run_dir / "logs" / f"{part}.log").read_text()
    whole, _, _ = text.rpartition("\n")
    yield from map(msgspec.json.decode, whole.splitlines())


def test_a_trace_is_found_wherever_its_event_has_been(talkative: Stack) -> None:
    first, second = talkative.trackers
    message_id = str(uuid4())

    sent = first.get("/event/212313", params={"messageId": message_id}, headers={"traceparent": TRACEPARENT})

    assert sent.status_code == 200
    until(lambda: talkative.stored("212313", message_id), timeout_s=STORED_TIMEOUT_S)
    read = second.get(f"/events/{message_id}", params={"programId": "212313"}).json()
    page = second.get("/programs/212313/events").json()
    assert read["traceparent"] == TRACEPARENT
    assert page["events"] == [read]

    traced = until(
        lambda: [line for line in lines(talkative, "persist") if line.get("trace_id") == TRACE],
        timeout_s=STORED_TIMEOUT_S,
    )
    assert [(line["message"], line["message_id"]) for line in traced] == [("stored", message_id)]
