"""`/live` over HTTP: a page that loads nothing from elsewhere; a stream that ends when it should."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator

import httpx
import msgspec

from schemas.programs import InvalidReason
from tests.tracker.server import Serve, Tracker, assert_problem
from tests.tracker.task import eventually
from tracker.outcomes import ACCEPTED
from tracker.routes.live import PAGE, PARTS

WAIT_S = 5
SIZE_MAX_BYTES = 32_000


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    """Names and ids, as they come."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            yield fields["event"], fields["id"]
            fields = {}


async def test_the_page_may_load_nothing_but_its_own_parts(tracker: Tracker) -> None:
    page = await tracker.client.get("/live")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    loaded = set(re.findall(r'(?:src|href)="(/[^"]+)"', page.text))
    assert {f"/live/{name}" for name in ("main.js", "style.css", "icon.svg")} == loaded


async def test_who_asks_for_nothing_is_sent_to_the_page_wherever_it_is_said_to_come_from(
    tracker: Tracker,
) -> None:
    headers = {"host": "elsewhere.example", "x-forwarded-host": "elsewhere.example"}
    answer = await tracker.client.get("/?next=//elsewhere.example", headers=headers)

    assert (answer.status_code, answer.headers["location"], answer.content) == (302, "/live", b"")


async def test_each_part_loads_only_parts_that_there_are(tracker: Tracker) -> None:
    for name in PARTS:
        part = await tracker.client.get(f"/live/{name}")

        assert part.status_code == 200
        assert set(re.findall(r"from '\./([^']+)'", part.text)) <= set(PARTS)
        assert "http://" not in part.text.replace("http://www.w3.org", "")


async def test_a_browser_that_has_the_page_asks_whether_there_is_a_newer_one(tracker: Tracker) -> None:
    first = await tracker.client.get("/live", headers={"accept-encoding": "gzip"})

    again = await tracker.client.get("/live", headers={"if-none-match": first.headers["etag"]})

    assert (first.headers["cache-control"], first.headers["content-encoding"]) == ("no-cache", "gzip")
    assert (again.status_code, again.content) == (304, b"")


async def test_all_of_the_page_is_less_than_a_photograph(tracker: Tracker) -> None:
    packed = len(PAGE.packed) + sum(len(part.packed) for part in PARTS.values())

    assert packed < SIZE_MAX_BYTES


def test_the_page_tells_what_was_taken_from_what_was_not_by_every_outcome_that_there_is() -> None:
    taken = PARTS["side.js"].body.decode().partition("TAKEN = new Set([")[2].partition("])")[0]

    assert set(re.findall(r"'(\w+)'", taken)) == {ACCEPTED, *InvalidReason}


async def test_it_is_an_event_stream_that_nobody_may_keep(tracker: Tracker) -> None:
    answer = await tracker.client.get("/live/stream?once=true")

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.startswith("retry: 1000\n\nid: ")
    data = msgspec.json.decode(answer.text.partition("data: ")[2])
    assert [each["task"] for each in data["state"]] == ["this"]


async def test_who_comes_back_with_the_last_id_is_given_no_second_snapshot(tracker: Tracker) -> None:
    first = await tracker.client.get("/live/stream?once=true")
    last_id = first.text.partition("id: ")[2].partition("\n")[0]

    again = await tracker.client.get("/live/stream?once=true", headers={"last-event-id": last_id})

    assert again.text == "retry: 1000\n\n"


async def test_who_leaves_is_not_watching_any_more(tracker: Tracker) -> None:
    live = tracker.services.live
    async with tracker.client.stream("GET", "/live/stream") as answer:
        async with asyncio.timeout(WAIT_S):
            assert (await anext(events(answer)))[0] == "snapshot"
        assert live.watchers == 1

    await eventually(lambda: _is(live.watchers == 0))


async def test_one_more_than_may_watch_is_told_to_come_again(serve: Serve) -> None:
    async with serve(live_watchers_max=1) as tracker, tracker.client.stream("GET", "/live/stream") as first:
        assert first.status_code == 200

        refused = await tracker.client.get("/live/stream?once=true")

        assert_problem(refused, 503, "too_many_watchers")
        assert refused.headers["retry-after"] == "1"


async def test_a_stopping_task_ends_the_stream_and_refuses_new_ones(tracker: Tracker) -> None:
    async with tracker.client.stream("GET", "/live/stream") as answer:
        names = events(answer)
        await anext(names)

        tracker.services.live.close()

        async with asyncio.timeout(WAIT_S):
            assert [each async for each in names] == []
    assert_problem(await tracker.client.get("/live/stream?once=true"), 503, "draining")


async def test_a_reader_that_does_not_read_is_dropped(serve: Serve) -> None:
    async with serve(live_send_timeout_ms=100, live_interval_ms=1) as tracker:
        board = tracker.services.live._board
        for number in range(200):
            board.put(("programs", str(number)), "x" * 100_000)
        tracker.services.live._show()
        with socket.create_connection((tracker.client.base_url.host, tracker.client.base_url.port)) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            deaf.sendall(b"GET /live/stream HTTP/1.1\r\nhost: x\r\n\r\n")

            await eventually(lambda: _is(tracker.services.live.watchers == 1))
            await eventually(lambda: _is(tracker.services.live.watchers == 0))


async def test_a_query_that_cannot_be_read_is_refused(tracker: Tracker) -> None:
    assert_problem(await tracker.client.get("/live/stream?once=maybe"), 400, "malformed")


async def _is(condition: bool) -> bool:
    return condition
