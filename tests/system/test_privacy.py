"""Whatever a sender says of itself, nothing that its program's rule forbids is anywhere in the stack."""

import time
import zlib
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import msgspec
import pytest

from schemas.dynamodb import Item
from tests.system.conftest import Stack, running_stack, until
from tracker.signatures import postback_text, sign

COMPRESSED = 0x80
OPTIONS = {"retentionDays": 7, "destination": "https://shop.example/?visitor={visitor}"}
MSGPACK = {"content-type": "application/msgpack"}
KEPT = ("client_address", "user_agent", "visitor", "referrer")
ORIGIN = "https://news.example/"
POLICIES = ("full", "truncate", "anonymous")
SIGNALS: dict[str, dict[str, str]] = {
    "no signal": {},
    "DNT": {"dnt": "1"},
    "GPC": {"sec-gpc": "1"},
    "both": {"dnt": "1", "sec-gpc": "1"},
}
STRICTER = {"no signal": "full", "DNT": "truncate", "GPC": "anonymous", "both": "anonymous"}


class Person(NamedTuple):
    """A sender like no other, in every trace that it leaves."""

    number: int

    @property
    def address(self) -> str:
        return f"203.0.113.{100 + self.number}" if self.number % 2 else f"2001:db8:77:5::a{self.number:03x}"

    @property
    def network(self) -> str:
        return "203.0.113.0" if self.number % 2 else "2001:db8:77::"

    @property
    def user_agent(self) -> str:
        return f"Mozilla/5.0 (X11; Device{self.number}z; rv:140.0) Gecko/20100101 Firefox/140.0"

    @property
    def visitor(self) -> str:
        return f"person-{self.number}z"

    @property
    def referrer(self) -> str:
        return f"https://news.example/reader{self.number}z"

    @property
    def marks(self) -> list[bytes]:
        """What nothing may hold of it, unless everything is kept."""
        texts = (self.address, f"Device{self.number}z", self.visitor, f"reader{self.number}z")
        return [text.encode() for text in texts]

    def headers(self, signal: str) -> dict[str, str]:
        said = {"x-forwarded-for": f"6.6.6.6, {self.address}", "user-agent": self.user_agent}
        return said | {"referer": self.referrer} | SIGNALS[signal]


Send = Callable[[httpx.Client, str, str, Person, dict[str, str]], httpx.Response]


def get(
    client: httpx.Client, program_id: str, message_id: str, person: Person, headers: dict[str, str]
) -> httpx.Response:
    query = {"messageId": message_id, "visitor": person.visitor}
    return client.get(f"/event/{program_id}", params=query, headers=headers)


def post(
    client: httpx.Client, program_id: str, message_id: str, person: Person, headers: dict[str, str]
) -> httpx.Response:
    body = {"messageId": message_id, "visitor": person.visitor, "referrer": person.referrer}
    return client.post(f"/event/{program_id}", json=body, headers=headers)


def batch(
    client: httpx.Client, program_id: str, message_id: str, person: Person, headers: dict[str, str]
) -> httpx.Response:
    told = {"userAgent": person.user_agent, "visitor": person.visitor}
    item = {"programId": program_id, "messageId": message_id} | told
    return client.post("/events", content=msgspec.msgpack.encode([item]), headers=headers | MSGPACK)


def pixel(
    client: httpx.Client, program_id: str, message_id: str, person: Person, headers: dict[str, str]
) -> httpx.Response:
    cookie = {"cookie": f"visitor={person.visitor}"}
    return client.get(f"/pixel/{program_id}.gif?messageId={message_id}", headers=headers | cookie)


def beacon(
    client: httpx.Client, program_id: str, message_id: str, person: Person, headers: dict[str, str]
) -> httpx.Response:
    item = {"programId": program_id, "messageId": message_id, "visitor": person.visitor}
    page = {"origin": "https://news.example", "content-type": "text/plain;charset=UTF-8"}
    return client.post("/beacon", content=msgspec.json.encode([item]), headers=headers | page)


