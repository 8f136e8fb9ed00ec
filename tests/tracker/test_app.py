"""The tracker over HTTP: a real server and a real client; core data and streams in memory."""

import gzip
import json
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
import pytest

from schemas.errors import BufferFullError, NotAcknowledgedError, TrackerError
from schemas.events import Click, Conversion, Event, View
from schemas.programs import Program
from schemas.redis import Record
from schemas.updates import ProgramChanged
from tests.factories import program
from tests.tracker.server import BODY, ID, TOKEN, Serve, Tracker, assert_problem


async def test_an_event_is_answered_with_the_eight_fields_and_sent(tracker: Tracker) -> None:
    answer = await tracker.client.get(f"/event/{ID}", headers={"user-agent": "curl/7.54.0"})

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    (event,) = tracker.intake.events
    assert answer.json() == {
        "userAgent": "curl/7.54.0",
        "programId": ID,
        "programName": "program2",
        "checksum": "124",
        "customerId": 9124,
        "customerName": "Customer2",
        "messageId": str(event.message_id),
        "valid": True,
    }
    assert event.message_id.version == 7


async def test_an_event_without_a_user_agent_is_sent_all_the_same(tracker: Tracker) -> None:
    request = tracker.client.build_request("GET", f"/event/{ID}")
    del request.headers["user-agent"]

    answer = await tracker.client.send(request)

    assert answer.json()["userAgent"] is None
    assert tracker.intake.events[0].user_agent is None


@pytest.mark.parametrize(("agent", "stored"), [("a" * 2000, "a" * 1024), ("a\xffb", "a?b")])
async def test_an_odd_user_agent_does_not_cost_the_event(tracker: Tracker, agent: str, stored: str) -> None:
    tracker.set_program(privacy="full")
    await tracker.client.get(f"/event/{ID}", headers=[(b"user-agent", agent.encode("latin-1"))])

    assert tracker.intake.events[0].user_agent == stored


async def test_the_clients_own_message_id_is_kept(tracker: Tracker) -> None:
    message_id = uuid4()

    answer = await tracker.client.get(f"/event/{ID}", params={"messageId": str(message_id)})

    assert UUID(answer.json()["messageId"]) == message_id == tracker.intake.events[0].message_id


@pytest.mark.parametrize(("kind", "made"), [("view", View), ("click", Click), ("conversion", Conversion)])
async def test_a_posted_event_has_its_kind(tracker: Tracker, kind: str, made: type[Event]) -> None:
    await tracker.client.post(f"/event/{ID}", json={"kind": kind, "visitor": "v"})

    assert isinstance(tracker.intake.events[0], made)


@pytest.mark.parametrize(
    ("fields", "query", "reason"),
    [
        ({}, {"checksum": "wrong"}, "bad_checksum"),
        ({"active": False}, {}, "program_inactive"),
        ({"starts_at_ms": 2**52}, {}, "program_not_started"),
        ({"ends_at_ms": 1}, {}, "program_expired"),
        ({"budget_spent": True}, {}, "budget_spent"),
        ({"flooded_until_ms": 2**52}, {}, "flood"),
        ({"privacy": "full", "flagged": {"v": 2**52}}, {"visitor": "v"}, "flood"),
    ],
)
async def test_an_event_that_does_not_count_says_why_and_is_sent(
    tracker: Tracker, fields: dict[str, Any], query: dict[str, str], reason: str
) -> None:
    tracker.set_program(**fields)

    answer = await tracker.client.get(f"/event/{ID}", params=query)

    assert answer.status_code == 200
    assert (answer.json()["valid"], answer.json()["reason"]) == (False, reason)
    assert (tracker.intake.events[0].valid, tracker.intake.events[0].reason) == (False, reason)


@pytest.mark.parametrize("program_id", ["unknown", "a" * 65, "%00", "%0d%0aSet-Cookie:x", "..%2f..", "ü"])
async def test_an_unknown_program_is_a_404_and_nothing_is_sent(tracker: Tracker, program_id: str) -> None:
    answer = await tracker.client.get(f"/event/{program_id}")

    assert_problem(answer, 404, "program_not_found")
    assert tracker.intake.events == []


async def test_core_data_that_does_not_answer_is_a_503_with_retry_after(tracker: Tracker) -> None:
    tracker.truth.down = True

    answer = await tracker.client.get("/event/unknown")

    assert_problem(answer, 503, "core_data_unavailable")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("error", [BufferFullError("full"), NotAcknowledgedError("late")])
