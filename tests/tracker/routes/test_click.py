"""The click: it leads where the program says, and nowhere that a request says without the program's key."""

import re
from collections.abc import Mapping
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from schemas.errors import BufferFullError
from schemas.events import Click
from tests.factories import program
from tests.tracker.server import ID, Serve, Tracker
from tracker.signatures import sign

PATH = f"/click/{ID}"
SHOP = "https://shop.example/{program_id}/landing?c={click_id}&v={visitor}#top"
FALLBACK = "https://shop.example/sorry"
SIGNED = "https://partner.example/p?x={click_id}"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.fixture
def shop(tracker: Tracker) -> Tracker:
    """A tracker whose program leads to a shop."""
    tracker.set_program(destination=SHOP, fallback=FALLBACK, privacy="full")
    return tracker


def signed(tracker: Tracker, url: str, **fields: Any) -> dict[str, str]:
    key = tracker.services.signatures.key_of(program(**fields))
    return {"url": url, "signature": sign(key, url)}


def assert_page(answer: httpx.Response, status: int, outcome: str) -> None:
    assert (answer.status_code, answer.headers["x-outcome"]) == (status, outcome)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert '<html lang="en">' in answer.text
    assert answer.text.count("<h1>") == 1
    assert "location" not in answer.headers


async def test_a_click_leads_to_the_destination_with_what_is_known_filled_in(shop: Tracker) -> None:
    answer = await shop.client.get(PATH, params={"visitor": "a&b/c"})

    (event,) = shop.intake.events
    assert isinstance(event, Click)
    assert event.click_id == str(event.message_id)
    assert answer.status_code == 302
    assert answer.headers["location"] == (
        f"https://shop.example/{ID}/landing?c={event.click_id}&v=a%26b%2Fc#top"
    )
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-outcome"] == "accepted"
    assert answer.content == b""


async def test_a_click_that_comes_again_with_its_id_leads_to_the_same_place(shop: Tracker) -> None:
    params = {"messageId": "0190e8a3-6a1c-7000-8000-000000000001", "visitor": "v"}

    locations = [(await shop.client.get(PATH, params=params)).headers["location"] for _ in range(2)]

    assert locations[0] == locations[1]
    assert params["messageId"] in locations[0]


async def test_a_click_may_bring_its_own_click_id(shop: Tracker) -> None:
    answer = await shop.client.get(PATH, params={"clickId": "theirs", "kind": "view"})

    assert "c=theirs&" in answer.headers["location"]
    assert isinstance(shop.intake.events[0], Click)


@pytest.mark.parametrize(("privacy", "headers"), [("anonymous", {}), ("full", {"sec-gpc": "1"})])
async def test_a_destination_is_not_told_a_visitor_that_may_not_be_kept(
    tracker: Tracker, privacy: str, headers: dict[str, str]
) -> None:
    tracker.set_program(destination=SHOP, privacy=privacy)

    answer = await tracker.client.get(PATH, params={"visitor": "alice"}, headers=headers)

    assert answer.status_code == 302
    assert "alice" not in answer.headers["location"]
    assert "set-cookie" not in answer.headers


async def test_a_visitor_is_named_where_the_program_may(shop: Tracker) -> None:
    answer = await shop.client.get(PATH)

    visitor = shop.intake.events[0].visitor
    assert visitor
    assert f"visitor={visitor};" in answer.headers["set-cookie"]
    assert f"v={visitor}#" in answer.headers["location"]


