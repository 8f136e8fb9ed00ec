"""Privacy, bots and limits, over HTTP: every way in goes through them."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest

from schemas.events import Event
from schemas.programs import Privacy
from tests.factories import NOW_MS
from tests.tracker.server import ID, Serve, Tracker, assert_problem

SECRET = "0123456789abcdef0123456789abcdef"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
REFERRER = "https://news.example/article?reader=visitor-1"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
GPC, DNT = {"sec-gpc": "1"}, {"dnt": "1"}
SENT = {"x-forwarded-for": "6.6.6.6, 203.0.113.77", "user-agent": AGENT, "referer": REFERRER}

Headers = dict[str, str]
Ask = Callable[[httpx.AsyncClient, Headers], Awaitable[httpx.Response]]


async def get(client: httpx.AsyncClient, headers: Headers) -> httpx.Response:
    return await client.get(f"/event/{ID}?visitor=visitor-1", headers=headers)


async def post(client: httpx.AsyncClient, headers: Headers) -> httpx.Response:
    return await client.post(f"/event/{ID}", json={"visitor": "visitor-1"}, headers=headers)


async def get_with_cookie(client: httpx.AsyncClient, headers: Headers) -> httpx.Response:
    return await client.get(f"/event/{ID}", headers=headers | {"cookie": "a=b; visitor=visitor-1"})


async def post_with_everything(client: httpx.AsyncClient, headers: Headers) -> httpx.Response:
    told = {"userAgent": headers["user-agent"], "referrer": headers["referer"]}
    body = msgspec.msgpack.encode({"visitor": "visitor-1"} | told)
    plain = {name: value for name, value in headers.items() if name not in ("user-agent", "referer")}
    return await client.post(
        f"/event/{ID}", content=body, headers=plain | {"content-type": "application/msgpack"}
    )


async def batch(client: httpx.AsyncClient, headers: Headers) -> httpx.Response:
    return await client.post("/events", json=[{"programId": ID, "visitor": "visitor-1"}], headers=headers)


WAYS_IN: list[Ask] = [get, post, get_with_cookie, post_with_everything, batch]


@pytest.fixture(params=WAYS_IN)
def way_in(request: pytest.FixtureRequest) -> Ask:
    way_in: Ask = request.param
    return way_in


@pytest.mark.parametrize(
    ("privacy", "signals", "kept"),
    [
        ("full", {}, "full"),
        ("full", DNT, "truncate"),
        ("full", GPC, "anonymous"),
        ("truncate", {}, "truncate"),
        ("truncate", DNT, "truncate"),
        ("truncate", GPC, "anonymous"),
        ("anonymous", {}, "anonymous"),
        ("anonymous", DNT, "anonymous"),
        ("anonymous", GPC | DNT, "anonymous"),
    ],
)
async def test_what_an_event_holds_of_its_sender(
    serve: Serve, way_in: Ask, privacy: Privacy, signals: Headers, kept: str
) -> None:
    async with serve(secret=SECRET, proxy_hops=1) as tracker:
        tracker.set_program(privacy=privacy)
        answer = await way_in(tracker.client, SENT | signals)

    assert answer.status_code == 200
    assert (
        held(tracker.intake.events[0])
        == {
            "full": ("203.0.113.77", AGENT, "visitor-1", REFERRER),
            "truncate": ("203.0.113.0", "Firefox", "Hash", "https://news.example/"),
            "anonymous": (None, None, None, "https://news.example/"),
        }[kept]
    )


def held(event: Event) -> tuple[str | None, ...]:
    visitor = event.visitor if event.visitor in (None, "visitor-1") else "Hash"
    return event.client_address, event.user_agent, visitor, event.referrer


@pytest.mark.parametrize("privacy", ["full", "truncate", "anonymous"])
async def test_a_client_is_told_its_own_user_agent_whatever_is_stored(tracker: Tracker, privacy: str) -> None:
    tracker.set_program(privacy=privacy)

    answers = [await ask(tracker.client, SENT) for ask in (get, post, post_with_everything)]

    assert [answer.json()["userAgent"] for answer in answers] == [AGENT] * 3
    assert all(len(answer.json()) == 8 for answer in answers)


async def test_what_keeps_its_order_in_the_stream_is_the_private_visitor(serve: Serve) -> None:
    keys = {}
    for privacy in ("full", "truncate", "anonymous"):
        async with serve(secret=SECRET) as tracker:
            tracker.set_program(privacy=privacy)
            await tracker.client.get(f"/event/{ID}?visitor=visitor-1&clickId=click-1")
            (event,) = tracker.intake.events
            keys[privacy] = event.key

    assert (keys["full"], keys["anonymous"]) == ("visitor-1", "click-1")
    assert keys["truncate"] not in ("visitor-1", "click-1")


async def test_two_tasks_with_one_secret_know_a_visitor_by_one_hash(serve: Serve) -> None:
    seen = []
    for secret in (SECRET, SECRET, SECRET[::-1], ""):
        async with serve(secret=secret) as tracker:
            await get(tracker.client, {})
            seen.append(tracker.intake.events[0].visitor)

    assert seen[0] == seen[1]
    assert len({"visitor-1", *seen}) == 4


async def test_without_proxies_of_ours_nobody_says_where_it_comes_from(tracker: Tracker) -> None:
    tracker.set_program(privacy="full")

    await tracker.client.get(
        f"/event/{ID}", headers={"x-forwarded-for": "203.0.113.77", "forwarded": "for=6.6.6.6"}
    )

    assert tracker.intake.events[0].client_address == "127.0.0.1"


async def test_an_event_lives_as_long_as_its_program_says(tracker: Tracker) -> None:
    tracker.set_program(retention_days=30)

    await get(tracker.client, {})

    assert tracker.intake.events[0].retention_days == 30
    assert tracker.intake.events[0].received_at_ms == NOW_MS


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"user-agent": BOT}, "bot"),
        ({"sec-purpose": "prefetch;prerender"}, "prefetch"),
        ({"purpose": "prefetch"}, "prefetch"),
        ({"x-moz": "prefetch"}, "prefetch"),
        ({"user-agent": BOT, "purpose": "prefetch"}, "bot"),
    ],
)
@pytest.mark.parametrize("privacy", ["full", "truncate", "anonymous"])
async def test_what_no_person_did_is_stored_and_does_not_count(
    tracker: Tracker, way_in: Ask, headers: Headers, reason: str, privacy: str
) -> None:
    tracker.set_program(privacy=privacy)

    await way_in(tracker.client, SENT | headers)

    (event,) = tracker.intake.events
    assert (event.valid, event.reason) == (False, reason)


async def test_a_bot_is_one_by_the_user_agent_that_a_server_passes_on(tracker: Tracker) -> None:
    items = [{"programId": ID, "userAgent": agent} for agent in (AGENT, BOT)]

    answer = await tracker.client.post("/events", json=items, headers={"user-agent": "python-requests/2.32"})

    assert [result["valid"] for result in answer.json()["results"]] == [True, False]
    assert answer.json()["results"][1]["reason"] == "bot"


async def test_a_bot_at_a_program_that_is_over_is_a_bot(tracker: Tracker) -> None:
    tracker.set_program(active=False)

    await tracker.client.get(f"/event/{ID}", headers={"user-agent": BOT})

    assert tracker.intake.events[0].reason == "bot"


@pytest.mark.parametrize(
    "program", [{"rate_per_s": 2}, {"rate_per_address_per_s": 2}, {}], ids=["program", "its address", "task"]
)
async def test_past_a_limit_a_request_is_a_429_that_says_when_to_come_again(
    serve: Serve, program: dict[str, Any]
) -> None:
    async with serve(rate_per_address_per_s=None if program else 2) as tracker:
        tracker.set_program(**program)
        answers = [await tracker.client.get(f"/event/{ID}") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert_problem(answers[3], 429, "rate_limited")
    assert answers[3].headers["retry-after"] == "1"
    assert len(tracker.intake.events) == 2


async def test_a_batch_is_taken_up_to_the_limit_and_the_rest_is_to_be_sent_again(tracker: Tracker) -> None:
    tracker.set_program(rate_per_s=3)
    items = [{"programId": ID, "visitor": f"v{number}"} for number in range(5)]

    answer = await tracker.client.post("/events", json=items)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (3, 2)
    assert [(error["index"], error["reason"]) for error in answer.json()["errors"]] == [
        (3, "rate_limited"),
        (4, "rate_limited"),
    ]


async def test_behind_proxies_each_client_has_a_rate_of_its_own(serve: Serve) -> None:
    async with serve(rate_per_address_per_s=1, proxy_hops=1) as tracker:
        answers = [
            await tracker.client.get(f"/event/{ID}", headers={"x-forwarded-for": f"6.6.6.6, {client}"})
            for client in ("203.0.113.1", "203.0.113.2", "203.0.113.1")
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
