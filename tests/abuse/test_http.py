"""Requests that no client should send: each is answered with its reason, and the next one is served."""

import asyncio

import pytest

from tests.abuse.wire import NORMAL, Answer, ask, assert_problem, post, request, wire
from tests.tracker.server import ID, Tracker

VIEW = b'{"kind":"view"}'
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: tracker\r\n\r\n"

MALFORMED_HEADS = {
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
    "no version": b"GET /event/212313\r\n\r\n",
    "version 0.9": b"GET /event/212313 HTTP/0.9\r\n\r\n",
    "version 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "spaces in the path": b"GET /event/a b HTTP/1.1\r\nHost: t\r\n\r\n",
    "two spaces": b"GET  /event/212313 HTTP/1.1\r\nHost: t\r\n\r\n",
    "a path that is not ASCII": "GET /event/ü HTTP/1.1\r\nHost: t\r\n\r\n".encode(),
    "a NUL in the path": b"GET /event/\x00 HTTP/1.1\r\nHost: t\r\n\r\n",
    "a method that is no token": b"G(T /event/212313 HTTP/1.1\r\nHost: t\r\n\r\n",
    "no host": b"GET /event/212313 HTTP/1.1\r\n\r\n",
    "two hosts": request("Host: another"),
    "a header without a colon": request("nonsense"),
    "a header without a name": request(": x"),
    "a folded header": request("X-One: 1", " X-Two: 2"),
    "a NUL in a header": request("X-One: a\x00b"),
    "a bare line feed in a header": request("X-One: a\nTransfer-Encoding: chunked"),
    "a bare carriage return in a header": request("X-One: a\rb"),
    "an authority alone": b"CONNECT tracker:443 HTTP/1.1\r\nHost: t\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED_HEADS.values(), ids=MALFORMED_HEADS)
async def test_a_malformed_head_is_a_400_and_the_end_of_its_connection(tracker: Tracker, data: bytes) -> None:
    async with wire(tracker) as line:
        answer = await line.ask(data + NORMAL)

        assert_problem(answer, 400, "malformed")
        assert answer.headers["connection"] == "close"
        assert await line.ended() == b""
    assert tracker.intake.events == []


SMUGGLING = {
    "length and chunks": ("Content-Length: 4", "Transfer-Encoding: chunked"),
    "chunks and length": ("Transfer-Encoding: chunked", "Content-Length: 4"),
    "two lengths": ("Content-Length: 0", f"Content-Length: {len(SMUGGLED)}"),
    "two lengths in one": (f"Content-Length: 0, {len(SMUGGLED)}",),
    "a space before the colon": ("Transfer-Encoding : chunked",),
    "a tab before the colon": ("Content-Length\t: 0",),
    "chunks in capitals": ("Transfer-Encoding: Chunked",),
    "chunks twice": ("Transfer-Encoding: chunked, chunked",),
    "an unknown coding": ("Transfer-Encoding: xchunked",),
    "identity": ("Transfer-Encoding: identity",),
    "a length with a sign": ("Content-Length: +0",),
    "a negative length": ("Content-Length: -1",),
    "a length in hexadecimal": ("Content-Length: 0x0",),
    "a length in other digits": ("Content-Length: \N{ARABIC-INDIC DIGIT ZERO}",),
    "a length with an underscore": ("Content-Length: 0_0",),
    "an enormous length": (f"Content-Length: {'9' * 4000}",),
    "no length": ("Content-Length:",),
}


@pytest.mark.parametrize("headers", SMUGGLING.values(), ids=SMUGGLING)
async def test_a_body_of_ambiguous_length_ends_the_connection(
    tracker: Tracker, headers: tuple[str, ...]
) -> None:
    async with wire(tracker) as line:
        answer = await line.ask(request(*headers, method="POST", body=b"0\r\n\r\n" + SMUGGLED))

        assert_problem(answer, 400, "malformed")
        assert await line.ended() == b""
    assert tracker.intake.events == []


CHUNKS = {
    "a size that is none": b"zz\r\n" + VIEW,
    "a size in Python's form": b"0xf\r\n" + VIEW + b"\r\n0\r\n\r\n",
    "a negative size": b"-1\r\n" + VIEW,
    "a size without end": b"0" * 200,
    "an enormous size": b"f" * 40 + b"\r\n",
    "a trailer that is a request": b"f\r\n" + VIEW + b"\r\n0\r\nX: GET /smuggled\r\n\r\n",
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
async def test_malformed_chunks_end_the_connection(tracker: Tracker, chunks: bytes) -> None:
    async with wire(tracker) as line:
        answer = await line.ask(request("Transfer-Encoding: chunked", method="POST", body=chunks))

        assert_problem(answer, 400, "malformed")
        assert await line.ended() == b""
    assert tracker.intake.events == []


async def test_a_chunked_body_is_taken(tracker: Tracker) -> None:
    chunks = b"5\r\n" + VIEW[:5] + b"\r\na;note=x\r\n" + VIEW[5:] + b"\r\n0\r\n\r\n"

    answer = await ask(tracker, request("Transfer-Encoding: chunked", method="POST", body=chunks))

    assert answer.status == 200


async def test_pipelined_requests_are_answered_in_their_order(tracker: Tracker) -> None:
    async with wire(tracker) as line:
        await line.send(
            NORMAL + post(b"[]") + request(path="/nowhere") + post(VIEW, path=f"/event/{ID}") + NORMAL
        )

        answers = [await line.answer() for _ in range(5)]

    assert [answer.status for answer in answers] == [200, 400, 404, 200, 200]


async def test_http_1_0_needs_no_host_and_gets_one_answer(tracker: Tracker) -> None:
    async with wire(tracker) as line:
        answer = await line.ask(f"GET /event/{ID} HTTP/1.0\r\n\r\n".encode() + NORMAL)

        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await line.ended() == b""


@pytest.mark.parametrize("method", ["get", "HEAD", "OPTIONS", "TRACE", "PATCH", "DELETE", "X" * 200, "FOO"])
async def test_a_method_that_no_route_has_is_a_405(tracker: Tracker, method: str) -> None:
    async with wire(tracker) as line:
        await line.send(request(method=method))
        head = await line.reader.readuntil(b"\r\n\r\n")

    assert b" 405 " in head.splitlines()[0]
    assert b"allow: get, post" in head.lower()


PATHS = {
    "an encoded slash": ("/event/a%2Fb", 404, "program_not_found"),
    "an encoded NUL": ("/event/%00", 404, "program_not_found"),
    "an encoded line break": ("/event/%0d%0aSet-Cookie:%20a=b", 404, "program_not_found"),
    "half an escape": ("/event/%", 404, "program_not_found"),
    "an escape that is not UTF-8": ("/event/%ff%fe", 404, "program_not_found"),
    "encoded dots": ("/event/%2e%2e", 404, "program_not_found"),
    "dots": ("/event/../programs", 404, "not_found"),
    "dots in front": ("/../../etc/passwd", 404, "not_found"),
    "two slashes": ("//event/212313", 404, "not_found"),
    "no program": ("/event/", 404, "not_found"),
    "a backslash": ("/event\\212313", 404, "not_found"),
    "a file": ("/.git/config", 404, "not_found"),
    "a long program id": (f"/event/{'a' * 3000}", 404, "program_not_found"),
    "a long path": ("/a" * 1500, 404, "not_found"),
    "a template": ("/event/{{7*7}}", 404, "program_not_found"),
    "a script": ("/event/<script>alert(1)</script>", 404, "not_found"),
}


@pytest.mark.parametrize(("path", "status", "reason"), PATHS.values(), ids=PATHS)
async def test_a_tricky_path_finds_nothing(tracker: Tracker, path: str, status: int, reason: str) -> None:
    answer = await ask(tracker, request(path=path))

    assert_problem(answer, status, reason)
    assert tracker.intake.events == []
    assert_no_break(answer)


async def test_an_absolute_url_is_its_path(tracker: Tracker) -> None:
    assert (await ask(tracker, request(path=f"http://elsewhere/event/{ID}"))).status == 200


@pytest.mark.parametrize("size", [4_096, 50_000, 500_000])
async def test_headers_over_the_limit_are_a_413(tracker: Tracker, size: int) -> None:
    async with wire(tracker) as line:
        answer = await line.ask(request(f"X-Padding: {'x' * size}"))

        assert_problem(answer, 413, "too_large")
        await line.ended()


@pytest.mark.parametrize("path", ["/events", f"/event/{ID}", "/nowhere"])
async def test_a_body_over_the_limit_is_refused_and_its_connection_closed(
    tracker: Tracker, path: str
) -> None:
    async with wire(tracker) as line:
        answer = await line.ask(post(b" " * 20_001, path=path))

        assert answer.status in (404, 413)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_over_the_limit_in_chunks_is_a_413(tracker: Tracker) -> None:
    chunks = b"1000\r\n" + b" " * 0x1000 + b"\r\n"

    answer = await ask(tracker, request("Transfer-Encoding: chunked", method="POST", body=chunks * 6))

    assert_problem(answer, 413, "too_large")


async def test_a_body_that_is_announced_and_refused_is_not_waited_for(tracker: Tracker) -> None:
    answer = await ask(tracker, request("Content-Length: 999999999", method="POST", path="/events"))

    assert_problem(answer, 413, "too_large")


async def test_a_client_that_still_sends_what_was_refused_is_not_reset(tracker: Tracker) -> None:
    async with wire(tracker) as line:
        answer = await line.ask(request("Content-Length: 999999999", method="POST", path="/events"))
        assert await line.ended() == b""
        for _ in range(20):
            line.writer.write(b" " * 100_000)
            await line.writer.drain()

        assert_problem(answer, 413, "too_large")


async def test_a_client_that_asks_first_whether_to_go_on_is_told_to(tracker: Tracker) -> None:
    async with wire(tracker) as line:
        await line.send(request("Expect: 100-continue", f"Content-Length: {len(VIEW)}", method="POST"))
        went_on = await line.reader.readuntil(b"\r\n\r\n")
        answer = await line.ask(VIEW)

    assert went_on.startswith(b"HTTP/1.1 100")
    assert answer.status == 200


async def test_another_expectation_is_refused(tracker: Tracker) -> None:
    answer = await ask(tracker, request("Expect: a-pony", "Content-Length: 0", method="POST"))

    assert_problem(answer, 417, "expectation_failed")


async def test_a_client_that_leaves_in_the_middle_is_no_error(
    tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    for part in (b"GET /ev", post(b"x" * 100)[:-50], post(VIEW, path=f"/event/{ID}")):
        async with wire(tracker) as line:
            await line.send(part)
    tracker.truth.answering.clear()
    async with wire(tracker) as line:
        await line.send(request(path="/event/unknown"))
        await tracker.truth.asked.wait()
    await asyncio.sleep(0.05)
    tracker.truth.answering.set()

    assert [record.message for record in caplog.records if record.levelname != "INFO"] == []


def assert_no_break(answer: Answer) -> None:
    """Nothing of the request made a line of its own, be it in a header or in the body."""
    assert "set-cookie" not in answer.headers
    assert b"\n" not in answer.body
