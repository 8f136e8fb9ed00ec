"""The postback: one conversion for each of a partner's transactions, signed, or the reason why not."""

import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx
import pytest

from schemas.events import Conversion
from tests.factories import NOW_MS, program
from tests.tracker.server import ID, TOKEN, Serve, Tracker, assert_problem
from tracker.signatures import postback_text, sign

PATH = f"/postback/{ID}"
NOW_S = NOW_MS // 1000
SALE = {
    "transaction": "order-1",
    "timestamp": str(NOW_S),
    "clickId": "c-1",
    "value": "12.50",
    "currency": "EUR",
}


def signed(tracker: Tracker, parameters: dict[str, str], **fields: Any) -> dict[str, str]:
    key = tracker.services.signatures.key_of(program(**fields))
    return parameters | {"signature": sign(key, postback_text(ID, parameters))}


async def report(tracker: Tracker, parameters: dict[str, str]) -> httpx.Response:
    return await tracker.client.get(PATH, params=parameters)


async def test_a_signed_call_is_a_conversion(tracker: Tracker) -> None:
    answer = await report(tracker, signed(tracker, SALE))

    (event,) = tracker.intake.events
    assert isinstance(event, Conversion)
    assert (event.click_id, str(event.value), event.currency) == ("c-1", "12.50", "EUR")
    assert answer.status_code == 200
    assert answer.json() == {
        "programId": ID,
        "transaction": "order-1",
        "messageId": str(event.message_id),
        "valid": True,
    }


async def test_the_callers_own_traces_are_not_the_visitors(tracker: Tracker) -> None:
    tracker.set_program(privacy="full")

    await tracker.client.get(PATH, params=signed(tracker, SALE), headers={"user-agent": "Googlebot/2.1"})

    (event,) = tracker.intake.events
    assert (event.user_agent, event.client_address, event.visitor, event.valid) == (None, None, None, True)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_it_does_not_matter_how_parameters_are_ordered_encoded_or_sent(
    tracker: Tracker, method: str
) -> None:
    parameters = signed(tracker, SALE | {"visitor": "a b/ü~"})
    backwards = urlencode(dict(reversed(parameters.items())))
    form = {"content-type": "application/x-www-form-urlencoded"}

    whole = await tracker.client.request(method, f"{PATH}?{backwards}")
    plus = await tracker.client.request(method, f"{PATH}?{backwards.replace('a+b', 'a%20b')}")
    posted = await tracker.client.post(PATH, content=backwards, headers=form)
    first, _, rest = backwards.partition("&")
    split = await tracker.client.post(f"{PATH}?{first}", content=rest, headers=form)

    assert [answer.status_code for answer in (whole, plus, posted, split)] == [200] * 4
    assert len({event.message_id for event in tracker.intake.events}) == 1


async def test_a_transaction_has_one_message_id_and_another_in_another_program(tracker: Tracker) -> None:
    later = SALE | {"timestamp": str(NOW_S + 60), "value": "99"}

    answers = [await report(tracker, signed(tracker, each)) for each in (SALE, SALE, later)]
    other = await report(tracker, signed(tracker, SALE | {"transaction": "order-2"}))

    ids = [UUID(answer.json()["messageId"]) for answer in answers]
    assert ids[0] == ids[1] == ids[2] != UUID(other.json()["messageId"])
    assert ids[0].version == 5


@pytest.mark.parametrize(
    "change",
    [
        {"signature": ""},
        {"signature": "A" * 43},
        {"signature": "ü"},
        {"transaction": "order-2"},
        {"value": "1250"},
        {"value": "12.5"},
        {"currency": "USD"},
        {"clickId": "c-2"},
        {"timestamp": str(NOW_S + 1)},
        {"visitor": "added"},
        {"unknown": "added"},
    ],
)
async def test_a_forged_call_is_refused(tracker: Tracker, change: dict[str, str]) -> None:
    answer = await report(tracker, signed(tracker, SALE) | change)

    assert_problem(answer, 403, "bad_signature")
    assert tracker.intake.events == []


async def test_a_signature_of_another_program_is_refused(tracker: Tracker) -> None:
    assert_problem(await report(tracker, signed(tracker, SALE, program_id="212314")), 403, "bad_signature")