async def test_an_event_that_is_not_acknowledged_is_a_503(tracker: Tracker, error: TrackerError) -> None:
    tracker.set_program(privacy="full")
    tracker.intake.refusals["v"] = error

    answer = await tracker.client.get(f"/event/{ID}?visitor=v")

    assert_problem(answer, 503, error.reason)


@pytest.mark.parametrize("query", ["messageId=1", "kind=purchase", "value=NaN", "currency=eur"])
async def test_a_bad_parameter_is_a_400(tracker: Tracker, query: str) -> None:
    answer = await tracker.client.get(f"/event/{ID}?{query}")

    assert_problem(answer, 400, "malformed")


async def test_a_program_has_its_own_acknowledgement(tracker: Tracker) -> None:
    tracker.set_program(ack="buffered")

    await tracker.client.get(f"/event/{ID}")
    await tracker.client.post("/events", json=[{"programId": ID}])

    assert tracker.intake.acks == ["buffered", "buffered"]


@pytest.mark.parametrize("origins", [None, ("https://shop.example",)])
async def test_only_pages_that_a_program_lists_send_it_events(
    tracker: Tracker, origins: tuple[str, ...] | None
) -> None:
    tracker.set_program(origins=origins)

    for origin in ("https://evil.example", "https://shop.example.evil.example", "null", ""):
        answer = await tracker.client.get(f"/event/{ID}", headers={"origin": origin})
        if origins:
            assert_problem(answer, 403, "origin_not_allowed")
        else:
            assert answer.status_code == 200
    tracker.intake.events.clear()

    for headers in ({}, {"origin": "https://shop.example"}):
        assert (await tracker.client.get(f"/event/{ID}", headers=headers)).status_code == 200
    assert len(tracker.intake.events) == 2


async def test_an_answer_is_compressed_when_asked_for(tracker: Tracker) -> None:
    async with tracker.client.stream("GET", f"/event/{ID}", headers={"accept-encoding": "gzip"}) as answer:
        body = b"".join([part async for part in answer.aiter_raw()])

    assert answer.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["programId"] == ID


async def test_a_batch_names_its_bad_items_and_keeps_the_good_ones(tracker: Tracker) -> None:
    items: list[object] = [{"programId": ID, "visitor": f"v{n}"} for n in range(10)]
    items[2] = {"programId": "unknown"}
    items[3] = {"kind": "view"}
    items[5] = "no event"
    items[7] = {"programId": ID, "padding": "x" * 20_000}

    answer = await tracker.client.post("/events", json=items)

    body = answer.json()
    assert answer.status_code == 200
    assert (body["accepted"], body["rejected"]) == (6, 4)
    assert [(error["index"], error["reason"]) for error in body["errors"]] == [
        (2, "program_not_found"),
        (3, "malformed"),
        (5, "malformed"),
        (7, "too_large"),
    ]
    assert [result["index"] for result in body["results"]] == [0, 1, 4, 6, 8, 9]
    assert [result["messageId"] for result in body["results"]] == [
        str(event.message_id) for event in tracker.intake.events
    ]


async def test_a_batch_comes_as_json_lines_or_msgpack_too(tracker: Tracker) -> None:
    tracker.set_program(privacy="full")
    items = [{"programId": ID, "visitor": "a"}, {"programId": ID, "visitor": "b", "checksum": "x"}]
    lines = "\n".join(json.dumps(item) for item in items)

    for body, content_type in (
        (lines.encode(), "application/x-ndjson"),
        (msgspec.msgpack.encode(items), "application/msgpack"),
    ):
        answer = await tracker.client.post("/events", content=body, headers={"content-type": content_type})
        assert [result["valid"] for result in answer.json()["results"]] == [True, False]

    assert [event.visitor for event in tracker.intake.events] == ["a", "b", "a", "b"]


async def test_a_batch_of_which_an_item_is_to_be_sent_again_is_a_503(tracker: Tracker) -> None:
    tracker.set_program(privacy="full")
    tracker.intake.refusals["b"] = NotAcknowledgedError("late")

    answer = await tracker.client.post(
        "/events", json=[{"programId": ID, "visitor": "a"}, {"programId": ID, "visitor": "b"}]
    )

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["errors"][0]["index"] == 1
    assert answer.json()["results"][0]["index"] == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"nothing"])
async def test_a_batch_that_is_none_is_a_400(tracker: Tracker, body: bytes) -> None:
    assert_problem(await tracker.client.post("/events", content=body), 400, "malformed")


async def test_limits_of_a_batch_and_of_a_body_are_413(serve: Serve) -> None:
    async with serve(batch_max_items=2, request_max_bytes=1_000) as tracker:
        items = await tracker.client.post("/events", json=[{}] * 3)
        body = await tracker.client.post("/events", content=b"x" * 2_000)

    assert_problem(items, 413, "too_large")
    assert_problem(body, 413, "too_large")