def click(
    client: httpx.Client, program_id: str, message_id: str, person: Person, headers: dict[str, str]
) -> httpx.Response:
    query = {"messageId": message_id, "visitor": person.visitor}
    return client.get(f"/click/{program_id}", params=query, headers=headers)


WAYS_IN: dict[str, Send] = {
    "get": get,
    "post": post,
    "batch": batch,
    "pixel": pixel,
    "beacon": beacon,
    "click": click,
}
CASES = {case: Person(number) for number, case in enumerate(product(POLICIES, SIGNALS, WAYS_IN))}


class Sent(NamedTuple):
    """A stack that has taken an event of everybody, and the ids of their events."""

    stack: Stack
    program_ids: dict[str, str]
    message_ids: dict[tuple[str, str, str], str]
    locations: dict[tuple[str, str], str]
    """Where clicks were sent, by policy and signal."""

    def item(self, case: tuple[str, str, str]) -> Item:
        return self.stack.stored(self.program_ids[case[0]], self.message_ids[case])

    def logs(self) -> bytes:
        files = [*self.stack.run_dir.glob("logs/*"), self.stack.run_dir / "console.log"]
        return b"\n".join(file.read_bytes() for file in files)

    def records(self) -> Iterator[bytes]:
        kinesis, stream = self.stack.kinesis, self.stack.file.event_stream
        for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
            iterator = kinesis.get_shard_iterator(
                StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while records := (answer := kinesis.get_records(ShardIterator=iterator))["Records"]:
                yield from (record["Data"] for record in records)
                iterator = answer["NextShardIterator"]


def _unpacked(frame: bytes) -> bytes:
    return zlib.decompress(frame[1:]) if frame[0] & COMPRESSED else frame[1:]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    with running_stack(tmp_path_factory.mktemp("privacy"), TRACKER_PROXY_HOPS="1") as stack:
        program_ids = {policy: _new_program(stack, policy) for policy in POLICIES}
        message_ids = {case: str(uuid4()) for case in CASES}
        locations: dict[tuple[str, str], str] = {}
        for (policy, signal, way_in), person in CASES.items():
            _send_what_is_not_taken(stack.trackers[1], program_ids[policy], person, signal)
            answer = WAYS_IN[way_in](
                stack.trackers[0],
                program_ids[policy],
                message_ids[policy, signal, way_in],
                person,
                person.headers(signal),
            )
            assert answer.status_code == (302 if way_in == "click" else 200), answer.text
            locations[policy, signal] = answer.headers.get("location", "")
        sent = Sent(stack, program_ids, message_ids, locations)
        for case in CASES:
            until(lambda case=case: sent.item(case), timeout_s=20)  # type: ignore[misc]
        yield sent


@pytest.fixture(scope="module")
def frames(sent: Sent) -> bytes:
    """All that is in the event stream, decompressed."""
    return b"\n".join(_unpacked(record) for record in sent.records())


def _new_program(stack: Stack, policy: str) -> str:
    program_id = f"{policy}-{uuid4().hex[:8]}"
    body = {"name": "privacy", "customerId": 1, "customerName": "c", "checksum": "1", "privacy": policy}
    answer = stack.trackers[0].put(f"/programs/{program_id}?wait=true", json=body | OPTIONS)
    assert answer.status_code == 200
    until(lambda: stack.trackers[1].get(f"/programs/{program_id}").status_code == 200, timeout_s=5)
    return program_id


def _send_what_is_not_taken(client: httpx.Client, program_id: str, person: Person, signal: str) -> None:
    """Requests that end in an error: those are what logs are written of."""
    headers = person.headers(signal)
    path = f"/event/{program_id}"
    statuses = [
        client.get(f"/event/nosuch?visitor={person.visitor}", headers=headers).status_code,
        client.get(f"{path}?messageId={person.visitor}", headers=headers).status_code,
        client.post(path, content=f'{{"visitor":"{person.visitor}', headers=headers).status_code,
        client.post("/events", json=[{"visitor": person.visitor * 5_000}], headers=headers).status_code,
        client.get(f"/{person.visitor}?{person.visitor}", headers=headers).status_code,
    ]
    assert statuses == [404, 400, 400, 200, 404]


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_nothing_forbidden_is_in_the_table_the_stream_or_the_logs(
    sent: Sent, frames: bytes, case: tuple[str, str, str]
) -> None:
    policy, signal, _ = case
    person = CASES[case]
    item = sent.item(case)
    everything_is_kept = (policy, STRICTER[signal]) == ("full", "full")

    for place in (repr(item).encode(), frames):
        found = [mark for mark in person.marks if mark in place]
        assert found == (person.marks if everything_is_kept else [])
    assert [mark for mark in person.marks if mark in sent.logs()] == []


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_what_is_kept_is_what_the_rule_says(sent: Sent, case: tuple[str, str, str]) -> None:
    policy, signal, _ = case
    person, item = CASES[case], sent.item(case)
    rule = max(policy, STRICTER[signal], key=POLICIES.index)
    kept = {name: value["S"] for name, value in item.items() if name in KEPT}

    if rule == "full":
        assert kept == dict(
            zip(KEPT, (person.address, person.user_agent, person.visitor, person.referrer), strict=True)
        )
    elif rule == "truncate":
        assert len(str(kept.pop("visitor"))) == 22
        assert kept == {"client_address": person.network, "user_agent": "Firefox", "referrer": ORIGIN}
    else:
        assert kept == {"referrer": ORIGIN}


@pytest.mark.parametrize(("policy", "signal"), [*product(POLICIES, SIGNALS)])
def test_a_destination_is_told_the_visitor_that_is_stored(sent: Sent, policy: str, signal: str) -> None:
    told = parse_qs(urlsplit(sent.locations[policy, signal]).query)
    stored = sent.item((policy, signal, "click"))

    assert told.get("visitor", [None]) == [stored.get("visitor", {}).get("S")]


@pytest.mark.parametrize(("policy", "length"), [("full", 9), ("truncate", 22), ("anonymous", None)])
def test_of_a_partners_call_nothing_is_kept_but_the_visitor_by_the_rule(
    sent: Sent, policy: str, length: int | None
) -> None:
    program_id, person = sent.program_ids[policy], Person(999)
    key = sent.stack.trackers[0].get(f"/programs/{program_id}/key").json()["key"]
    query = {"transaction": "t1", "timestamp": str(int(time.time())), "visitor": "partner-9"}
    query["signature"] = sign(key, postback_text(program_id, query))

    answer = sent.stack.trackers[0].get(
        f"/postback/{program_id}", params=query, headers=person.headers("no signal")
    )

    item = until(lambda: sent.stack.stored(program_id, answer.json()["messageId"]), timeout_s=10)
    assert {name: len(str(item[name]["S"])) for name in KEPT if name in item} == (
        {"visitor": length} if length else {}
    )


def test_a_stored_event_says_when_it_goes(sent: Sent) -> None:
    for case in CASES:
        item = sent.item(case)
        received_at_s = int(str(item["received_at_ms"]["N"])) // 1000
        assert item["expires_at"] == {"N": str(received_at_s + 7 * 86_400)}


def test_a_bots_event_is_stored_and_counts_for_nothing(sent: Sent) -> None:
    program_id = _new_program(sent.stack, "full")
    bot = {"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
    prefetch = {"sec-purpose": "prefetch"}

    for headers in (bot, prefetch, {}):
        sent.stack.trackers[0].get(f"/event/{program_id}?kind=click", headers=headers)

    until(lambda: sent.stack.totals(program_id).stored == 3, timeout_s=10)
    assert sent.stack.totals(program_id).clicks == 1
    assert sent.stack.totals(program_id).invalid == 2