@pytest.mark.parametrize(("version", "status"), [(1, 200), (2, 200), (3, 403)])
async def test_a_key_stays_valid_for_one_rotation(tracker: Tracker, version: int, status: int) -> None:
    tracker.set_program(key_version=version)

    assert (await report(tracker, signed(tracker, SALE, key_version=1))).status_code == status


@pytest.mark.parametrize("off_s", [-301, 301, -NOW_S])
async def test_a_stale_call_is_refused(tracker: Tracker, off_s: int) -> None:
    answer = await report(tracker, signed(tracker, SALE | {"timestamp": str(NOW_S + off_s)}))

    assert_problem(answer, 403, "expired_signature")
    assert tracker.intake.events == []


async def test_the_window_is_a_setting(serve: Serve) -> None:
    async with serve(postback_window_s=10) as tracker:
        near = await report(tracker, signed(tracker, SALE | {"timestamp": str(NOW_S - 10)}))
        far = await report(tracker, signed(tracker, SALE | {"timestamp": str(NOW_S - 11)}))

    assert near.status_code == 200
    assert_problem(far, 403, "expired_signature")


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {name: value for name, value in SALE.items() if name != "transaction"},
        {name: value for name, value in SALE.items() if name != "timestamp"},
        {name: value for name, value in SALE.items() if name != "clickId"},
        SALE | {"transaction": ""},
        SALE | {"transaction": "t" * 257},
        SALE | {"timestamp": "yesterday"},
        SALE | {"timestamp": "-1"},
        SALE | {"timestamp": "9" * 100},
        SALE | {"value": "much"},
        SALE | {"value": "NaN"},
        SALE | {"currency": "eur"},
        SALE | {f"p{n}": "" for n in range(40)},
    ],
)
async def test_a_call_that_cannot_be_read_is_refused(tracker: Tracker, parameters: dict[str, str]) -> None:
    assert_problem(await report(tracker, signed(tracker, parameters)), 400, "malformed")
    assert tracker.intake.events == []


@pytest.mark.parametrize("query", ["value=1", "transaction=%ff", "signature=x"])
async def test_a_parameter_given_twice_or_not_in_utf_8_is_refused(tracker: Tracker, query: str) -> None:
    parameters = urlencode(signed(tracker, SALE))

    assert_problem(await tracker.client.get(f"{PATH}?{parameters}&{query}"), 400, "malformed")


async def test_a_body_that_is_no_form_is_refused(tracker: Tracker) -> None:
    body = json.dumps(signed(tracker, SALE))

    answer = await tracker.client.post(PATH, content=body, headers={"content-type": "application/json"})

    assert_problem(answer, 415, "unsupported_media_type")


async def test_a_conversion_that_does_not_count_says_why(tracker: Tracker) -> None:
    tracker.set_program(active=False)

    answer = await report(tracker, signed(tracker, SALE))

    assert (answer.json()["valid"], answer.json()["reason"]) == (False, "program_inactive")


async def test_an_unknown_program_has_no_key(tracker: Tracker) -> None:
    answer = await tracker.client.get("/postback/unknown", params=signed(tracker, SALE))

    assert_problem(answer, 404, "program_not_found")


async def test_without_a_secret_nothing_signed_is_taken(serve: Serve) -> None:
    async with serve(secret="") as tracker:
        call = await report(tracker, SALE | {"signature": "x"})
        key = await tracker.client.get(f"/programs/{ID}/key")

    assert_problem(call, 501, "not_configured")
    assert_problem(key, 501, "not_configured")


async def test_the_key_is_told_to_whoever_has_the_token(serve: Serve) -> None:
    async with serve(admin_token="secret") as tracker:
        tracker.set_program(key_version=7)
        none = await tracker.client.get(f"/programs/{ID}/key")
        told = await tracker.client.get(f"/programs/{ID}/key", headers=TOKEN)
        key = tracker.services.signatures.key_of(program(key_version=7))

    assert_problem(none, 401, "unauthorized")
    assert told.json() == {"programId": ID, "keyVersion": 7, "key": key}
    assert told.headers["cache-control"] == "no-store"