async def test_a_program_is_read_with_its_totals(tracker: Tracker) -> None:
    answer = await tracker.client.get(f"/programs/{ID}")

    assert answer.json()["program"]["name"] == "program2"
    assert answer.json()["totals"] == {"views": 5, "clicks": 3, "conversions": 2, "invalid": 1}


async def test_programs_are_listed_page_by_page(tracker: Tracker) -> None:
    await tracker.client.get("/cache/fill")

    first = (await tracker.client.get("/programs?limit=2")).json()
    second = (await tracker.client.get(f"/programs?limit=2&cursor={first['cursor']}")).json()

    listed = [each["program"]["programId"] for page in (first, second) for each in page["programs"]]
    assert listed == ["212312", "212313", "212314"]
    assert second["cursor"] is None


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "²", "9" * 5000])
async def test_a_bad_page_size_is_a_400(tracker: Tracker, limit: str) -> None:
    assert_problem(await tracker.client.get(f"/programs?limit={limit}"), 400, "malformed")


async def test_a_cursor_that_no_page_gave_is_a_400(tracker: Tracker) -> None:
    assert_problem(await tracker.client.get("/programs?cursor=%00"), 400, "malformed")


async def test_a_wait_that_is_neither_true_nor_false_is_a_400_and_nothing_is_sent(tracker: Tracker) -> None:
    assert_problem(await tracker.client.put(f"/programs/{ID}?wait=soon", json=BODY), 400, "malformed")
    assert tracker.updates.sent == []


async def test_a_change_goes_through_the_update_stream(tracker: Tracker) -> None:
    answer = await tracker.client.put(f"/programs/{ID}", json=BODY)

    assert answer.status_code == 202
    (update,) = tracker.updates.sent
    assert isinstance(update, ProgramChanged)
    assert update.program.name == "renamed"
    assert answer.json() == {"programId": ID, "version": update.program.version, "applied": False}


async def test_a_change_that_is_waited_for_is_there_at_the_next_read(tracker: Tracker) -> None:
    answer = await tracker.client.put(f"/programs/{ID}?wait=true", json=BODY)
    event = await tracker.client.get(f"/event/{ID}")

    assert (answer.status_code, answer.json()["applied"]) == (200, True)
    assert event.json()["programName"] == "renamed"


async def test_a_change_that_does_not_come_back_in_time_is_a_202(serve: Serve) -> None:
    async with serve(apply_timeout_ms=20) as tracker:
        tracker.updates.cut = True
        answer = await tracker.client.put(f"/programs/{ID}?wait=true", json=BODY)

    assert (answer.status_code, answer.json()["applied"]) == (202, False)


async def test_a_change_is_newer_than_what_is_known_even_if_the_clock_lags(tracker: Tracker) -> None:
    ahead = 2**52
    tracker.truth.records[ID] = Record(ahead, program(version=ahead))

    answer = await tracker.client.put(f"/programs/{ID}", json=BODY)

    assert answer.json()["version"] == ahead + 1


async def test_what_the_system_sets_is_not_a_writers_to_say(tracker: Tracker) -> None:
    spent = {"budget": 1000, "budgetSpent": True, "writtenVersion": 1, "floodedUntilMs": 2**52}
    tracker.set_program(budget=1000, budget_spent=True)

    await tracker.client.put(f"/programs/{ID}", json=BODY | spent)

    (update,) = tracker.updates.sent
    assert isinstance(update, ProgramChanged)
    assert (update.program.budget, update.program.budget_spent) == (1000, False)
    assert (update.program.written_version, update.program.flooded_until_ms) == (None, None)


async def test_nobody_is_told_which_visitors_are_flagged(tracker: Tracker) -> None:
    tracker.set_program(flagged={"visitor-1": 2**52}, flooded_until_ms=2**52)

    one, many = [await tracker.client.get(path) for path in (f"/programs/{ID}", "/programs")]

    assert one.json()["program"]["floodedUntilMs"] == 2**52
    assert "visitor-1" not in one.text + many.text


async def test_a_program_can_be_sent_back_as_it_was_read(tracker: Tracker) -> None:
    read = (await tracker.client.get(f"/programs/{ID}")).json()["program"]

    answer = await tracker.client.put(f"/programs/{ID}", json=read)

    assert answer.status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        {},
        BODY | {"name": "n" * 257},
        BODY | {"bugdet": 5},
        BODY | {"budget": -1},
        BODY | {"programId": "another"},
        BODY | {"startsAtMs": 2, "endsAtMs": 1},
        BODY | {"destination": "javascript:alert(1)"},
        BODY | {"privacy": "none"},
        [],
    ],
)
async def test_a_bad_program_is_a_400_and_nothing_is_sent(tracker: Tracker, body: object) -> None:
    assert_problem(await tracker.client.put(f"/programs/{ID}", json=body), 400, "malformed")
    assert tracker.updates.sent == []


