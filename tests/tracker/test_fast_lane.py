"""Plain views are answered past Sanic, and as Sanic answers them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from schemas.errors import BufferFullError
from schemas.events import Event
from tests.abuse.wire import Answer, request, wire
from tests.tracker.server import ID, Serve, Tracker
from tests.tracker.task import eventually
from workers.runtime.actor import Waiter

SLOW = "Connection: keep-alive"
"""Makes a request one that is not plain."""
CHROME = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0.0.0"


class Held:
    """An intake that confirms when it is told to."""

    def __init__(self, tracker: Tracker) -> None:
        self.waiters: list[Waiter[None]] = []
        self.came = asyncio.Event()
        tracker.intake.post = self._post  # type: ignore[method-assign]

    def _post(self, event: Event, waiter: Waiter[None], **_: Any) -> None:
        self.waiters.append(waiter)
        self.came.set()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/event/{ID}", ()),
        (f"/event/{ID}", (CHROME, "Accept-Encoding: gzip", "X-Forwarded-For: 198.51.100.7, 192.0.2.1")),
        (f"/event/{ID}?visitor=a%20b&kind=click&kind=view&value=1.5&x=&y", ("Referer: https://a.example/",)),
        (f"/event/{ID}?checksum=wrong&userAgent=%C3%BC", ("Cookie: a=b; visitor=v; visitor=w",)),
        (f"/event/{ID}", ("Cookie: visitor=v", "DNT: 1")),
        (f"/event/{ID}", ("Cookie: visitor=v", "Sec-GPC: 1")),
        (f"/event/{ID}", ("Purpose: prefetch",)),
        (f"/event/{ID}", ("User-Agent: Googlebot/2.1",)),
        (f"/event/{ID}", ("User-Agent: ü\xff".encode("latin-1"),)),
        (f"/event/{ID}?kind=purchase", ()),
        (f"/event/{ID}?visitor=refused", ()),
        (f"/event/{ID}", ("Origin: https://evil.example",)),
        ("/event/unknown", ()),
    ],
)
@pytest.mark.parametrize("privacy", ["full", "truncate"])
async def test_a_plain_view_is_answered_as_sanic_answers_it(
    serve: Serve, path: str, headers: tuple[str | bytes, ...], privacy: str
) -> None:
    async with serve(proxy_hops=1) as tracker:
        tracker.set_program(privacy=privacy, origins=("https://shop.example",))
        tracker.intake.refusals["refused"] = BufferFullError("full")
        await tracker.programs.get(ID)

        fast, slow = await _answers(tracker, path, headers)

        assert fast.status == slow.status
        assert _without_id(fast) == _without_id(slow)
        assert [_stored(event) for event in tracker.intake.events[:1]] == [
            _stored(event) for event in tracker.intake.events[1:]
        ]
        assert set(tracker.services.tracking.outcomes.values()) <= {2}
        assert sum(tracker.app.ctx.answers.values()) == 2
        assert len(tracker.app.ctx.answers) == 1


async def test_a_program_that_has_a_limit_keeps_it(tracker: Tracker) -> None:
    tracker.set_program(rate_per_s=2)
    await tracker.programs.get(ID)

    async with wire(tracker) as line:
        statuses = [(await line.ask(request())).status for _ in range(4)]

    assert statuses == [200, 200, 429, 429]


async def test_what_comes_before_an_answer_waits_its_turn(tracker: Tracker) -> None:
    await tracker.programs.get(ID)
    held = Held(tracker)
    async with wire(tracker) as line:
        await line.send(request())
        await held.came.wait()
        await line.send(request(path="/nowhere") + request(path="/health/live"))
        held.waiters[0].set_result(None)

        answers = [await line.answer() for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 404, 200]


async def test_a_client_that_left_is_answered_no_more(tracker: Tracker) -> None:
    await tracker.programs.get(ID)
    held = Held(tracker)
    async with wire(tracker) as line:
        await line.send(request())
        await held.came.wait()
    await eventually(_none_connected(tracker))

    held.waiters[0].set_result(None)

    assert held.waiters[0].done()


async def test_a_task_that_stops_first_answers_and_then_closes(serve: Serve) -> None:
    async with serve() as tracker:
        await tracker.programs.get(ID)
        held = Held(tracker)
        async with wire(tracker) as line:
            await line.send(request())
            await held.came.wait()
            tracker.app.ctx.draining = True
            (connection,) = tracker.app.ctx.connections
            assert not connection.close_if_idle()
            held.waiters[0].set_result(None)

            answer = await line.answer()

            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await line.ended() == b""


async def test_a_connection_is_not_idle_while_its_answer_is_awaited(serve: Serve) -> None:
    async with serve(keep_alive_timeout_ms=200) as tracker:
        await tracker.programs.get(ID)
        held = Held(tracker)
        async with wire(tracker) as line:
            await line.send(request())
            await held.came.wait()
            asyncio.get_running_loop().call_later(0.5, held.waiters[0].set_result, None)

            assert (await line.answer()).status == 200
            assert await line.ended() == b""


async def test_a_bug_is_a_500_that_gives_nothing_away(
    tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    await tracker.programs.get(ID)
    tracker.intake.post = None  # type: ignore[assignment,method-assign]

    async with wire(tracker) as line:
        answer = await line.ask(request())

    assert (answer.status, answer.json["reason"]) == (500, "internal_error")
    assert b"NoneType" not in answer.body
    assert "TypeError" in caplog.text


async def _answers(tracker: Tracker, path: str, headers: tuple[str | bytes, ...]) -> tuple[Answer, Answer]:
    async with wire(tracker) as line:
        return await line.ask(request(*headers, path=path)), await line.ask(
            request(*headers, SLOW, path=path)
        )


def _none_connected(tracker: Tracker) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return not tracker.app.ctx.connections

    return probe


def _without_id(answer: Answer) -> tuple[dict[str, str], Any]:
    answer.headers.pop("alt-svc", None)  # Sanic leaves it out where it runs by itself
    if answer.headers.get("content-encoding") == "gzip":
        return answer.headers | {"content-length": ""}, None
    return answer.headers, json.loads(answer.body) | {"messageId": ""}


def _stored(event: Event) -> Any:
    names = set(event.__struct_fields__) - {"message_id"}
    return type(event), {name: getattr(event, name) for name in names}
