"""Clients that take their time: each is let go, and nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.abuse.wire import NORMAL, TIMEOUT_S, Wire, assert_problem, assert_serves, post, request, wire
from tests.tracker.server import ID, Tracker, serving

REQUEST_TIMEOUT_MS = 300
STEP_S = 0.02
BODY = b'{"kind":"click"}'
MANY = 400
TIMES = {
    "request_timeout_ms": REQUEST_TIMEOUT_MS,
    "keep_alive_timeout_ms": 600,
    "ack_timeout_ms": 50,
    "apply_timeout_ms": 50,
    "core_data_timeout_ms": 10,
}


@pytest.fixture
async def tracker() -> AsyncIterator[Tracker]:
    async with serving(**TIMES) as tracker:
        yield tracker
        await assert_serves(tracker)


UNFINISHED = {
    "half a line": b"GET /eve",
    "half a head": request()[:-2],
    "a head without its body": post(BODY, path=f"/event/{ID}")[: -len(BODY)],
    "half a body": post(BODY, path=f"/event/{ID}")[:-3],
    "half a chunk": request("Transfer-Encoding: chunked", method="POST", body=b"ff\r\n{"),
    "no last chunk": request("Transfer-Encoding: chunked", method="POST", body=b"2\r\n{}\r\n"),
}


@pytest.mark.parametrize("part", UNFINISHED.values(), ids=UNFINISHED)
async def test_a_request_that_does_not_go_on_is_a_408(tracker: Tracker, part: bytes) -> None:
    async with wire(tracker) as line:
        answer = await line.ask(part)

        assert_problem(answer, 408, "request_timeout")
        assert await line.ended() == b""
    assert tracker.intake.events == []


TRICKLES = {
    "head": b"GET /event/212313 HTTP/1.1\r\nHost: tracker\r\nX-Padding: " + b"x" * 10_000,
    "body": post(b" " * 10_000, path=f"/event/{ID}"),
    "chunks": request("Transfer-Encoding: chunked", method="POST", body=b"1\r\n \r\n" * 2_000),
}


@pytest.mark.parametrize("data", TRICKLES.values(), ids=TRICKLES)
async def test_bytes_that_trickle_in_buy_no_time(tracker: Tracker, data: bytes) -> None:
    async with wire(tracker) as line, asyncio.TaskGroup() as group:
        trickle = group.create_task(_trickle(line, data))
        assert_problem(await line.answer(), 408, "request_timeout")
        trickle.cancel()
    assert tracker.intake.events == []


async def test_a_body_that_nobody_waits_for_buys_no_time_either(tracker: Tracker) -> None:
    async with wire(tracker) as line, asyncio.TaskGroup() as group:
        trickle = group.create_task(_trickle(line, post(b" " * 10_000, path="/nowhere")))
        assert_problem(await line.answer(), 404, "not_found")
        assert await line.ended() == b""
        trickle.cancel()


async def test_a_connection_that_says_nothing_ends(tracker: Tracker) -> None:
    async with wire(tracker) as line:
        assert (await line.ask(NORMAL)).status == 200
        assert await line.ended() == b""


async def test_a_client_that_reads_no_answers_is_let_go_and_others_are_served_meanwhile(
    tracker: Tracker,
) -> None:
    async with wire(tracker, read_limit_bytes=1_024) as line:
        line.writer.write(request(path="/openapi.json") * MANY)
        await assert_serves(tracker)
        async with asyncio.timeout(TIMEOUT_S):
            while _is_held(tracker, line):  # noqa: ASYNC110
                await asyncio.sleep(STEP_S)

        assert (await line.ended()).count(b"HTTP/1.1 200") < MANY


def _is_held(tracker: Tracker, line: Wire) -> bool:
    """Whether the tracker still has its end of the connection."""
    own = line.writer.get_extra_info("sockname")
    return any(each.transport.get_extra_info("peername") == own for each in tracker.app.ctx.connections)


async def _trickle(line: Wire, data: bytes) -> None:
    """The head at once where a body follows, and then byte by byte."""
    head, end, body = data.rpartition(b"\r\n\r\n")
    await line.send(head + end)
    for at in range(len(body)):
        await line.send(body[at : at + 1])
        await asyncio.sleep(STEP_S)