async def test_a_deleted_program_is_gone(tracker: Tracker) -> None:
    answer = await tracker.client.delete(f"/programs/{ID}?wait=true")

    assert answer.status_code == 200
    assert_problem(await tracker.client.get(f"/event/{ID}"), 404, "program_not_found")


async def test_a_change_that_cannot_be_sent_is_a_503(tracker: Tracker) -> None:
    tracker.updates.down = True

    assert_problem(await tracker.client.put(f"/programs/{ID}", json=BODY), 503, "update_stream_unavailable")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_fill_sends_the_three_sample_programs_and_waits(tracker: Tracker, method: str) -> None:
    answer = await tracker.client.request(method, "/cache/fill")

    assert answer.status_code == 200
    assert [each["programId"] for each in answer.json()["programs"]] == ["212312", "212313", "212314"]
    samples = [update.program for update in tracker.updates.sent if isinstance(update, ProgramChanged)]
    assert [_named(sample) for sample in samples] == [
        ("program1", "123", 9123, "Customer1", True),
        ("program2", "124", 9124, "Customer2", True),
        ("program3", "125", 9125, "Customer3", True),
    ]


async def test_purge_empties_memory_and_the_program_is_found_again(tracker: Tracker) -> None:
    await tracker.client.get(f"/event/{ID}")

    answer = await tracker.client.get("/cache/purge")

    assert answer.json()["applied"] is True
    assert len(tracker.programs) == 0
    assert (await tracker.client.get(f"/event/{ID}")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/cache/fill"),
        ("POST", "/cache/fill"),
        ("GET", "/cache/purge"),
        ("POST", "/cache/purge"),
        ("PUT", f"/programs/{ID}"),
        ("DELETE", f"/programs/{ID}"),
    ],
)
async def test_what_changes_something_needs_the_token_once_one_is_set(
    serve: Serve, method: str, path: str
) -> None:
    body = BODY if method == "PUT" else None
    async with serve(admin_token="secret") as tracker:
        none = await tracker.client.request(method, path, json=body)
        wrong = await tracker.client.request(
            method, path, json=body, headers={"authorization": "Bearer secre"}
        )
        right = await tracker.client.request(method, path, json=body, headers=TOKEN)

    assert_problem(none, 401, "unauthorized")
    assert none.headers["www-authenticate"] == "Bearer"
    assert_problem(wrong, 403, "forbidden")
    assert right.status_code in (200, 202)


async def test_health_follows_what_the_task_can_do(tracker: Tracker) -> None:
    async def statuses() -> list[int]:
        paths = ("/health/live", "/health/ready", "/health/check")
        return [(await tracker.client.get(path)).status_code for path in paths]

    assert await statuses() == [200, 200, 200]

    tracker.intake.accepting = False
    assert await statuses() == [200, 503, 503]

    tracker.intake.accepting = True
    tracker.app.ctx.draining = True
    assert await statuses() == [200, 503, 503]


async def test_a_draining_task_serves_and_sends_its_clients_elsewhere(tracker: Tracker) -> None:
    before = await tracker.client.get(f"/event/{ID}")
    tracker.app.ctx.draining = True
    after = await tracker.client.get(f"/event/{ID}")

    assert (before.status_code, after.status_code) == (200, 200)
    assert (before.headers["connection"], after.headers["connection"]) == ("keep-alive", "close")


async def test_a_path_that_is_none_and_a_wrong_method_are_problems(tracker: Tracker) -> None:
    nowhere = await tracker.client.get("/nowhere")
    wrong = await tracker.client.delete(f"/event/{ID}")

    assert_problem(nowhere, 404, "not_found")
    assert_problem(wrong, 405, "method_not_allowed")
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "POST"}


async def test_a_bug_is_a_500_that_gives_nothing_away(
    tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    tracker.truth.records[ID] = cast(Record, "no record")

    answer = await tracker.client.get(f"/event/{ID}")

    assert_problem(answer, 500, "internal_error")
    assert "record" not in answer.text
    assert "AttributeError" in caplog.text


def _named(sample: Program) -> tuple[str, str, int, str, bool]:
    return (sample.name, sample.checksum, sample.customer_id, sample.customer_name, sample.active)
