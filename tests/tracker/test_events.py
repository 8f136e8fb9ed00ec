from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from tests.factories import NOW_MS, program
from tracker.events import EventMaker, Tracked, traces_of
from tracker.privacy import Signals, Traces
from tracker.requests import EventRequest
from tracker.sender import Sender
from tracker.user_agents import UserAgents
from tracker.visitors import VisitorHashes

BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
BROWSER = Sender(ip_address("203.0.113.77"), "Firefox/140.0", "https://news.example/a", keeps_cookies=True)

maker = EventMaker(UserAgents(remembered=10), VisitorHashes(b"0123456789abcdef0123456789abcdef"))


def made(asked: EventRequest, sender: Sender, **fields: Any) -> Tracked:
    return maker.make(program(**({"privacy": "full"} | fields)), asked, sender, now_ms=NOW_MS)


def test_what_a_client_says_of_a_sender_goes_before_what_its_request_says() -> None:
    cookie = replace(BROWSER, visitor="cookie")
    said = EventRequest(user_agent="passed on", referrer="https://shop.example/", visitor="said")

    assert traces_of(EventRequest(), cookie) == Traces(
        cookie.address, cookie.user_agent, "cookie", "https://news.example/a"
    )
    assert traces_of(said, cookie) == Traces(cookie.address, "passed on", "said", "https://shop.example/")


def test_a_message_id_is_made_where_none_was_given() -> None:
    own = UUID("01999999-0000-7000-8000-000000000001")

    assert made(EventRequest(message_id=own), BROWSER).event.message_id == own
    assert made(EventRequest(), BROWSER).event.message_id.version == 7


@pytest.mark.parametrize(
    ("fields", "sender", "reason", "counts"),
    [
        ({}, BROWSER, None, True),
        ({}, replace(BROWSER, user_agent=BOT), "bot", True),
        ({}, replace(BROWSER, prefetches=True), "prefetch", True),
        ({"active": False}, BROWSER, "program_inactive", False),
        ({"active": False}, replace(BROWSER, user_agent=BOT), "bot", False),
        ({"active": False}, replace(BROWSER, prefetches=True), "prefetch", False),
    ],
)
def test_whether_a_program_counts_is_told_apart_from_who_sent_the_event(
    fields: dict[str, Any], sender: Sender, reason: str | None, counts: bool
) -> None:
    tracked = made(EventRequest(), sender, **fields)

    assert (tracked.event.valid, tracked.event.reason) == (reason is None, reason)
    assert tracked.counts is counts


def test_a_new_visitor_is_the_events_own() -> None:
    tracked = made(EventRequest(), BROWSER)

    assert tracked.new_visitor is not None
    assert tracked.event.visitor == tracked.event.key == tracked.new_visitor


@pytest.mark.parametrize(
    ("asked", "sender", "privacy"),
    [
        (EventRequest(visitor="v"), BROWSER, "full"),
        (EventRequest(), replace(BROWSER, visitor="v"), "full"),
        (EventRequest(), replace(BROWSER, keeps_cookies=False), "full"),
        (EventRequest(), replace(BROWSER, user_agent=BOT), "full"),
        (EventRequest(), replace(BROWSER, prefetches=True), "full"),
        (EventRequest(), replace(BROWSER, signals=Signals(do_not_track=True)), "full"),
        (EventRequest(), BROWSER, "truncate"),
        (EventRequest(), BROWSER, "anonymous"),
    ],
)
def test_nobody_else_is_given_a_name(asked: EventRequest, sender: Sender, privacy: str) -> None:
    assert made(asked, sender, privacy=privacy).new_visitor is None


FLAGGED = "visitor-1"


@pytest.mark.parametrize("privacy", ["full", "truncate"])
def test_a_flagged_visitor_is_known_by_what_privacy_left_of_it(privacy: str) -> None:
    asked = EventRequest(visitor=FLAGGED)
    kept = made(asked, BROWSER, privacy=privacy).event.visitor
    assert kept is not None

    tracked = made(asked, BROWSER, privacy=privacy, flagged={kept: NOW_MS + 1})

    assert (tracked.event.valid, tracked.event.reason, tracked.counts) == (False, "flood", True)


def test_what_is_not_kept_of_a_visitor_is_not_judged_by_it() -> None:
    asked, flagged = EventRequest(visitor=FLAGGED), {FLAGGED: NOW_MS + 1}

    assert made(asked, BROWSER, privacy="truncate", flagged=flagged).event.valid
    assert made(asked, BROWSER, privacy="anonymous", flagged=flagged).event.valid


@pytest.mark.parametrize(
    ("fields", "sender", "reason"),
    [
        ({}, BROWSER, "flood"),
        ({}, replace(BROWSER, user_agent=BOT), "bot"),
        ({"budget_spent": True}, BROWSER, "budget_spent"),
    ],
)
def test_a_flood_is_the_last_reason_of_all(fields: dict[str, Any], sender: Sender, reason: str) -> None:
    assert made(EventRequest(), sender, flooded_until_ms=NOW_MS + 1, **fields).event.reason == reason
