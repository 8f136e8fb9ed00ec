"""What a task writes to its log, and where a trace goes."""

from pathlib import Path
from uuid import uuid4

import msgspec

from tests.tracker.server import ID
from tests.tracker.task import running_task

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_every_line_is_an_object_and_none_tells_of_a_sender(
    valkey: str, ministack: str, tmp_path: Path
) -> None:
    async with running_task(tmp_path, redis_url=valkey, aws_url=ministack, log_format="json") as task:
        await task.client.get(f"/event/{ID}", headers={"user-agent": "Mine/7"})
        await task.client.post("/events", content=b"no batch")

    lines = [msgspec.json.decode(line) for line in task.log().splitlines()]
    assert lines
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert "Mine/7" not in task.log()


async def test_a_trace_goes_with_the_event_onto_the_stream_by_either_lane(
    valkey: str, ministack: str, tmp_path: Path
) -> None:
    async with running_task(tmp_path, redis_url=valkey, aws_url=ministack) as task:
        plain, posted, untraced = (str(uuid4()) for _ in range(3))
        traced = {"traceparent": TRACEPARENT}
        await task.client.get(f"/event/{ID}")
        await task.client.get(f"/event/{ID}", params={"messageId": plain}, headers=traced)
        await task.client.post("/events", json=[{"programId": ID, "messageId": posted}], headers=traced)
        await task.client.get(f"/event/{ID}", params={"messageId": untraced}, headers={"traceparent": "mine"})

        stored = {str(event.message_id): event.traceparent for event in task.stored_events()}

    assert (stored[plain], stored[posted], stored[untraced]) == (TRACEPARENT, TRACEPARENT, None)
