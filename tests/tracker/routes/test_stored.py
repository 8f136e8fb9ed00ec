"""Stored events over HTTP: for the admin, page by page."""

import pytest

from schemas.places import LATEST_MS, Place, encode_cursor
from tests.factories import NOW_MS
from tests.tracker.server import ID, TOKEN, Serve, Tracker, assert_problem
from tracker.openapi import MESSAGE_ID
from tracker.routes.stored import PAGE_DEFAULT, PAGE_MAX
from tracker.stored import Span

PLACE = Place(NOW_MS, MESSAGE_ID)


async def test_a_page_says_how_to_go_on(tracker: Tracker) -> None:
    tracker.stored.last = PLACE

    first = (await tracker.client.get(f"/programs/{ID}/events")).json()
    await tracker.client.get(
        f"/programs/{ID}/events", params={"cursor": first["cursor"], "from": 5, "to": 9, "limit": 3}
    )

    assert [event["messageId"] for event in first["events"]] == [str(MESSAGE_ID)]
    assert tracker.stored.asked == [(Span(0, LATEST_MS), PAGE_DEFAULT, None), (Span(5, 9), 3, PLACE)]


@pytest.mark.parametrize(
    "query",
    [
        *({"limit": 0}, {"limit": PAGE_MAX + 1}, {"from": -1}, {"to": LATEST_MS + 1}, {"to": "noon"}),
        *({"cursor": "mine"}, {"cursor": encode_cursor(PLACE) + "A"}),
    ],
)
async def test_a_query_that_cannot_be_read_is_refused(tracker: Tracker, query: dict[str, str]) -> None:
    assert_problem(await tracker.client.get(f"/programs/{ID}/events", params=query), 400, "malformed")


async def test_a_program_that_cannot_be_has_no_events(tracker: Tracker) -> None:
    assert_problem(await tracker.client.get("/programs/a.b/events"), 404, "program_not_found")


async def test_an_event_is_asked_for_by_its_program_and_id(tracker: Tracker) -> None:
    path = f"/events/{MESSAGE_ID}"

    assert (await tracker.client.get(path, params={"programId": ID})).json()["visitor"] == "v1"
    assert_problem(await tracker.client.get(path, params={"programId": "other"}), 404, "event_not_found")
    assert_problem(await tracker.client.get(path), 400, "malformed")
    assert_problem(await tracker.client.get("/events/1", params={"programId": ID}), 400, "malformed")


async def test_whoever_sent_an_event_is_the_admins_to_know(serve: Serve) -> None:
    async with serve(admin_token="secret") as tracker:
        for path in (f"/programs/{ID}/events", f"/events/{MESSAGE_ID}?programId={ID}"):
            assert_problem(await tracker.client.get(path), 401, "unauthorized")
            assert (await tracker.client.get(path, headers=TOKEN)).status_code == 200
