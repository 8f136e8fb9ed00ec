"""The pixel: always an image, whatever became of the event."""

from http.cookies import SimpleCookie
from typing import cast

import httpx
import pytest

from schemas.errors import BufferFullError
from schemas.events import Click, View
from schemas.redis import Record
from tests.tracker.server import ID, Tracker

PATH = f"/pixel/{ID}.gif"


def assert_image(answer: httpx.Response, outcome: str) -> None:
    assert (answer.status_code, answer.headers["x-outcome"]) == (200, outcome)
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.content) == 43
    assert answer.content.startswith(b"GIF89a")


async def test_an_image_is_a_view(tracker: Tracker) -> None:
    tracker.set_program(privacy="full")

    answer = await tracker.client.get(PATH, params={"visitor": "v"})

    assert_image(answer, "accepted")
    (event,) = tracker.intake.events
    assert isinstance(event, View)
    assert event.visitor == "v"


async def test_an_image_may_be_another_kind_of_event(tracker: Tracker) -> None:
    assert_image(await tracker.client.get(PATH, params={"kind": "click"}), "accepted")

    assert isinstance(tracker.intake.events[0], Click)


async def test_an_event_that_does_not_count_is_sent_and_the_image_says_why(tracker: Tracker) -> None:
    tracker.set_program(active=False)

    assert_image(await tracker.client.get(PATH), "program_inactive")

    assert len(tracker.intake.events) == 1


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/pixel/unknown.gif", "program_not_found"),
        ("/pixel/%0d%0aset-cookie:x.gif", "program_not_found"),
        (f"{PATH}?kind=purchase", "malformed"),
        (f"{PATH}?messageId=%0d%0ax:y", "malformed"),
        (f"{PATH}?visitor=full", "buffer_full"),
    ],
)
async def test_what_is_not_taken_is_an_image_too(tracker: Tracker, path: str, outcome: str) -> None:
    tracker.set_program(privacy="full")
    tracker.intake.refusals["full"] = BufferFullError("full")

    assert_image(await tracker.client.get(path), outcome)

    assert tracker.intake.events == []


async def test_a_bug_is_an_image_and_is_logged(tracker: Tracker, caplog: pytest.LogCaptureFixture) -> None:
    tracker.truth.records[ID] = cast(Record, "no record")

    assert_image(await tracker.client.get(PATH), "internal_error")

    assert "AttributeError" in caplog.text


async def test_a_head_shows_the_image_and_stores_nothing(tracker: Tracker) -> None:
    answer = await tracker.client.head(PATH)

    assert (answer.status_code, answer.headers["x-outcome"]) == (200, "not_stored")
    assert answer.headers["content-length"] == "43"
    assert tracker.intake.events == []


async def test_a_visitor_without_a_name_is_given_one_to_come_back_with(tracker: Tracker) -> None:
    tracker.set_program(privacy="full")

    first = await tracker.client.get(PATH)
    (cookie,) = SimpleCookie(first.headers["set-cookie"]).values()
    second = await tracker.client.get(PATH, headers={"cookie": f"visitor={cookie.value}"})

    assert [event.visitor for event in tracker.intake.events] == [cookie.value] * 2
    assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Lax")
    assert "set-cookie" not in second.headers


@pytest.mark.parametrize(
    ("privacy", "headers"),
    [
        ("full", {"dnt": "1"}),
        ("full", {"sec-gpc": "1"}),
        ("full", {"user-agent": "Googlebot/2.1"}),
        ("full", {"sec-purpose": "prefetch"}),
        ("full", {"cookie": "visitor=v"}),
        ("truncate", {}),
        ("anonymous", {}),
    ],
)
async def test_nobody_else_is(tracker: Tracker, privacy: str, headers: dict[str, str]) -> None:
    tracker.set_program(privacy=privacy)

    answer = await tracker.client.get(PATH, headers=headers)

    assert "set-cookie" not in answer.headers
    assert len(tracker.intake.events) == 1
