"""The beacon: batches across origins, from pages that a program lists."""

import json
from typing import Any

import httpx
import pytest

from schemas.errors import BufferFullError
from schemas.redis import Record
from tests.factories import VERSION, program
from tests.tracker.server import ID, Tracker

SHOP = {"origin": "https://shop.example", "content-type": "text/plain;charset=UTF-8"}
FOREIGN = ["https://evil.example", "http://shop.example", "https://shop.example:8443", "null"]


async def send(tracker: Tracker, items: Any, **headers: str) -> httpx.Response:
    return await tracker.client.post("/beacon", content=json.dumps(items), headers=SHOP | headers)


@pytest.fixture
def listed(tracker: Tracker) -> Tracker:
    """A tracker whose program takes events from the shop's pages only."""
    tracker.set_program(origins=("https://shop.example",))
    return tracker


@pytest.mark.parametrize(
    "body", [{"programId": ID}, [{"programId": ID}, {"programId": ID}]], ids=["one", "many"]
)
@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "application/json"])
async def test_a_page_sends_one_event_or_many(tracker: Tracker, body: Any, content_type: str) -> None:
    answer = await send(tracker, body, **{"content-type": content_type})

    assert answer.status_code == 200
    assert (
        answer.json()["accepted"]
        == len(tracker.intake.events)
        == (len(body) if isinstance(body, list) else 1)
    )
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_page_that_the_program_lists_may_send(listed: Tracker) -> None:
    answer = await send(listed, [{"programId": ID}])

    assert answer.json()["accepted"] == 1
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_page_of_another_origin_is_refused_and_nothing_is_stored(
    listed: Tracker, origin: str
) -> None:
    answer = await send(listed, [{"programId": ID}, {"programId": ID}], origin=origin)

    assert answer.status_code == 403
    assert [error["reason"] for error in answer.json()["errors"]] == ["origin_not_allowed"] * 2
    assert "access-control-allow-origin" not in answer.headers
    assert origin not in answer.text
    assert listed.intake.events == []


async def test_each_program_of_a_batch_has_its_own_list(listed: Tracker) -> None:
    listed.truth.records["open"] = Record(VERSION, program(program_id="open"))

    answer = await send(listed, [{"programId": ID}, {"programId": "open"}], origin="https://evil.example")

    assert answer.status_code == 200
    assert [error["index"] for error in answer.json()["errors"]] == [0]
    assert [event.program.program_id for event in listed.intake.events] == ["open"]


async def test_what_is_to_be_sent_again_says_when_to_a_page(tracker: Tracker) -> None:
    tracker.set_program(privacy="full")
    tracker.intake.refusals["full"] = BufferFullError("full")

    answer = await send(tracker, [{"programId": ID, "visitor": "full"}, {"programId": ID}])

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["access-control-expose-headers"] == "retry-after"
    assert [result["index"] for result in answer.json()["results"]] == [1]


@pytest.mark.parametrize("body", ["", "[]", "no JSON"])
async def test_what_is_no_batch_is_a_problem_that_a_page_can_read(tracker: Tracker, body: str) -> None:
    answer = await tracker.client.post("/beacon", content=body, headers=SHOP)

    assert (answer.status_code, answer.json()["reason"]) == (400, "malformed")
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_preflight_lets_pages_ask_and_remember(tracker: Tracker) -> None:
    headers = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }

    answer = await tracker.client.options("/beacon", headers=headers)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "content-type"
    assert answer.headers["access-control-max-age"] == "86400"
    assert "access-control-allow-credentials" not in answer.headers
