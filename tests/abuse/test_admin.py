"""The admin token: who does not have it changes nothing, however it is sent."""

import pytest

from tests.abuse.wire import ask, assert_problem, request
from tests.tracker.server import ID, TOKEN, Tracker

NO_TOKEN = {
    "none": (),
    "nothing": ("Authorization:",),
    "a scheme alone": ("Authorization: Bearer",),
    "a scheme and a space": ("Authorization: Bearer ",),
    "another scheme": ("Authorization: Basic c2VjcmV0",),
    "no scheme": ("Authorization: secret",),
    "another header": ("X-Authorization: Bearer secret",),
    "a cookie": ("Cookie: authorization=secret",),
}
WRONG_TOKEN = {
    "shorter": b"secre",
    "longer": b"secrets",
    "in capitals": b"SECRET",
    "twice": b"secret secret",
    "listed": b"secret, secret",
    "quoted": b'"secret"',
    "long": b"s" * 3_000,
    "not UTF-8": b"secre\xff",
    "in another encoding": "secret-ä".encode("latin-1"),
}


@pytest.mark.parametrize("headers", NO_TOKEN.values(), ids=NO_TOKEN)
async def test_without_a_token_a_change_is_a_401(tracker: Tracker, headers: tuple[str, ...]) -> None:
    answer = await ask(tracker, request(*headers, method="DELETE", path=f"/programs/{ID}"))

    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "bearer"
    assert tracker.updates.sent == []


@pytest.mark.parametrize("token", WRONG_TOKEN.values(), ids=WRONG_TOKEN)
async def test_with_a_wrong_token_a_change_is_a_403(tracker: Tracker, token: bytes) -> None:
    answer = await ask(
        tracker, request(b"Authorization: Bearer " + token, method="DELETE", path=f"/programs/{ID}")
    )

    assert_problem(answer, 403, "forbidden")
    assert tracker.updates.sent == []


async def test_a_token_in_the_query_is_none(tracker: Tracker) -> None:
    answer = await ask(tracker, request(method="POST", path="/cache/purge?token=secret&authorization=secret"))

    assert_problem(answer, 401, "unauthorized")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_read_in_any_case(tracker: Tracker, scheme: str) -> None:
    headers = {"authorization": TOKEN["authorization"].replace("Bearer", scheme)}

    assert (await tracker.client.post("/cache/purge", headers=headers)).status_code == 200


async def test_what_changes_nothing_needs_no_token(tracker: Tracker) -> None:
    for path in (f"/event/{ID}", f"/programs/{ID}", "/programs", "/health/live", "/openapi.json", "/metrics"):
        assert (await tracker.client.get(path)).status_code == 200