@pytest.mark.parametrize("headers", [{"user-agent": GOOGLEBOT}, {"sec-purpose": "prefetch"}])
async def test_a_bot_and_a_prefetch_are_led_where_people_are(shop: Tracker, headers: dict[str, str]) -> None:
    answer = await shop.client.get(PATH, headers=headers)

    assert answer.headers["location"].startswith(f"https://shop.example/{ID}/landing")
    assert shop.intake.events[0].valid is False


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"active": False}, "program_inactive"),
        ({"starts_at_ms": 2**52}, "program_not_started"),
        ({"ends_at_ms": 1}, "program_expired"),
        ({"budget_spent": True}, "budget_spent"),
    ],
)
@pytest.mark.parametrize("fallback", [FALLBACK, None])
async def test_a_program_that_does_not_count_leads_to_its_fallback_or_says_so(
    tracker: Tracker, fields: dict[str, Any], reason: str, fallback: str | None
) -> None:
    tracker.set_program(destination=SHOP, fallback=fallback, **fields)

    answer = await tracker.client.get(PATH, params=signed(tracker, SIGNED))

    if fallback:
        assert (answer.status_code, answer.headers["x-outcome"]) == (302, reason)
        assert answer.headers["location"].startswith(f"{FALLBACK}?click_id=")
    else:
        assert_page(answer, 404, reason)
    assert tracker.intake.events[0].reason == reason


async def test_a_program_without_a_destination_says_so_and_keeps_the_click(tracker: Tracker) -> None:
    assert_page(await tracker.client.get(PATH), 404, "no_destination")

    assert len(tracker.intake.events) == 1


async def test_a_url_that_the_programs_key_signed_is_followed(shop: Tracker) -> None:
    answer = await shop.client.get(PATH, params=signed(shop, SIGNED))

    assert answer.headers["location"] == f"https://partner.example/p?x={shop.intake.events[0].click_id}"


@pytest.mark.parametrize(("version", "status"), [(1, 302), (2, 302), (3, 403)])
async def test_a_signature_holds_for_one_rotation(tracker: Tracker, version: int, status: int) -> None:
    tracker.set_program(destination=SHOP, key_version=version)

    answer = await tracker.client.get(PATH, params=signed(tracker, SIGNED, key_version=1))

    assert answer.status_code == status


async def test_a_url_signed_for_another_program_is_refused(shop: Tracker) -> None:
    params = signed(shop, SIGNED, program_id="212314")

    assert_page(await shop.client.get(PATH, params=params), 403, "bad_signature")
    assert shop.intake.events == []


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "https://{visitor}/", "/relative"])
async def test_a_signed_url_that_is_no_destination_is_refused(shop: Tracker, url: str) -> None:
    assert_page(await shop.client.get(PATH, params=signed(shop, url)), 400, "malformed")


async def test_a_signed_url_needs_a_secret(serve: Serve) -> None:
    async with serve(secret="") as tracker:
        tracker.set_program(destination=SHOP)

        assert_page(await tracker.client.get(PATH, params={"url": SIGNED}), 501, "not_configured")
        assert (await tracker.client.get(PATH)).status_code == 302


async def test_a_click_that_is_not_acknowledged_leads_nowhere_yet(shop: Tracker) -> None:
    shop.intake.refusals["v"] = BufferFullError("full")

    answer = await shop.client.get(PATH, params={"visitor": "v"})

    assert_page(answer, 503, "buffer_full")
    assert answer.headers["retry-after"] == "1"


async def test_an_unknown_program_is_a_page_too(tracker: Tracker) -> None:
    assert_page(await tracker.client.get("/click/unknown"), 404, "program_not_found")


