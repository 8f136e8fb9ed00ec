"""The stream workers of the running stack: what is tracked is seen live."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from schemas.dynamodb import Item
from schemas.matches import match_from_item
from schemas.minutes import Minute
from schemas.redis import read_minute
from tests.system.conftest import ROOT, Stack, until

EVENTS = 200
VISITORS = 20


def minutes(stack: Stack, program_id: str) -> Minute:
    """What Redis says came in for the program, over all minutes and parts."""
    total = Minute()
    for key in stack.redis.scan_iter(match="minute:*"):
        fields: dict[Any, Any] = stack.redis.hgetall(key)
        for field, value in fields.items():
            found, _, minute = read_minute(field, value)
            total += minute if found == program_id else Minute()
    return total


def new_program(stack: Stack) -> str:
    program_id = f"live-{uuid4().hex[:8]}"
    body = {"name": program_id, "customerId": 1, "customerName": "c", "checksum": "1", "privacy": "full"}
    assert stack.trackers[0].put(f"/programs/{program_id}?wait=true", json=body).status_code == 200
    return program_id


def track(stack: Stack, program_id: str) -> None:
    """Sends events of a few visitors on both trackers, each twice as a client that heard no answer."""
    items = [
        {"programId": program_id, "messageId": str(uuid4()), "visitor": f"visitor-{number % VISITORS}"}
        for number in range(EVENTS)
    ]
    for tracker in stack.trackers:
        assert tracker.post("/events", json=items).status_code == 200


def test_what_is_tracked_is_counted_live_and_once(stack: Stack) -> None:
    program_id = new_program(stack)
    track(stack, program_id)

    until(lambda: minutes(stack, program_id).events >= EVENTS, timeout_s=5)

    counted = minutes(stack, program_id)
    assert counted.views == counted.events == EVENTS
    assert VISITORS <= counted.visitors <= 2 * VISITORS


def test_killed_workers_come_back_and_count_on(stack: Stack) -> None:
    program_id = new_program(stack)
    track(stack, program_id)
    killed = stack.read_file().pids["workers"]

    os.kill(killed, signal.SIGKILL)
    track(stack, program_id)

    until(lambda: stack.read_file().pids["workers"] != killed, timeout_s=15)
    until(lambda: minutes(stack, program_id).events >= 2 * EVENTS, timeout_s=20)
    assert minutes(stack, program_id).views == 2 * EVENTS


def test_a_partners_conversion_is_matched_with_the_click_that_it_names(stack: Stack) -> None:
    program_id = new_program(stack)
    first, second = stack.trackers
    clicked = first.get(f"/event/{program_id}?kind=click&visitor=v1&clickId=c1").json()

    bought = second.get(f"/event/{program_id}?kind=conversion&clickId=c1").json()

    match = match_from_item(until(lambda: match_of(stack, program_id, bought), timeout_s=10))
    assert (str(match.click), match.by) == (clicked["messageId"], "click_id")


def match_of(stack: Stack, program_id: str, bought: dict[str, str]) -> Item:
    """The item of a conversion, empty while it is not stored."""
    key = {"program_id": {"S": program_id}, "conversion": {"S": bought["messageId"]}}
    found: Item = stack.dynamodb.get_item(
        TableName=stack.file.matches_table, Key=key, ConsistentRead=True
    ).get("Item", {})
    return found


def test_the_ten_line_agent_of_the_guide_runs_as_written(stack: Stack) -> None:
    program_id = new_program(stack)
    command = ["workers", "--run-dir", str(stack.run_dir), "worker", "--from", "docs/examples/clicks.py"]
    with subprocess.Popen(
        [sys.executable, "-m", "cdk.local", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for number in (1, 2):
                stack.trackers[0].get(f"/event/{program_id}?kind=click&visitor=v").raise_for_status()
                assert until_line(process.stdout, program_id) == f"{program_id} {number}"
        finally:
            process.terminate()
    assert process.returncode == 0


def until_line(lines: Iterable[str], start: str) -> str:
    """The next line that begins so."""
    return next(line.rstrip() for line in lines if line.startswith(start))
