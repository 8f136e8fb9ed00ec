"""An event goes in and is stored."""

from typing import Any
from uuid import uuid4

import pytest

from tests.system.conftest import Stack, until

ID = "212313"
EIGHT_FIELDS = {
    "programId": ID,
    "programName": "program2",
    "checksum": "124",
    "customerId": 9124,
    "customerName": "Customer2",
    "valid": True,
}


@pytest.mark.parametrize("number", [0, 1])
def test_an_event_is_answered_and_in_the_table_within_two_seconds(stack: Stack, number: int) -> None:
    answer = stack.trackers[number].get(f"/event/{ID}", headers={"user-agent": "curl/7.54.0"}).json()

    message_id = answer.pop("messageId")
    assert answer == EIGHT_FIELDS | {"userAgent": "curl/7.54.0"}
    item = until(lambda: stack.stored(ID, message_id), timeout_s=2)
    assert item["message_id"] == {"S": message_id}
    assert item["user_agent"] == {"S": "curl"}


def test_an_event_without_a_user_agent_is_stored(stack: Stack) -> None:
    client = stack.trackers[0]
    request = client.build_request("GET", f"/event/{ID}")
    del request.headers["user-agent"]

    answer = client.send(request).json()

    item = until(lambda: stack.stored(ID, answer["messageId"]), timeout_s=2)
    assert answer["userAgent"] is None
    assert "user_agent" not in item


def test_a_wrong_checksum_is_answered_and_stored_as_such(stack: Stack) -> None:
    answer = stack.trackers[0].get(f"/event/{ID}?checksum=999")

    assert answer.status_code == 200
    assert (answer.json()["valid"], answer.json()["reason"]) == (False, "bad_checksum")
    item = until(lambda: stack.stored(ID, answer.json()["messageId"]), timeout_s=2)
    assert (item["valid"], item["reason"]) == ({"BOOL": False}, {"S": "bad_checksum"})


def test_an_unknown_program_is_a_404(stack: Stack) -> None:
    answer = stack.trackers[0].get("/event/unknown")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == "program_not_found"


def test_a_batch_stores_its_good_items_once_however_often_it_is_sent(stack: Stack) -> None:
    program_id = _new_program(stack)
    items: list[Any] = [{"programId": program_id, "messageId": str(uuid4())} for _ in range(1_000)]
    items[100] = {"programId": "unknown", "messageId": str(uuid4())}
    items[500] = {"programId": program_id, "messageId": "no id"}
    items[900] = {"programId": program_id, "messageId": str(uuid4()), "referrer": "x" * 100_000}
    bad = {100: "program_not_found", 500: "malformed", 900: "too_large"}

    for tracker in stack.trackers:
        answer = tracker.post("/events", json=items)
        assert answer.status_code == 200
        assert {error["index"]: error["reason"] for error in answer.json()["errors"]} == bad
        assert answer.json()["accepted"] == 997

    marker = {"programId": program_id, "messageId": str(uuid4())}
    stack.trackers[0].post("/events", json=[marker])
    until(lambda: stack.stored(program_id, marker["messageId"]), timeout_s=10)
    for index in set(range(1_000)) - set(bad):
        assert stack.stored(program_id, items[index]["messageId"])
    until(lambda: stack.totals(program_id).views >= 998, timeout_s=10)
    assert stack.totals(program_id).stored == 998
    read = until(lambda: _read_totals(stack, program_id, 998), timeout_s=10)
    assert read == {"views": 998, "clicks": 0, "conversions": 0, "invalid": 0}


def _new_program(stack: Stack) -> str:
    program_id = f"batch-{uuid4().hex[:8]}"
    body = {"name": "batch", "customerId": 1, "customerName": "c", "checksum": "1"}
    assert stack.trackers[0].put(f"/programs/{program_id}?wait=true", json=body).status_code == 200
    return program_id


def _read_totals(stack: Stack, program_id: str, views: int) -> dict[str, int] | None:
    totals: dict[str, int] = stack.trackers[1].get(f"/programs/{program_id}").json()["totals"]
    return totals if totals["views"] >= views else None