HOSTILE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "http:/evil.example",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "@evil.example",
    ":80@evil.example/",
    ".evil.example",
    "#@evil.example",
    "?@evil.example",
    "/../..//evil.example",
    "..",
    ".",
    "%2e%2e",
    "%2f%2fevil.example",
    "%00",
    "\x00",
    "\r\nLocation: https://evil.example",
    "%0d%0aLocation:%20https://evil.example",
    "\r\n\r\n<script>alert(1)</script>",
    "\u560d\u560aSet-Cookie: a=b",
    "\u2028Location: https://evil.example",
    "a b\tc",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "&click_id=evil&c=evil",
    "{click_id}",
    "{visitor}",
    "%7Bvisitor%7D",
    "\u202eelpmaxe.live",
    "\uff0f\uff0fevil.example",
    "evil\u3002example",
    "\U0001f4a9",
    "a" * 256,
]
AS_PARAMETERS = ["visitor", "clickId"]
HOSTILE_HEADERS: list[Mapping[str, str]] = [
    {"host": "evil.example"},
    {"x-forwarded-host": "evil.example"},
    {"x-forwarded-proto": "javascript"},
    {"x-forwarded-for": "<script>alert(1)</script>"},
    {"forwarded": "host=evil.example;proto=https"},
    {"x-original-url": "https://evil.example/"},
    {"x-rewrite-url": "//evil.example/"},
    {"referer": "https://evil.example/<script>alert(1)</script>"},
    {"user-agent": "<script>alert(1)</script>"},
    {"cookie": "visitor=//evil.example"},
    {"cookie": "visitor=a%0d%0aSet-Cookie:evil=1"},
    {"accept": "text/html;<script>"},
    {"location": "https://evil.example/"},
]


def test_there_are_at_least_forty_hostile_inputs() -> None:
    assert len(HOSTILE) * len(AS_PARAMETERS) + len(HOSTILE_HEADERS) >= 40
    assert len(HOSTILE) + len(HOSTILE_HEADERS) >= 40


@pytest.mark.parametrize("template", [SHOP, "https://shop.example/{visitor}/{click_id}/landing"])
@pytest.mark.parametrize("name", AS_PARAMETERS)
@pytest.mark.parametrize("value", HOSTILE)
async def test_no_parameter_leads_away(tracker: Tracker, value: str, name: str, template: str) -> None:
    tracker.set_program(destination=template, privacy="full")

    answer = await tracker.client.get(PATH, params={name: value})

    assert answer.status_code == 302
    assert_leads_to_the_shop(answer)
    filled = answer.headers["location"]
    assert urlsplit(filled).path.count("/") == urlsplit(template).path.count("/")
    assert set(parse_qs(urlsplit(filled).query)) <= {"c", "v"}


@pytest.mark.parametrize("headers", HOSTILE_HEADERS)
async def test_no_header_leads_away(shop: Tracker, headers: Mapping[str, str]) -> None:
    answer = await shop.client.get(PATH, headers=headers)

    assert answer.status_code == 302
    assert_leads_to_the_shop(answer)


@pytest.mark.parametrize("name", ["url", "redirect", "next", "destination", "to", "fallback", "r"])
@pytest.mark.parametrize(
    "value", ["https://evil.example/", "//evil.example", "javascript:alert(1)", *HOSTILE[-12:]]
)
async def test_no_url_of_the_request_is_followed_or_shown(shop: Tracker, name: str, value: str) -> None:
    answer = await shop.client.get(PATH, params={name: value, "signature": "A" * 43})

    if name == "url":
        assert_page(answer, 403, "bad_signature")
        assert value not in unescape(answer.text)
    else:
        assert_leads_to_the_shop(answer)


@pytest.mark.parametrize("value", HOSTILE)
async def test_no_page_shows_what_a_request_says(tracker: Tracker, value: str) -> None:
    answer = await tracker.client.get(PATH, params={"visitor": value, "clickId": value, "referrer": value})

    assert_page(answer, 404, "no_destination")
    assert len(value) == 1 or value not in unescape(answer.text)
    assert len(value) == 1 or value not in str(answer.headers.get("set-cookie"))


def assert_leads_to_the_shop(answer: httpx.Response) -> None:
    (location,) = answer.headers.get_list("location")
    assert re.fullmatch(r"[!#-;=?-\[\]_a-z~]+", location), "neither a space, a control nor a delimiter"
    parts = urlsplit(location)
    assert (parts.scheme, parts.netloc) == ("https", "shop.example")
    assert not {".", ".."} & set(re.sub("%2e", ".", parts.path, flags=re.IGNORECASE).split("/"))
    assert "evil" not in "".join(answer.headers.get_list("set-cookie"))
