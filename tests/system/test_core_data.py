"""A program changes and every tracker knows."""

import time
from typing import Any
from uuid import uuid4

import msgspec

from schemas.dynamodb import program_from_item, program_key
from schemas.programs import Program
from schemas.updates import ProgramChanged, encode_update
from tests.system.conftest import Stack, until

BODY: dict[str, Any] = {"name": "first", "customerId": 9124, "customerName": "Customer2", "checksum": "124"}


def test_a_change_is_published_and_answered_by_the_other_tracker_within_100_ms(stack: Stack) -> None:
    program_id = _put_new(stack)
    other = stack.trackers[1]
    assert other.get(f"/event/{program_id}").json()["programName"] == "first"

    with stack.redis.pubsub() as pubsub:
        pubsub.subscribe(stack.file.redis_channel)
        pubsub.get_message(timeout=5)
        version = (
            stack.trackers[0].put(f"/programs/{program_id}", json=BODY | {"name": "second"}).json()["version"]
        )
        message = pubsub.get_message(timeout=5)
        published_s = time.monotonic()

    assert message is not None
    told = msgspec.json.decode(message["data"])
    assert (told["programId"], told["version"], told["program"]["name"]) == (program_id, version, "second")
    until(lambda: other.get(f"/event/{program_id}").json()["programName"] == "second", timeout_s=1)
    assert time.monotonic() - published_s < 0.1


def test_an_older_version_on_the_update_stream_changes_nothing_anywhere(stack: Stack) -> None:
    program_id = _put_new(stack)
    before = stack.trackers[0].get(f"/programs/{program_id}").json()["program"]
    older = Program(
        program_id=program_id,
        version=before["version"] - 1,
        name="older",
        customer_id=1,
        customer_name="",
        checksum="",
    )

    stack.kinesis.put_record(
        StreamName=stack.file.update_stream,
        PartitionKey=program_id,
        Data=encode_update(ProgramChanged(program=older)),
    )
    after = _put_new(stack)

    assert stack.trackers[1].get(f"/programs/{after}").status_code == 200
    for tracker in stack.trackers:
        assert tracker.get(f"/programs/{program_id}").json()["program"] == before
    assert stack.redis.hget(f"program:{program_id}", "version") == str(before["version"]).encode()
    item = stack.dynamodb.get_item(TableName=stack.file.programs_table, Key=program_key(program_id))["Item"]
    assert program_from_item(item).version == before["version"]


def test_a_change_that_was_waited_for_is_there_200_times_in_a_row(stack: Stack) -> None:
    program_id = _put_new(stack)
    client = stack.trackers[0]
    for n in range(200):
        assert (
            client.put(f"/programs/{program_id}?wait=true", json=BODY | {"name": f"n{n}"}).status_code == 200
        )
        assert client.get(f"/event/{program_id}").json()["programName"] == f"n{n}"


def test_a_purge_empties_redis_and_every_memory_and_the_program_is_found_again(stack: Stack) -> None:
    program_id = _put_new(stack)
    for tracker in stack.trackers:
        assert tracker.get(f"/event/{program_id}").status_code == 200
    item = stack.dynamodb.get_item(TableName=stack.file.programs_table, Key=program_key(program_id))["Item"]

    assert stack.trackers[0].get("/cache/purge").json()["applied"] is True

    assert not stack.redis.exists(f"program:{program_id}")
    stack.dynamodb.put_item(TableName=stack.file.programs_table, Item=item | {"name": {"S": "from DynamoDB"}})
    for tracker in stack.trackers:
        assert tracker.get(f"/event/{program_id}").json()["programName"] == "from DynamoDB"


def test_a_deleted_program_is_unknown_to_every_tracker(stack: Stack) -> None:
    program_id = _put_new(stack)
    assert stack.trackers[1].get(f"/event/{program_id}").status_code == 200

    assert stack.trackers[0].delete(f"/programs/{program_id}?wait=true").status_code == 200

    assert stack.trackers[0].get(f"/event/{program_id}").status_code == 404
    until(lambda: stack.trackers[1].get(f"/event/{program_id}").status_code == 404, timeout_s=1)


def test_programs_are_listed_with_their_totals(stack: Stack) -> None:
    listed: list[str] = []
    cursor = ""
    while cursor is not None:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = stack.trackers[0].get("/programs", params=query).json()
        listed += [each["program"]["programId"] for each in page["programs"]]
        cursor = page["cursor"]

    assert len(listed) == len(set(listed))
    assert {"212312", "212313", "212314"} <= set(listed)


def _put_new(stack: Stack) -> str:
    program_id = f"p-{uuid4().hex[:8]}"
    assert stack.trackers[0].put(f"/programs/{program_id}?wait=true", json=BODY).status_code == 200
    return program_id
